"""3DPW: people outdoors before a phone that moves; poses from inertial sensors and the video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets._native import blocks, known_rows
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets._pickled import field, load_pickle
from skelbridge.datasets._pictures import size_of
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged
from skelbridge.store.samples import Samples

#: Sizes of the pictures where none is there to be asked; the principal point lies in the middle.
LANDSCAPE, PORTRAIT = (1920, 1080), (1080, 1920)


class ThreeDpw(Reader):
    """Every frame of every person in which the camera's pose is valid and the person was detected."""

    id = "threedpw"
    skeletons = ("smpl_24", "coco_18")

    def parts(self) -> list[Part]:
        found = map(PurePosixPath, self.tree.require("sequenceFiles/*/*.pkl", "the sequences of 3DPW"))
        return [Part(path.stem, path.parent.name, (str(path),)) for path in found]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        content = load_pickle(self.tree, path)
        poses = self._array(path, content, (None, 4, 4), "cam_poses", missing=True)  # what is not valid may be anything
        matrix = self._array(path, content, (3, 3), "cam_intrinsics")
        size = self._size(part.key, matrix)
        people = self._people(path, content, "jointPositions")
        for person in range(len(people)):
            points, detected, valid = (
                array(
                    self.tree.root / path,
                    f"{name} of person {person}",
                    values[person],
                    (len(poses), *shape),
                    missing=True,
                )
                for name, values, shape in (
                    ("jointPositions", people, (72,)),
                    ("poses2d", self._people(path, content, "poses2d", "poses2D", count=len(people)), (3, 18)),
                    ("campose_valid", self._people(path, content, "campose_valid", count=len(people)), ()),
                )
            )
            world, image = None, None
            if self.skeleton.id == "smpl_24":
                given = world = 1000 * points.reshape(-1, 24, 3)
            else:
                given = image = np.where(detected[:, 2:] > 0, detected[:, :2], np.nan).transpose(0, 2, 1)
            rows = self._rows(given, detected, valid)
            for kept in (rows[block] for block in blocks(len(rows))):
                yield Samples.of(
                    self.skeleton,
                    world=None if world is None else world[kept],
                    points2d=None if image is None else image[kept],
                    camera=[
                        camera(self.tree.root / path, f"cam_poses {row}", matrix, pose[:3, :3], pose[:3, 3] * 1000)
                        for row, pose in zip(kept, poses[kept], strict=True)
                    ],
                    world_known=True,
                    frame=kept,
                    person=person,
                    image=[f"imageFiles/{part.key}/image_{row:05d}.jpg" for row in kept],
                    image_size=size,
                    split=part.split,
                    sequence=part.key,
                    native=path,
                )

    def _rows(self, points: NDArray[Any], detected: NDArray[Any], valid: NDArray[Any]) -> NDArray[np.intp]:
        """The frames in which the person is labelled."""
        seen = detected.any(axis=(1, 2))
        self.notes.drop("the camera's pose is not valid", int((valid == 0).sum()))
        self.notes.drop("the person was not detected", int(((valid != 0) & ~seen).sum()))
        rows = np.flatnonzero((valid != 0) & seen)
        return rows[known_rows(points[rows], self.notes)]

    def _array(
        self, path: str, content: dict[str, Any], shape: tuple[int | None, ...], name: str, missing: bool = False
    ) -> NDArray[Any]:
        return array(self.tree.root / path, name, field(self.tree, path, content, name), shape, missing=missing)

    def _people(self, path: str, content: dict[str, Any], *names: str, count: int | None = None) -> Any:
        """The list of what every person has under a name, which is spelt in several ways."""
        values = field(self.tree, path, content, *names)
        if not isinstance(values, (list, tuple)) or count not in (None, len(values)):
            raise damaged(self.tree.root / path, names[0], expected=f"one of each of {count or 'the'} people")
        return values

    def _size(self, sequence: str, matrix: NDArray[Any]) -> tuple[int, int]:
        """Width and height of the sequence's pictures: of the first, else as the principal point says."""
        size = size_of(self.tree, f"imageFiles/{sequence}/image_00000.jpg")
        return size if size != (0, 0) else PORTRAIT if matrix[1, 2] > matrix[0, 2] else LANDSCAPE
