"""BEHAVE: people and objects before four depth cameras, one picture a second; triangulated joints and fitted bodies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import blocks, known_rows, pinhole
from skelbridge.datasets._parse import array, camera, load
from skelbridge.datasets._pickled import field, load_pickle
from skelbridge.datasets._smpl import BodyModel, smpl_gender
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.store.samples import Samples

LENS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")


class Behave(Reader):
    """Every second of every sequence in which the person was triangulated and fitted, in each of its cameras."""

    id = "behave"
    skeletons = ("body_25", "smplh_52", "smpl_24")
    choices = {  # noqa: RUF012
        "min_score": Choice(0.0, "triangulated joints with a score of this or less are missing"),
    }

    def parts(self) -> list[Part]:
        path = self.tree.first("split.json", "sequences/split.json")
        train = set(map(str, entry(self.tree.root / path, "the file", load(self.tree, path), "train")))
        names = [
            PurePosixPath(path).parent.name for path in self.tree.require("sequences/*/info.json", "BEHAVE's sequences")
        ]
        return [Part(name, "train" if name in train else "test") for name in names]

    def read(self, part: Part) -> Iterator[Samples]:
        folder = f"sequences/{part.key}"
        info = load(self.tree, f"{folder}/info.json")
        file = self.tree.root / folder / "info.json"
        views = array(file, "kinects", entry(file, "the file", info, "kinects"), (None,)).astype(int)
        times, files, points = self._points(folder, info)
        rows = known_rows(points, self.notes)
        words = part.key.split("_")
        for view in views:
            lens, size = self._camera(words[0], view)
            for kept in (rows[block] for block in blocks(len(rows))):
                yield Samples.of(
                    self.skeleton,
                    world=points[kept],
                    camera=lens,
                    frame=[int(float(times[row][1:])) for row in kept],
                    image=[f"{folder}/{times[row]}/k{view}.color.jpg" for row in kept],
                    image_size=size,
                    split=part.split,
                    subject=words[1] if len(words) > 1 else "",
                    sequence=part.key,
                    activity="_".join(words[2:]),
                    view=f"k{view}",
                    native=[files[row] for row in kept],
                )

    def _points(self, folder: str, info: Any) -> tuple[list[str], list[str], NDArray[np.float64]]:
        """The seconds (folders) that have both annotations, the file that was read, and its joints, (F, J, 3) mm."""
        times, files, found = [], [], []
        for second in self.tree.folders(f"{folder}/t*"):
            joints, body = f"{second}/person/person_J3d.json", f"{second}/person/fit02/person_fit.pkl"
            if not (self.tree.exists(joints) and self.tree.exists(body)):
                self.notes.drop("the second has no joints, or no body")
                continue
            name = PurePosixPath(second).name
            if not name[1:].replace(".", "", 1).isdecimal():
                raise damaged(self.tree.root / second, "", expected="a folder t and seconds", got=name)
            path = joints if self.skeleton.id == "body_25" else body
            times.append(name)
            files.append(path)
            found.append(self._triangulated(path) if path == joints else self._parameters(path))
        if not found:
            return times, files, np.empty((0, len(self.skeleton), 3))
        points = np.stack(found)
        return times, files, points if self.skeleton.id == "body_25" else self._bodies(folder, info, points)

    def _triangulated(self, path: str) -> NDArray[np.float64]:
        file, content = self.tree.root / path, load(self.tree, path)
        said = entry(file, "the file", content, "body_joints3d")
        joints = array(file, "body_joints3d", said, (100,), missing=True).reshape(25, 4)
        known = joints[:, 3] > float(self.settings["min_score"])
        return 1000 * np.where(known[:, None], joints[:, :3], np.nan)

    def _parameters(self, path: str) -> NDArray[np.float64]:
        """Pose (156), shape (10) and place (3) of a body, in one row."""
        content = load_pickle(self.tree, path)
        sizes = {"pose": 156, "betas": 10, "trans": 3}
        return np.concatenate(
            [
                array(self.tree.root / path, name, field(self.tree, path, content, name), (size,))
                for name, size in sizes.items()
            ]
        )

    def _bodies(self, folder: str, info: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        pose, betas, place = np.split(rows, [156, 166], axis=1)
        path = self.tree.root / folder / "info.json"
        gender = smpl_gender(entry(path, "the file", info, "gender", str), path, "gender")
        if self.skeleton.id == "smplh_52":
            return 1000 * BodyModel.load(self.models, "smplh", gender, self.id).joints(pose, betas, place)
        # what follows in the pose are fingers, while SMPL's last two joints are whole hands: those are left straight
        pose = np.concatenate([pose[:, :66], np.zeros((len(pose), 6))], axis=1)
        return 1000 * BodyModel.load(self.models, "smpl", gender, self.id).joints(pose, betas, place)

    def _camera(self, date: str, view: int) -> tuple[Camera, NDArray[np.intp]]:
        """The colour camera of a Kinect, and the size of its pictures. The file has its place: camera to world."""
        path = f"calibs/intrinsics/{view}/calibration.json"
        file = self.tree.root / path
        said = entry(file, "the file", load(self.tree, path), "color", dict)
        names = ("fx", "fy", "cx", "cy", *LENS, "width", "height")
        inner = array(file, "color", [entry(file, "color", said, name, (int, float)) for name in names], (14,))
        path = f"calibs/{date}/config/{view}/config.json"
        file, content = self.tree.root / path, load(self.tree, path)
        turn = array(file, "rotation", entry(file, "the file", content, "rotation"), (9,)).reshape(3, 3)
        at = 1000 * array(file, "translation", entry(file, "the file", content, "translation"), (3,))
        lens = camera(file, "", pinhole(*inner[:4]), turn.T, -turn.T @ at, inner[4:12])
        return lens, inner[12:].astype(int)
