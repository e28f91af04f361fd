"""MPI-INF-3DHP: eight people seen by fourteen cameras, captured without markers, and a test set of six sequences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skelbridge.camera import Camera
from skelbridge.datasets import _tdhp
from skelbridge.datasets._native import Floats, blocks, fitted_pinhole, known_rows, mat, placed
from skelbridge.datasets._parse import array, camera, video_length
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.skeletons import skeleton
from skelbridge.store.samples import Samples

_TEST_FOLDERS = ("mpi_inf_3dhp_test_set", "mpi_inf_3dhp_test_set/mpi_inf_3dhp_test_set", "")
_ACTIVITIES = ("Stand/Walk", "Exercise", "Sit on Chair", "Reach/Crouch", "On Floor", "Sports", "Misc")


@dataclass(frozen=True)
class _TestCamera:
    """A test camera as its .calib file has it: centre in mm, up and right in the world."""

    file: str
    size: tuple[int, int]
    origin: tuple[float, float, float]
    up: tuple[float, float, float]
    right: tuple[float, float, float]


_STUDIO = _TestCamera(
    "ts1-4cameras.calib",
    (2048, 2048),
    (3427.28, 1387.86, 309.42),
    (-0.208215, 0.976233, 0.06014),
    (0.000575281, 0.0616098, -0.9981),
)
_OUTDOORS = _TestCamera(
    "ts5-6cameras.calib",
    (1920, 1080),
    (-2104.3074, 1038.6707, -4596.6367),
    (0.025272345, 0.995038509, 0.096227370),
    (-0.939647257, -0.009210289, 0.342020929),
)

#: Joints of the test set whose 2D and 3D annotations do not mean the same point.
_UNLIKE = ("right_hip", "left_hip", "spine")


class MpiInf3dhp(Reader):
    """A part is one recording with all its cameras, or one test sequence, of which invalid frames are left out."""

    id = "mpi_inf_3dhp"
    skeletons = ("mpi_inf_3dhp_28", "mpi_inf_3dhp_17", "mpi_inf_3dhp_21")
    choices: ClassVar[Mapping[str, Choice]] = {
        "cameras": Choice("all", "cameras of the recordings: all, or numbers such as 0,1,2,4,5,6,7,8"),
        "pose": Choice("metric", "metric (annot3), or universal: univ_annot3, the same poses at one body size"),
    }

    def parts(self) -> list[Part]:
        if self.settings["pose"] not in ("metric", "universal"):
            raise InputError("the setting pose", expected="metric or universal", got=self.settings["pose"])
        self._chosen_views()
        recordings = [path.removesuffix("/annot.mat") for path in self.tree.glob("S[1-8]/Seq[12]/annot.mat")]
        tests = [
            path for folder in _TEST_FOLDERS for path in self.tree.glob(f"{folder}/TS[1-6]/annot_data.mat".strip("/"))
        ]
        if not recordings and not tests:
            self.tree.require("S[1-8]/Seq[12]/annot.mat", "a recording's annotations")
        train = [Part(name, "train", (name,)) for name in recordings]
        return train + [Part(path.split("/")[-2], "test", (path.rpartition("/")[0],)) for path in tests]

    def read(self, part: Part) -> Iterator[Samples]:
        (folder,) = part.args
        yield from self._test(folder) if part.split == "test" else self._recording(folder)

    def _chosen_views(self) -> set[int] | None:
        words = str(self.settings["cameras"])
        if words == "all":
            return None
        if not re.fullmatch(r"\d{1,2}(,\d{1,2})*", words):
            raise InputError("the setting cameras", expected="all, or numbers such as 0,2,7", got=words)
        return {int(word) for word in words.split(",")}

    def _recording(self, folder: str) -> Iterator[Samples]:
        path = f"{folder}/annot.mat"
        lenses = _tdhp.calibration(self.tree, f"{folder}/camera.calibration")
        deep = _tdhp.rows_by_view(self.tree, path, self._variable(), 3)
        flat = _tdhp.rows_by_view(self.tree, path, "annot2", 2)
        wanted = self._chosen_views()
        filmed = {view for view in deep if self.tree.exists(self._video(folder, view))}
        for view in deep:
            if wanted is not None and view not in wanted:
                continue
            if filmed and view not in filmed:
                self.notes.drop("cameras without a video where others have one", len(deep[view]))
                continue
            if view not in lenses or len(flat.get(view, ())) != len(deep[view]):
                expected = f"camera {view} calibrated, with as many rows of annot2 as of annot3"
                raise damaged(self.tree.root / path, "", expected=expected)
            yield from self._view(folder, view, deep[view], flat[view], *lenses[view])

    def _video(self, folder: str, view: int) -> str:
        return f"{folder}/imageSequence/video_{view}.avi"

    def _variable(self) -> str:
        return "annot3" if self.settings["pose"] == "metric" else "univ_annot3"

    def _view(
        self, folder: str, view: int, deep: Floats, flat: Floats, lens: Camera, size: tuple[int, int]
    ) -> Iterator[Samples]:
        video = self._video(folder, view)
        length = video_length(self.tree, video)
        count = _tdhp.frame_count(folder, view, len(deep) if length is None else min(length, len(deep)))
        self.notes.drop("rows beyond the end of the video", len(deep) - count)
        deep, flat = (_tdhp.with_sides(points[:count], folder) for points in (deep, flat))
        rows = known_rows(deep, self.notes)
        if exchanged := _tdhp.swapped(folder, rows):
            self.notes.repair(_tdhp.SIDES, exchanged)
        for some in blocks(len(rows)):
            yield Samples.of(
                self.skeleton,
                points=placed(deep[rows[some]], "mpi_inf_3dhp_28", self.skeleton),
                points2d=placed(flat[rows[some]], "mpi_inf_3dhp_28", self.skeleton),
                camera=lens,
                world_known=True,
                frame=rows[some],
                video_frame=rows[some],
                image_size=size,
                split="train",
                subject=folder.split("/")[0],
                sequence=folder,
                view=str(view),
                image="" if length is None else video,
                native=f"{folder}/annot.mat",
            )

    def _test(self, folder: str) -> Iterator[Samples]:
        path, name = f"{folder}/annot_data.mat", folder.rpartition("/")[2]
        joints = {"annot2": 2, "annot3": 3, self._variable(): 3}
        values = mat(self.tree, path, (*joints, "valid_frame", "activity_annotation"))
        found = {  # MATLAB's axes are coordinates, joints, one, frames
            variable: array(self.tree.root / path, variable, values[variable], (width, 17, 1, None))[:, :, 0].T
            for variable, width in joints.items()
        }
        valid, activity = (
            array(self.tree.root / path, key, values[key], (None, None)).ravel()
            for key in ("valid_frame", "activity_annotation")
        )
        if len({len(rows) for rows in (*found.values(), valid, activity)}) > 1:
            raise damaged(self.tree.root / path, "", expected="as many rows in every variable", got="different counts")
        rows = np.flatnonzero(valid == 1)
        if len(rows) < len(valid):
            self.notes.drop("invalid frames of the test set", len(valid) - len(rows))
        deep, flat = found[self._variable()], found["annot2"]
        lens, size = self._test_camera(folder, found["annot3"][rows], flat[rows])
        rows = rows[known_rows(deep[rows], self.notes)]
        images = [f"{folder}/imageSequence/img_{row + 1:06d}.jpg" for row in rows]
        for some in blocks(len(rows)):
            yield Samples.of(
                self.skeleton,
                points=placed(deep[rows[some]], "mpi_inf_3dhp_17", self.skeleton),
                points2d=placed(flat[rows[some]], "mpi_inf_3dhp_17", self.skeleton),
                camera=lens,
                world_known=True,
                frame=rows[some],
                image_size=size,
                split="test",
                subject=name,
                sequence=name,
                activity=[_ACTIVITIES[int(code) - 1] if code in range(1, 8) else "" for code in activity[rows[some]]],
                image=[image if self.tree.exists(image) else "" for image in images[some]],
                native=path,
            )

    def _test_camera(self, folder: str, deep: Floats, flat: Floats) -> tuple[Camera, tuple[int, int]]:
        """Where the camera stands by its calibration, its matrix by the annotations.

        The calibrated matrix is not that of the annotations: TS2 lies 6 pixels off, TS5 and TS6 show no distortion.
        """
        name = folder.rpartition("/")[2]
        known = _OUTDOORS if name in ("TS5", "TS6") else _STUDIO
        path = f"{folder.rpartition('/')[0]}/test_util/camera_calibration/{known.file}".lstrip("/")
        text = self.tree.read_text(path) if self.tree.exists(path) else ""
        origin = np.array(_three(text, "origin") or known.origin)
        up, right = np.array(_three(text, "up") or known.up), np.array(_three(text, "right") or known.right)
        rotation = np.stack([right, -up, np.cross(up, right)])
        like = [joint for joint, word in enumerate(skeleton("mpi_inf_3dhp_17").names) if word not in _UNLIKE]
        matrix = fitted_pinhole(deep[:, like].reshape(-1, 3), flat[:, like].reshape(-1, 2))
        return camera(
            self.tree.root / folder, "the camera of annot2 and annot3", matrix, rotation, -rotation @ origin
        ), known.size


def _three(text: str, key: str) -> tuple[float, ...]:
    """The three numbers after a word of a calibration file, nothing where there are none."""
    number = r"([-+]?\d[\d.]*(?:[eE][-+]?\d+)?)"
    found = re.search(rf"\b{key}\b[^\d+-]*{number}[\s,]+{number}[\s,]+{number}", text)
    try:
        return tuple(float(word) for word in found.groups()) if found else ()
    except ValueError:
        return ()
