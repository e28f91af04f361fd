"""HUMBI: people in a dome of 107 cameras; triangulated joints and fitted SMPL bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import known_rows
from skelbridge.datasets._parse import camera
from skelbridge.datasets._smpl import BodyModel
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import MAX_ABS, damaged
from skelbridge.store.samples import Samples

SIZE = (1920, 1080)

#: Lines before the cameras in the calibration's files.
HEADER = 3


class Humbi(Reader):
    """Every annotated moment of every person, in each calibrated camera that has a picture of it."""

    id = "humbi"
    skeletons = ("body_25", "smpl_24")

    def parts(self) -> list[Part]:
        self.tree.require("subject_*/body/intrinsic.txt", "HUMBI's body part")
        folders = [PurePosixPath(path).parts[0] for path in self.tree.folders("subject_*/body")]
        return [Part(folder, "train") for folder in folders]

    def read(self, part: Part) -> Iterator[Samples]:
        cameras = self._cameras(part.key)
        name = "keypoints.txt" if self.skeleton.id == "body_25" else "smpl_parameter.txt"
        found = self.tree.glob(f"{part.key}/body/*/reconstruction/{name}")
        paths = [path for path in found if PurePosixPath(path).parts[2].isdecimal()]
        points = self._points(paths)
        for row in known_rows(points, self.notes):
            folder = "/".join(PurePosixPath(paths[row]).parts[:3])
            views = self._views(folder, cameras)
            if not views:
                self.notes.drop("no picture of a calibrated camera")
                continue
            yield Samples.of(
                self.skeleton,
                world=np.repeat(points[row : row + 1], len(views), axis=0),
                camera=[cameras[view] for view in views],
                frame=int(PurePosixPath(folder).name),
                image=[f"{folder}/image/image{view:07d}.jpg" for view in views],
                image_size=SIZE,
                split=part.split,
                subject=part.key.removeprefix("subject_"),
                sequence=part.key,
                view=[str(view) for view in views],
                native=paths[row],
            )

    def _views(self, folder: str, cameras: dict[int, Camera]) -> list[int]:
        """The calibrated cameras with a picture; all of them where there are no pictures at all."""
        names = [PurePosixPath(path).stem for path in self.tree.glob(f"{folder}/image/image*.jpg")]
        if not names and not self.tree.folders(f"{folder}/image"):
            return sorted(cameras)
        seen = {int(name.removeprefix("image")) for name in names if name.removeprefix("image").isdecimal()}
        return sorted(seen & set(cameras))

    def _points(self, paths: list[str]) -> NDArray[np.float64]:
        """The joints of every moment, (F, J, 3) mm."""
        if not paths:
            return np.empty((0, len(self.skeleton), 3))
        count = 75 if self.skeleton.id == "body_25" else 86
        rows = np.stack([self._numbers(path, count) for path in paths])
        if self.skeleton.id == "body_25":
            joints = rows.reshape(-1, 25, 3)
            unplaced = np.abs(joints).sum(axis=-1) == 0  # the origin lies in the dome, but on nobody
            self.notes.repair("joints at (0, 0, 0) taken as missing", int(unplaced.sum()))
            return 1000 * np.where(unplaced[..., None], np.nan, joints)
        whole = np.isfinite(rows.sum(axis=1))
        scale, place, pose, betas = np.split(np.where(whole[:, None], rows, 0), [1, 4, 76], axis=1)
        joints = BodyModel.load(self.models, "smpl", "neutral", self.id).joints(pose, betas)
        return 1000 * np.where(whole[:, None, None], scale[:, None] * joints + place[:, None], np.nan)

    def _numbers(self, path: str, count: int) -> NDArray[np.float64]:
        """The numbers of a text file; words that are none are NaN."""
        words = self.tree.read_text(path).split()
        if len(words) != count:
            raise damaged(self.tree.root / path, "", expected=f"{count} numbers", got=len(words))
        return np.array([_number(word) for word in words])

    def _cameras(self, subject: str) -> dict[int, Camera]:
        """The cameras that are in both files of the calibration, by their ids."""
        inner = self._blocks(f"{subject}/body/intrinsic.txt", 3)
        outer = self._blocks(f"{subject}/body/extrinsic.txt", 4)
        file = self.tree.root / subject / "body/extrinsic.txt"
        found = {}
        for number in sorted(set(inner) & set(outer)):
            at, rotation = 1000 * outer[number][0], outer[number][1:]
            found[number] = camera(file, f"camera {number}", inner[number], rotation, -rotation @ at)
        return found

    def _blocks(self, path: str, rows: int) -> dict[int, NDArray[np.float64]]:
        """What a file has for every camera: a line with its id, then `rows` lines of three numbers."""
        lines = [line.split() for line in self.tree.read_text(path).splitlines()[HEADER:] if line.strip()]
        found = {}
        for start in range(0, len(lines), rows + 1):
            head, block = lines[start], lines[start + 1 : start + rows + 1]
            numbers = np.array([_number(word) for line in block for word in line])
            if len(head) < 2 or not re.fullmatch(r"\d{1,7}", head[1]) or numbers.shape != (3 * rows,):
                expected = f"a line with a camera's id, then {rows} lines of 3 numbers"
                raise damaged(
                    self.tree.root / path, f"block {start // (rows + 1)}", expected=expected, got=" ".join(head)
                )
            found[int(head[1])] = numbers.reshape(rows, 3)
        return found


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        return np.nan
    return value if abs(value) < MAX_ABS else np.nan
