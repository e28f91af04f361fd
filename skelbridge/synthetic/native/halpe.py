"""Halpe full body: 136 points on photographs of HICO-DET (train) and COCO (val)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.synthetic.native._coco import Entry, Shot, annotation, labelled, photograph, triples
from skelbridge.synthetic.native._files import write_image, write_json
from skelbridge.synthetic.scene import Floats
from skelbridge.synthetic.truth import Truth

#: Split, the folder of its pictures, file names and numbers of photographs.
_SPLITS = (
    (
        "train",
        "hico_20160224_det/images/train2015",
        {1: "HICO_train2015_00000001.jpg", 2: "HICO_train2015_00000017.jpg"},
    ),
    ("val", "val2017", {785: "000000000785.jpg", 40083: "000000040083.jpg"}),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    shots = {
        1: photograph("halpe_136", (640, 427), 2, seed=1, distance=3900),
        2: photograph("halpe_136", (480, 640), 1, seed=2, distance=2800),
        785: photograph("halpe_136", (480, 640), 1, seed=785, distance=2600),
        40083: photograph("halpe_136", (500, 333), 3, seed=40083, distance=4600),
    }
    truths = []
    for split, folder, names in _SPLITS:
        images: list[Entry] = []
        annotations: list[Entry] = []
        for number, name in names.items():
            shot = shots[number]
            write_image(out / folder / name, shot.image)
            size = {"height": shot.size[1], "width": shot.size[0]} if split == "val" else {}
            images.append({"file_name": name, "id": number, **size})
            for person in range(len(shot.points)):
                entry = _entry(shot, number, person, split)
                annotations.append(entry)
                if "keypoints" in entry and any(entry["keypoints"][2::3]):
                    points, box = _points(entry), tuple(entry["bbox"])
                    truths.append(Truth("halpe_136", split, f"{folder}/{name}", points2d=points, box=box))
        annotations.append({**annotations[0], "image_id": 424242, "id": 99})  # of a picture that is not in the table
        category = {"supercategory": "person", "id": 1, "name": "person", "keypoints": [], "skeleton": []}
        content = {"categories": [category], "images": images, "annotations": annotations}
        write_json(out / f"halpe_{split}_v1.json", content)
    return truths


def _entry(shot: Shot, number: int, person: int, split: str) -> Entry:
    """A person: no list of points (photograph 1), all points unlabelled (40083), or what occurs in the others."""
    flags = shot.flags(person, number)
    if split == "val":
        flags[[18, 19]] = 0
    if (number, person) == (40083, 2):
        flags[:] = 0
    points = shot.points[person]
    numbers = triples(points, flags)
    numbers[78:] = np.column_stack([points[26:].round(3), flags[26:]]).ravel().tolist()  # also where the flag is 0
    if (number, person) == (785, 0):
        numbers[3 * 30 : 3 * 30 + 3] = [0, 0, 2]  # labelled, they say
        numbers[3 * 40 + 2] = 0.8
    if (number, person) == (40083, 2):
        numbers = [0] * len(numbers)
    entry = {**annotation(100 * number + person, number, shot.masks[person], numbers), "segmentation": []}
    if (number, person) == (1, 1):
        del entry["keypoints"], entry["num_keypoints"]
    return entry


def _points(entry: Entry) -> Floats:
    """The points of an annotation, NaN where not labelled or at 0, 0."""
    points = labelled(entry["keypoints"])
    return np.where((points == 0).all(axis=-1, keepdims=True), np.nan, points)
