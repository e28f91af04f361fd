"""COCO-WholeBody: COCO's 2017 photographs with points of feet, face and hands in lists of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.synthetic.native._coco import PERSON, Entry, Shot, annotation, crowd, labelled, photograph, triples
from skelbridge.synthetic.native._files import write_image, write_json
from skelbridge.synthetic.native._pictures import extent
from skelbridge.synthetic.truth import Truth

#: The parts beside the body, and which of the 133 points are theirs.
_PARTS = {"foot": (17, 23), "face": (23, 91), "lefthand": (91, 112), "righthand": (112, 133)}

_SPLITS = (("train", (9, 40083)), ("val", (785, 397133)))


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    shots = {
        9: photograph("coco_wholebody_133", (640, 480), 2, seed=9),
        785: photograph("coco_wholebody_133", (480, 640), 1, seed=785, distance=2600),
        40083: photograph("coco_wholebody_133", (500, 333), 3, seed=40083, distance=4600),
        397133: photograph("coco_wholebody_133", (427, 640), 3, seed=397133, distance=5200),
    }
    truths = []
    for split, numbers in _SPLITS:
        images, annotations = [], []
        for number in numbers:
            shot = shots[number]
            image = f"{split}2017/{number:012d}.jpg"
            write_image(out / image, shot.image)
            images.append({"license": 4, "file_name": f"{number:012d}.jpg", "height": shot.size[1],
                           "width": shot.size[0], "id": number})  # fmt: skip
            for person in range(len(shot.points)):
                entry = _entry(shot, number, person)
                annotations.append(entry)
                points = _points(entry)
                if np.isfinite(points).any():
                    truths.append(Truth("coco_wholebody_133", split, image, points2d=points, box=tuple(entry["bbox"])))
        write_json(
            out / f"coco_wholebody_{split}_v1.0.json",
            {
                "info": {"description": "COCO-WholeBody", "version": "1.0", "year": "2020"},
                "licenses": [{"url": "", "id": 4, "name": "Attribution License"}],
                "categories": [PERSON],
                "images": images,
                "annotations": annotations,
            },
        )
    return truths


def _entry(shot: Shot, number: int, person: int) -> Entry:
    """A person with all parts, or with nothing but a foot, one of a crowd (397133), or one with nothing (40083)."""
    mask, flags = shot.masks[person], shot.flags(person, number)
    if (number, person) == (397133, 2):
        return {**crowd(900100000000 + number, number, mask), **_nothing()}
    if (number, person) == (40083, 2):
        return {**annotation(100 * number + person, number, mask, [0] * 51), **_nothing()}
    keypoints = [0] * 51 if (number, person) == (397133, 1) else triples(shot.points[person, :17], flags[:17])
    return {
        **annotation(100 * number + person, number, mask, keypoints),
        **_parts(shot, number, person, flags),
    }


def _parts(shot: Shot, number: int, person: int, flags: Any) -> Entry:
    """Feet, face and hands: invalid ones as zeros; scores of a detector for some points of the others."""
    rng = np.random.default_rng([number, person, 3])
    entry = _nothing()
    for place, (part, (first, end)) in enumerate(_PARTS.items()):
        points = shot.points[person, first:end]
        if (number + person + place) % 4 == 0 or not (flags[first:end] > 0).any():
            continue
        scores = flags[first:end].astype(float)
        unsure = rng.random(len(scores)) < 0.15
        scores[unsure & (scores > 0)] = rng.uniform(0.04, 0.37)
        if part == "foot":
            numbers = triples(points, flags[first:end])
        else:
            rounded = points.round(4)
            numbers = np.column_stack([np.where(scores[:, None] > 0, rounded, 0), scores]).ravel().tolist()
            entry[f"{part}_box"] = extent(labelled(numbers), 0.1).round(2).tolist()
        entry[f"{part}_kpts"], entry[f"{part}_valid"] = numbers, True
    return entry


def _nothing() -> Entry:
    """The parts of a person of whom none is valid."""
    entry: Entry = {}
    for part, (first, end) in _PARTS.items():
        entry[f"{part}_kpts"], entry[f"{part}_valid"] = [0.0] * 3 * (end - first), False
        if part != "foot":
            entry[f"{part}_box"] = [0.0] * 4
    return entry


def _points(entry: Entry) -> Any:
    """All 133 points of an annotation, NaN where not labelled."""
    return np.concatenate([labelled(entry["keypoints"]), *(labelled(entry[f"{part}_kpts"]) for part in _PARTS)])
