"""HUMAN4D: actors with optical markers before four depth cameras that lie on their side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import blocks, known_rows
from skelbridge.datasets._parse import array, camera, load
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.io.pickles import read_npy
from skelbridge.store.samples import Samples

SIZE = (1280, 720)

#: The neck again, which the second arm hangs on.
TWICE = 15

_NO_BOX = np.full(4, np.nan)


class Human4d(Reader):
    """Every person of every frame set that has a pose, in the colour pictures as they are stored: on their side."""

    id = "human4d"
    skeletons = ("human4d_33", "human4d_32")
    choices = {  # noqa: RUF012
        "pose_shift": Choice(0, "added to the number of a picture's pose; some use 1 (which is right is not settled)"),
    }

    def parts(self) -> list[Part]:
        self.tree.require("*/*/Dump/gposes3d/*.npy", "HUMAN4D's poses")
        folders = [PurePosixPath(path).parts[:2] for path in self.tree.folders("*/*/Dump/gposes3d")]
        return [Part("/".join(folder), "train") for folder in folders]

    def read(self, part: Part) -> Iterator[Samples]:
        subject, recording = part.key.split("/")
        first = self._offset(subject, recording) - int(self.settings["pose_shift"])
        poses = {
            int(PurePosixPath(path).stem) + first: path
            for path in self.tree.glob(f"{part.key}/Dump/gposes3d/*.npy")
            if PurePosixPath(path).stem.isdecimal()
        }
        points = {group: self._pose(path) for group, path in poses.items()}
        for device, lens in self._cameras(subject).items():
            pictures, boxes = list(self._pictures(part.key, device, sorted(poses))), self._boxes(part.key, device)
            self.notes.drop("no pose of the frame set", sum(group not in points for group, _ in pictures))
            seen = [(group, image, n) for group, image in pictures for n in range(len(points.get(group, ())))]
            for some in blocks(len(seen)):
                world = np.stack([points[group][person] for group, _, person in seen[some]])
                rows = known_rows(world, self.notes)
                if not len(rows):
                    continue
                groups, images, people = zip(*(seen[some][row] for row in rows), strict=True)
                yield Samples.of(
                    self.skeleton,
                    world=world[rows],
                    camera=lens,
                    box=[boxes.get((group - first, n), _NO_BOX) for group, n in zip(groups, people, strict=True)],
                    frame=groups,
                    person=people,
                    image=images,
                    image_size=SIZE,
                    split=part.split,
                    subject=subject,
                    sequence=part.key,
                    view=device,
                    native=[poses[group] for group in groups],
                )

    def _boxes(self, recording: str, device: str) -> dict[tuple[int, int], NDArray[np.float64]]:
        """Left, top, width, height in the colour picture, by pose and person, as far as the files have them."""
        found = {}
        for path in self.tree.glob(f"{recording}/*{device}*bbox*.npy"):
            with self.tree.open(path) as stream:
                corners = read_npy(stream, self.tree.root / path)
            corners = corners[:, None] if corners.ndim == 2 else corners  # of one person
            corners = array(self.tree.root / path, "", corners, (None, None, 4), missing=True)
            sides = corners[..., 2:] - corners[..., :2]
            for pose, person in zip(*np.nonzero((sides > 0).all(axis=-1)), strict=True):
                found[int(pose), int(person)] = np.append(corners[pose, person, :2], sides[pose, person])
        return found

    def _pose(self, path: str) -> NDArray[np.float64]:
        """The joints of all people in a file, (people, J, 3) mm."""
        with self.tree.open(path) as stream:
            content = read_npy(stream, self.tree.root / path)
        joints = array(self.tree.root / path, "", content, (None, 33, 3), missing=True)
        return np.delete(joints, TWICE, axis=1) if self.skeleton.id == "human4d_32" else joints

    def _pictures(self, recording: str, device: str, groups: list[int]) -> Iterator[tuple[int, str]]:
        """Frame set and path of a camera's pictures; of all poses, and no path, where there are no pictures."""
        folder = f"{recording}/Dump/color"
        paths = self.tree.glob(f"{folder}/*_{device}_color_*.png")
        if not paths and not self.tree.folders(folder):
            yield from ((group, "") for group in groups)
        for path in paths:
            group = PurePosixPath(path).name.partition("_")[0]
            if not (group.isdecimal() and len(group) < 10):
                raise damaged(self.tree.root / path, "", expected="a name that starts with a frame set", got=group)
            yield int(group), path

    def _offset(self, subject: str, recording: str) -> int:
        """The frame set of the recording's first pose."""
        path = f"{subject}/offsets.txt"
        for line in self.tree.read_text(path).splitlines():
            words = line.split("\t")
            if words[0].strip() == recording:
                try:
                    return int(words[1])
                except (IndexError, ValueError):
                    raise damaged(self.tree.root / path, recording, expected="a name and numbers", got=line) from None
        raise damaged(self.tree.root / path, "", expected=f"a line that starts with {recording}", got="none")

    def _cameras(self, subject: str) -> dict[str, Camera]:
        """The colour cameras by their devices' names.

        A device has the place of its depth sensor, sensor to world, and that of the colour camera from the sensor.
        """
        path = f"{subject}/device_repository.json"
        file, content = self.tree.root / path, load(self.tree, path)
        if not isinstance(content, list):
            raise damaged(file, "", expected="a list of devices", got=type(content).__name__)
        found = {}
        for number, device in enumerate(content):
            name = entry(file, f"device {number}", device, "Device", str)
            if not re.fullmatch(r"\w+", name):
                raise damaged(file, f"device {number}, 'Device'", expected="a name", got=name)
            place = f"{subject}/pose/{name}.extrinsics"
            if self.tree.exists(place):
                found[name] = self._camera(path, name, device, place)
            else:
                self.notes.remark(f"Camera {name} of {subject} has no place, and is left out.")
        return found

    def _camera(self, path: str, name: str, device: dict[str, Any], place: str) -> Camera:
        file = self.tree.root / path
        lenses = entry(file, name, device, "Color Intrinsics")
        inner = entry(file, name, lenses[0] if lenses else {}, "1280x720")
        matrix = array(file, f"{name}, Color Intrinsics", inner, (9,)).reshape(3, 3)
        turn = array(file, name, entry(file, name, device, "Color Depth Rotation"), (9,)).reshape(3, 3)
        shift = 1000 * array(file, name, entry(file, name, device, "Color Depth Translation"), (3,))
        try:
            said: Any = [float(word) for word in self.tree.read_text(place).split()]
        except ValueError as error:
            raise damaged(self.tree.root / place, "", expected="numbers", got=str(error)) from error
        sensor = array(self.tree.root / place, "", said, (12,)).reshape(4, 3)
        rotation = turn.T @ sensor[:3].T
        return camera(file, name, matrix, rotation, -rotation @ sensor[3] - turn.T @ shift)
