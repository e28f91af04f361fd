"""PoseTrack 2018: people tracked through short videos, one annotation file a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from skelbridge.datasets._coco_json import Person, annotation_file, box_of, flagged, frame_of, samples, track_of
from skelbridge.datasets._pictures import size_of
from skelbridge.datasets.reader import Part, Reader
from skelbridge.skeletons import skeleton
from skelbridge.store.samples import Samples, Visibility


class PoseTrack18(Reader):
    """Every person with at least one labelled point, with box; a track is a person of a video."""

    id = "posetrack18"
    skeletons = ("posetrack18_17", "posetrack18_15")

    def parts(self) -> list[Part]:
        base = "" if self.tree.glob("annotations/*/*.json") else "posetrack_data/"
        found = []
        for path in self.tree.require(f"{base}annotations/*/*.json", "PoseTrack's annotations, one file a video"):
            split, video = path.split("/")[-2], PurePosixPath(path).stem
            if split in ("train", "val") and "preds_val" not in video:
                found.append(Part(f"{split}/{video}", split, (path,)))
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        file = annotation_file(self.tree, path)
        self.notes.drop("the image of the annotation is not listed", file.stray)
        slots = skeleton("posetrack18_17")
        kept = [slots.index(name) for name in self.skeleton.names]
        folder = "posetrack_data/" if self.tree.folders("posetrack_data/images") else ""
        unsaid = [image for image in file.images if image.size == (0, 0)]
        size = size_of(self.tree, folder + unsaid[0].file_name) if unsaid else (0, 0)  # one a video
        people = []
        for image in file.images:
            for place, annotation in image.people:
                points = flagged(file.path, place, annotation, "keypoints", 17)[kept]
                labelled = points[:, 2] == 1
                if not labelled.any():
                    self.notes.drop("no point is labelled")
                    continue
                people.append(
                    Person(
                        points=np.where(labelled[:, None], points[:, :2], np.nan),
                        visibility=np.where(labelled, Visibility.UNSAID, Visibility.MISSING).astype(np.uint8),
                        box=box_of(file.path, place, annotation),
                        image=folder + image.file_name,
                        size=size if image.size == (0, 0) else image.size,
                        frame=frame_of(file.path, image.file_name),
                        person=track_of(file.path, place, annotation),
                    )
                )
        people.sort(key=lambda one: (one.frame, one.person))
        if people:
            sequence = PurePosixPath(path).stem
            yield samples(people, self.skeleton, split=part.split, sequence=sequence, native=path)
