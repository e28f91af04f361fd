"""MADS: martial arts, dancing and sports, 15 or 19 joints, seen by three cameras."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets._native import Floats, blocks, cells, known_rows, mat, placed
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.video import Video
from skelbridge.store.samples import Samples

VIEWS = ("0", "1", "2")


class Mads(Reader):
    """A part is a sequence of the multi-view data with its three cameras. The stereo part (depth_data) is not read."""

    id = "mads"
    skeletons = ("mads_19", "mads_15")

    def parts(self) -> list[Part]:
        found = self.tree.require("multi_view_data/*/*_GT.mat", "a sequence's joints")
        if self.tree.folders("depth_data/*"):
            self.notes.remark("depth_data (one stereo camera, whose calibration is not settled) is not read")
        return [Part(path.rpartition("/")[2].removesuffix("_GT.mat"), "train", (path,)) for path in found]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        world, given = self._poses(path)
        world = placed(world, given, self.skeleton)
        rows = known_rows(world, self.notes)
        folder = path.rpartition("/")[0]
        for view in VIEWS:
            lens, video = self._camera(f"{folder}/Calib_Cam{view}.mat"), f"{folder}/{part.key}_C{view}.avi"
            video = video if self.tree.exists(video) else ""
            size = self._size(video)
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
                    activity=folder.rpartition("/")[2],
                    view=f"C{view}",
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

    def _camera(self, path: str) -> Camera:
        """A calibration of Bouguet's toolbox: world to camera, mm; the lens is OpenCV's."""
        shapes = {"KK": (3, 3), "kc": (5, 1), "om_ext": (3, 1), "T_ext": (3, 1)}
        values = mat(self.tree, path, shapes)
        found = {name: array(self.tree.root / path, name, values[name], shape) for name, shape in shapes.items()}
        rotation = Rotation.from_rotvec(found["om_ext"][:, 0]).as_matrix()
        return camera(self.tree.root / path, "", found["KK"], rotation, found["T_ext"][:, 0], found["kc"][:, 0])

    def _size(self, video: str) -> tuple[int, int]:
        if not video:
            self.notes.remark("picture sizes are not known without the videos")
            return 0, 0
        with Video(self.tree.open(video), str(self.tree.root / video)) as film:
            return film.size
