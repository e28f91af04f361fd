"""COCO-WholeBody: feet, face and hands added to the people of COCO 2017."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.datasets._coco_json import Floats, Stills, flagged

#: What follows the 17 body points: list, flag that it is valid, points.
PARTS = (
    ("foot_kpts", "foot_valid", 6),
    ("face_kpts", "face_valid", 68),
    ("lefthand_kpts", "lefthand_valid", 21),
    ("righthand_kpts", "righthand_valid", 21),
)


class CocoWholeBody(Stills):
    """Every person with at least one labelled point, with box and mask."""

    id = "coco_wholebody"
    skeletons = ("coco_wholebody_133",)

    def sources(self) -> list[tuple[str, str, str]]:
        files = {split: f"coco_wholebody_{split}_v1.0.json" for split in ("train", "val")}
        self.tree.first(*(f"{folder}{file}" for file in files.values() for folder in ("", "annotations/")))
        return [
            (split, folder + file, f"{split}2017")
            for split, file in files.items()
            for folder in ("", "annotations/")
            if self.tree.exists(folder + file)
        ]

    def points(self, path: Path, place: str, annotation: dict[str, Any]) -> Floats:
        body = flagged(path, place, annotation, "keypoints", 17)
        parts = [flagged(path, place, annotation, key, count) for key, _, count in PARTS]
        for part, (_, valid, _) in zip(parts, PARTS, strict=True):
            part[:, 2] *= bool(annotation.get(valid, True))
        return np.concatenate([body, *parts])
