"""MADS: martial arts, dancing and sports, 15 or 19 joints, seen by three cameras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets._native import Floats, blocks, cells, known_rows, mat, pinhole, placed
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.video import Video
from skelbridge.store.samples import Samples

VIEWS = ("0", "1", "2")

#: Of the stereo part, the activities whose files have the rotation the wrong way about.
_TURNED = ("Kata",)


class Mads(Reader):
    """A part is a sequence with its cameras: three of the multi-view data, the left one of the stereo data."""

    id = "mads"
    skeletons = ("mads_19", "mads_15")
    choices: ClassVar[Mapping[str, Choice]] = {
        "stereo": Choice(False, "read depth_data too, as its left camera saw it; why Kata's is turned about is open"),
    }

    def parts(self) -> list[Part]:
        found, stereo = (self.tree.glob(f"{top}/*/*_GT.mat") for top in ("multi_view_data", "depth_data"))
        if stereo and not self.settings["stereo"]:
            self.notes.remark("depth_data (a stereo camera) is not read; --set stereo=true reads its left pictures")
            stereo = []
        if not found + stereo:
            self.tree.require("multi_view_data/*/*_GT.mat", "a sequence's joints")
        names = {path: path.rpartition("/")[2].removesuffix("_GT.mat") for path in found + stereo}
        return [Part(f"depth/{name}" if path in stereo else name, "train", (path,)) for path, name in names.items()]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        world, given = self._poses(path)
        world = placed(world, given, self.skeleton)
        activity, stem = path.split("/")[1], path.removesuffix("_GT.mat")
        for view, lens in self._cameras(path):
            video = f"{stem}_{view}.avi"
            video = video if self.tree.exists(video) else ""
            size, length = self._film(video, len(world))
            rows = known_rows(world[:length], self.notes)
            for some in blocks(len(rows)):
                yield Samples.of(
                    self.skeleton,
                    world=world[rows[some]],
                    camera=lens,
                    frame=rows[some],
                    video_frame=rows[some],
                    image_size=size,
                    split=part.split,
                    sequence=part.key,
                    activity=activity,
                    view=view,
                    image=video,
                    native=path,
                )

    def _poses(self, path: str) -> tuple[Floats, str]:
        """The joints of each frame in the world, (F, 15 or 19, 3) mm, and their format; an empty cell is no pose."""
        values = cells(self.tree, path, "GTpose2", mat(self.tree, path, ("GTpose2",))["GTpose2"], (None, None)).ravel()
        counts = {len(value) for value in values if isinstance(value, np.ndarray) and value.size}
        if counts not in ({15}, {19}):
            raise damaged(
                self.tree.root / path, "GTpose2", expected="15 or 19 joints in all frames", got=counts or "none"
            )
        (count,) = counts
        world = np.full((len(values), count, 3), np.nan)
        for frame, value in enumerate(values):
            if np.size(value):
                world[frame] = array(
                    self.tree.root / path, f"GTpose2, frame {frame + 1}", value, (count, 3), missing=True
                )
        return world, f"mads_{count}"

    def _cameras(self, path: str) -> Iterator[tuple[str, Camera]]:
        """The views of a sequence, from calibrations of Bouguet's toolbox: world to camera, mm; OpenCV's lens."""
        folder = path.rpartition("/")[0]
        if path.startswith("depth_data/"):
            file = f"{folder}/Calib_C0_left.mat"
            shapes = {"fc": (2, 1), "cc": (2, 1), "alpha_c": (1, 1), "kc": (5, 1), "om": (3, 1), "T": (3, 1)}
            focal, centre, skew, bends, turn, shift = self._columns(file, shapes)
            matrix = pinhole(*focal, *centre)
            matrix[0, 1] = skew[0] * focal[0]
            turn = -turn if folder.endswith(_TURNED) else turn
            yield "Left", self._camera(file, matrix, bends, turn, shift)
            return
        for view in VIEWS:
            file = f"{folder}/Calib_Cam{view}.mat"
            matrix, *rest = self._columns(file, {"KK": (3, 3), "kc": (5, 1), "om_ext": (3, 1), "T_ext": (3, 1)})
            yield f"C{view}", self._camera(file, matrix.reshape(3, 3), *rest)

    def _columns(self, path: str, shapes: Mapping[str, tuple[int, int]]) -> list[Floats]:
        """Matrices of a file, each as a row of numbers."""
        values = mat(self.tree, path, shapes)
        return [array(self.tree.root / path, name, values[name], shape).ravel() for name, shape in shapes.items()]

    def _camera(self, path: str, matrix: Floats, bends: Floats, turn: Floats, shift: Floats) -> Camera:
        return camera(self.tree.root / path, "", matrix, Rotation.from_rotvec(turn).as_matrix(), shift, bends)

    def _film(self, video: str, count: int) -> tuple[tuple[int, int], int]:
        """The size of a video's pictures, and how many of `count` poses it has one of."""
        if not video:
            self.notes.remark("picture sizes are not known without the videos")
            return (0, 0), count
        with Video(self.tree.open(video), str(self.tree.root / video)) as film:
            self.notes.drop("poses beyond the end of the video", max(count - len(film), 0))
            return film.size, min(count, len(film))
