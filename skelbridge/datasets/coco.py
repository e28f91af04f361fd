"""COCO's person key points: photographs from the web, 17 points clicked by people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skelbridge.datasets._coco_json import Floats, Stills, flagged

#: Split, annotation file, folder of the pictures.
SOURCES = (
    ("train", "annotations/person_keypoints_train2014.json", "train2014"),
    ("val", "annotations/person_keypoints_val2014.json", "val2014"),
    ("train2017", "annotations/person_keypoints_train2017.json", "train2017"),
    ("val2017", "annotations/person_keypoints_val2017.json", "val2017"),
)


class Coco(Stills):
    """Every person with at least one labelled point, with box and mask."""

    id = "coco"
    skeletons = ("coco_17",)

    def sources(self) -> list[tuple[str, str, str]]:
        self.tree.require("annotations/person_keypoints_*20*.json", "COCO's person key points")
        found = [source for source in SOURCES if self.tree.exists(source[1])]
        if len({split.endswith("2017") for split, _, _ in found}) > 1:
            self.notes.remark("The 2014 and the 2017 files hold the same pictures, split otherwise: use one of them.")
        return found

    def points(self, path: Path, place: str, annotation: dict[str, Any]) -> Floats:
        return flagged(path, place, annotation, "keypoints", 17)
