"""COCO's people with key points: photographs, both partitions (2014 and 2017) of the same ones."""

from __future__ import annotations

from pathlib import Path

from skelbridge.synthetic.native._coco import PERSON, Entry, Shot, annotation, crowd, labelled, photograph, triples
from skelbridge.synthetic.native._files import write_image, write_json
from skelbridge.synthetic.truth import Truth

#: The dataset's word for a split, its folder, its photographs by number: most of val2014 went into train2017.
_SPLITS = (
    ("train", "train2014", (9, 397133, 36)),
    ("val", "val2014", (40083, 785)),
    ("train2017", "train2017", (9, 36, 40083)),
    ("val2017", "val2017", (397133, 785)),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    photographs = _photographs()
    truths = []
    for split, folder, numbers in _SPLITS:
        images, annotations = [], []
        for number in numbers:
            shot, people = photographs[number]
            name = f"{number:012d}.jpg"
            name = f"COCO_{folder}_{name}" if folder.endswith("2014") else name
            write_image(out / folder / name, shot.image)
            images.append({"license": 4, "file_name": name, "height": shot.size[1], "width": shot.size[0],
                           "date_captured": "2013-11-19 21:22:42", "id": number})  # fmt: skip
            annotations += people
            for entry in people:
                if entry["num_keypoints"]:
                    box = tuple(entry["bbox"])
                    points = labelled(entry["keypoints"])
                    truths.append(Truth("coco_17", split, f"{folder}/{name}", points2d=points, box=box))
        write_json(
            out / "annotations" / f"person_keypoints_{folder}.json",
            {
                "info": {"description": f"{folder} key points", "version": "1.0"},
                "licenses": [{"url": "", "id": 4, "name": "Attribution License"}],
                "images": images,
                "annotations": annotations,
                "categories": [PERSON],
            },
        )
    return truths


def _photographs() -> dict[int, tuple[Shot, list[Entry]]]:
    """Photographs by number, and the annotations of each; one (36) shows nobody who is annotated."""
    shots = {
        9: photograph("coco_17", (640, 480), 2, seed=9),
        36: photograph("coco_17", (320, 240), 1, seed=36),
        785: photograph("coco_17", (480, 640), 1, seed=785, distance=2600),
        40083: photograph("coco_17", (500, 333), 3, seed=40083, distance=4600),
        397133: photograph("coco_17", (427, 640), 3, seed=397133, distance=5200),
    }
    found: dict[int, tuple[Shot, list[Entry]]] = {number: (shot, []) for number, shot in shots.items()}
    for number, (shot, entries) in found.items():
        for person in range(len(shot.points) if number != 36 else 0):
            name = 100 * number + person
            if (number, person) == (40083, 2):  # a person too small for key points
                keypoints = [0] * 51
            elif (number, person) == (397133, 2):  # part of a crowd
                entries.append(crowd(900100000000 + number, number, shot.masks[person]))
                continue
            else:
                keypoints = triples(shot.points[person], shot.flags(person, number))
            entries.append(annotation(name, number, shot.masks[person], keypoints))
    return found
