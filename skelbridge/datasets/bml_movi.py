"""BML-MoVi: 67 skin and 20 virtual markers of ninety people, seen by two calibrated cameras."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.datasets._native import Floats, blocks, cells, field, known_rows, mat, placed
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.pickles import read_npz
from skelbridge.io.video import Video
from skelbridge.skeletons import skeleton
from skelbridge.store.samples import Samples

VIEWS, SIZE = ("PG1", "PG2"), (800, 600)

#: Markers are recorded at 120 a second, pictures at 30: frame f of the video is row 4 f.
_STEP = 4

#: Of the 17 markers of the rounds S1 and S2, those whose place among the 87 is known.
_FEW = (0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16)
_FEW_AMONG_ALL = (5, 6, 12, 13, 20, 36, 37, 43, 44, 51, 67, 71, 77, 79, 85)

_CALIBRATIONS = ("Calib/", "", "Camera_patameters/", "Camera Parameters/")


class BmlMovi(Reader):
    """A part is a round of one person with both cameras; the phones' videos are not calibrated and are left out."""

    id = "bml_movi"
    skeletons = ("bml_movi_87", "bml_movi_20")

    def parts(self) -> list[Part]:
        names = r"(F|S)_v3d_Subject_(\d+)\.mat"
        found = [
            path for path in self.tree.glob("**/*_v3d_Subject_*.mat") if re.fullmatch(names, path.rpartition("/")[2])
        ]
        if not found:
            self.tree.require("F_Subjects_1_45/F_v3d_Subject_*.mat", "a person's markers")
        for view in VIEWS:
            self._camera(view)
        parts = []
        for path in found:
            letter, number = re.fullmatch(names, path.rpartition("/")[2]).groups()  # type: ignore[union-attr]
            for name in ("F",) if letter == "F" else ("S1", "S2"):
                parts.append(Part(f"Subject_{number}/{name}", "train", (path, int(number), name)))
        return parts

    def read(self, part: Part) -> Iterator[Samples]:
        path, number, name = part.args
        label = f"Subject_{number}_{name[0]}"
        moves = cells(
            self.tree,
            path,
            "move",
            field(self.tree, path, "", mat(self.tree, path, (label,)), label, "move"),
            (None, None),
        )
        moves = moves.ravel()
        if not len(moves):
            raise damaged(self.tree.root / path, "move", expected="a struct a round", got="none")
        if name == "S2" and len(moves) < 2:
            return
        move = moves[1 if name == "S2" else 0]
        points = self._markers(path, move, name)[::_STEP]
        activity = self._activities(path, move, len(points))
        for view in VIEWS:
            yield from self._seen(part, view, points, activity)

    def _seen(self, part: Part, view: str, points: Floats, activity: list[str]) -> Iterator[Samples]:
        path, number, name = part.args
        video = self._video(f"{name}_{view}_Subject_{number}_L.avi")
        if video:
            with Video(self.tree.open(video), str(self.tree.root / video)) as film:
                if len(film) < len(points):
                    self.notes.drop("markers after the end of the video", len(points) - len(film))
                    points = points[: len(film)]
        rows = known_rows(points, self.notes)
        for some in blocks(len(rows)):
            yield Samples.of(
                self.skeleton,
                world=placed(points[rows[some]], "bml_movi_87", self.skeleton),
                camera=self._camera(view),
                frame=rows[some],
                video_frame=rows[some],
                image_size=SIZE,
                split=part.split,
                subject=str(number),
                sequence=part.key,
                activity=[activity[row] for row in rows[some]],
                view=view,
                image=video,
                native=path,
            )

    def _markers(self, path: str, move: Any, name: str) -> Floats:
        """All 87 markers of every row, (F, 87, 3) mm; NaN where they are missing, which the files write as 0, 0, 0."""
        values = field(self.tree, path, f"round {name}", move, "markerLocation")
        found = array(
            self.tree.root / path, "markerLocation", values, (None, 87 if name == "F" else 17, 3), missing=True
        )
        found = np.where((found == 0).all(axis=-1, keepdims=True), np.nan, found)
        if name == "F":
            return found
        everything = np.full((len(found), len(skeleton("bml_movi_87")), 3), np.nan)
        everything[:, _FEW_AMONG_ALL] = found[:, _FEW]
        return everything

    def _activities(self, path: str, move: Any, count: int) -> list[str]:
        """The motion of each frame of the video, empty between motions; flags30 counts from 1 to the last inclusive."""
        words = [""] * count
        names, flags = (move.get(key) for key in ("motions_list", "flags30"))
        if names is None or flags is None:
            return words
        names = [str(word) for word in np.ravel(names)]
        for name, (first, last) in zip(
            names, array(self.tree.root / path, "flags30", flags, (len(names), 2)), strict=True
        ):
            if not 0 <= first <= last + 1:
                raise damaged(self.tree.root / path, "flags30", expected="first and last frames", got=(first, last))
            for frame in range(max(int(first) - 1, 0), min(int(last), count)):
                words[frame] = name
        return words

    def _video(self, name: str) -> str:
        return next(iter(self.tree.glob(f"**/{name}")), "")

    def _camera(self, view: str) -> Camera:
        """MATLAB's matrices act on rows: they are transposed here."""
        inner = self.tree.first(*(f"{folder}cameraParams_{view}.npz" for folder in _CALIBRATIONS))
        outer = self.tree.first(*(f"{folder}Extrinsics_{view}.npz" for folder in _CALIBRATIONS))
        values = {}
        for path, shapes in (
            (inner, {"IntrinsicMatrix": (3, 3), "RadialDistortion": (2,)}),
            (outer, {"rotationMatrix": (3, 3), "translationVector": (3,)}),
        ):
            with self.tree.open(path) as stream:
                file = read_npz(stream, str(self.tree.root / path))
            for name, shape in shapes.items():
                if name not in file:
                    raise damaged(self.tree.root / path, "", expected=f"the array {name}", got=", ".join(file))
                found = np.squeeze(file[name]) if len(shape) == 1 else file[name]
                values[name] = array(self.tree.root / path, name, found, shape)
        k1, k2 = values["RadialDistortion"]
        return camera(
            self.tree.root / inner,
            f"camera {view}",
            values["IntrinsicMatrix"].T,
            values["rotationMatrix"].T,
            values["translationVector"],
            (k1, k2),
        )
