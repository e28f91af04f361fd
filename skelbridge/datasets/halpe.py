"""Halpe Full-Body: 136 points of people in HICO-DET's and COCO's photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skelbridge.datasets._coco_json import Floats, Stills, flagged

#: Split, annotation file, folder of the pictures.
SOURCES = (
    ("train", "halpe_train_v1.json", "hico_20160224_det/images/train2015"),
    ("val", "halpe_val_v1.json", "val2017"),
)


class Halpe(Stills):
    """Every person with at least one labelled point, with box."""

    id = "halpe"
    skeletons = ("halpe_136", "halpe_26")

    def sources(self) -> list[tuple[str, str, str]]:
        folders = ("", "annotations/")
        self.tree.first(*(folder + file for _, file, _ in SOURCES for folder in folders))
        return [
            (split, folder + file, pictures)
            for split, file, pictures in SOURCES
            for folder in folders
            if self.tree.exists(folder + file)
        ]

    def points(self, path: Path, place: str, annotation: dict[str, Any]) -> Floats | None:
        if not annotation.get("keypoints"):
            return None
        points = flagged(path, place, annotation, "keypoints", 136)[: len(self.skeleton)]
        at_origin = (points[:, 2] > 0) & ~points[:, :2].any(axis=1)
        if at_origin.any():
            self.notes.repair("labelled points at exactly (0, 0) taken as missing", at_origin.sum())
            points[at_origin, 2] = 0
        return points
