"""JRDB-Pose: people around a robot with a ring of cameras, one annotation file a sequence and camera."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from skelbridge.camera import Camera
from skelbridge.datasets._coco_json import Person, annotation_file, box_of, flagged, frame_of, samples, seen, track_of
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.files import damaged
from skelbridge.store.samples import Samples

LABELS = "train_dataset/labels/labels_2d_pose_coco/*.json"
IMAGES = "train_dataset/images"
CAMERAS = "train_dataset/calibration/cameras.yaml"
SIZE = (752, 480)


class Jrdb(Reader):
    """Every person with at least one labelled point in the five upper cameras, with box; tracks as the files say."""

    id = "jrdb"
    skeletons = ("jrdb_17",)
    choices = {  # noqa: RUF012
        "image_offset": Choice(2, "added to a label's frame number to get its picture; 0 for files without the shift"),
    }

    def parts(self) -> list[Part]:
        found = []
        for path in self.tree.require(LABELS, "the pose labels of JRDB"):
            if match := re.fullmatch(r"(.+?)_image_?([0-9])", PurePosixPath(path).stem):
                found.append(Part(f"{match[1]}/{match[2]}", "train", (path, match[1], int(match[2]))))
            else:
                self.notes.remark("Labels of no single camera (the panorama's) are left out.")
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        path, sequence, number = part.args
        file = annotation_file(self.tree, path)
        self.notes.drop("the image of the annotation is not listed", file.stray)
        people = []
        for image in file.images:
            frame = frame_of(file.path, image.file_name)
            picture = f"{IMAGES}/image_{number}/{sequence}/{frame + int(self.settings['image_offset']):06d}.jpg"
            for place, annotation in image.people:
                points = flagged(file.path, place, annotation, "keypoints", 17)
                if not (points[:, 2] > 0).any():
                    self.notes.drop("no point is labelled")
                    continue
                people.append(
                    Person(
                        points=np.where(points[:, 2:] > 0, points[:, :2], np.nan),
                        visibility=seen(points[:, 2]),
                        box=box_of(file.path, place, annotation),
                        image=picture,
                        size=SIZE,
                        frame=frame,
                        person=track_of(file.path, place, annotation),
                    )
                )
        people.sort(key=lambda one: (one.frame, one.person))
        if people:
            yield samples(
                people,
                self.skeleton,
                camera=self._camera(number),
                world_known=True,
                split=part.split,
                sequence=sequence,
                view=f"image_{number}",
                native=path,
            )

    def _camera(self, number: int) -> Camera:
        """The camera of image_{number}, the lens included; its world is the robot's."""
        path, place = self.tree.root / CAMERAS, f"sensor_{number // 2}"
        said = _sensors(self.tree.read_text(CAMERAS)).get(place, {})
        values = {}
        for key, count in (("K", 9), ("D", 5), ("R", 9), ("T", 3)):
            words = said.get(key, [])
            try:
                values[key] = array(path, f"{place}, {key}", [float(word) for word in words], (count,))
            except ValueError:
                raise damaged(path, f"{place}, {key}", expected=f"{count} numbers", got=" ".join(words)) from None
        rotation, translation = values["R"].reshape(3, 3), values["T"]
        return camera(path, place, values["K"].reshape(3, 3), rotation, translation, values["D"])


def _sensors(text: str) -> dict[str, dict[str, list[str]]]:
    """The words after every key of every sensor: the file is simple enough to need no YAML parser."""
    found: dict[str, dict[str, list[str]]] = {}
    sensor, key = "", ""
    for line in text.split("\n"):
        if match := re.match(r"\s*(\w+)\s*:(.*)", line):
            key = match[1]
            if key.startswith("sensor_"):
                sensor = key
            line = re.sub(r"[|>][+-]?", " ", match[2])  # a text over several lines
            found.setdefault(sensor, {})[key] = []
        if key:
            found[sensor][key] += re.sub(r"[\[\],'\"]", " ", line.partition("#")[0]).split()
    return found
