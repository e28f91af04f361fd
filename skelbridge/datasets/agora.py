"""AGORA: rendered scans of clothed people in scenes, with fitted bodies; still pictures of 5 to 15 people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets._native import pinhole
from skelbridge.datasets._parse import array, camera, inside
from skelbridge.datasets._pickled import field, load_pickle
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io.files import damaged
from skelbridge.store.samples import Samples

SIZE, SENSOR = (3840, 2160), 36.0

#: Words in a picture's name, tested in this order: focal length in mm, place in cm and yaw and pitch in degrees, in
#: Unreal's axes. Pictures with none of them have these in their row.
PLACES = {
    "hdri": (50.0, (0.0, 0.0, 170.0), 0.0, 0.0),
    "cam00": (18.0, (400.0, -275.0, 265.0), 135.0, 30.0),
    "cam01": (18.0, (400.0, 225.0, 265.0), -135.0, 30.0),
    "cam02": (18.0, (-490.0, 170.0, 265.0), -45.0, 30.0),
    "cam03": (18.0, (-490.0, -275.0, 265.0), 45.0, 30.0),
    "ag2": (28.0, (0.0, 0.0, 170.0), 0.0, 15.0),
}
EYE_HEIGHT, FOCAL = 170.0, 28.0

COLUMNS = ("gt_joints_3d", "gt_joints_2d", "isValid", "occlusion", "camX", "camY", "camZ", "camYaw")

#: Rows of the 127 joints of SMPL-X that smplx_42 keeps.
KEPT_42 = [*range(25), 28, 43, *range(55, 67), 68, 71, 73]


class Agora(Reader):
    """Every valid person of every picture; the joints that the files have, no body model is needed."""

    id = "agora"
    skeletons = ("smpl_24", "smplx_42", "smplx_127")
    choices = {  # noqa: RUF012
        "max_occlusion": Choice(100.0, "people hidden by more than this, in percent, are left out (some use 75)"),
    }

    def parts(self) -> list[Part]:
        folder = "SMPL" if self.skeleton.id == "smpl_24" else "SMPLX"
        found = []
        for path in self.tree.require(f"{folder}/*_withjv.pkl", "AGORA's tables with joints"):
            split, _, number = PurePosixPath(path).stem.removesuffix("_withjv").rpartition("_")
            if split in ("train", "validation"):
                images = f"train_{number}" if split == "train" else "validation"
                found.append(Part(f"{split}_{number}", "train" if split == "train" else "val", (path, images)))
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        path, folder = part.args
        table = load_pickle(self.tree, path, skip=_is_mesh)
        images = field(self.tree, path, table, "imgPath")
        for key in COLUMNS:
            column = field(self.tree, path, table, key)
            if not isinstance(images, list) or not isinstance(column, list) or len(column) != len(images):
                raise damaged(self.tree.root / path, key, expected="as many rows as imgPath", got=type(column).__name__)
        for row, name in enumerate(images):
            image = inside(self.tree.root / path, f"row {row}, imgPath", str(name))
            yield from self._picture(path, table, row, PurePosixPath(image).name, f"{folder}/{image}", part.split)

    def _picture(
        self, path: str, table: dict[str, Any], row: int, name: str, image: str, split: str
    ) -> Iterator[Samples]:
        """The people of one picture."""
        joints, flat = (self._people(path, table, row, key) for key in ("gt_joints_3d", "gt_joints_2d"))
        file, count = self.tree.root / path, len(joints)
        valid = array(file, f"row {row}, isValid", table["isValid"][row], (count,)) > 0
        hidden = array(file, f"row {row}, occlusion", table["occlusion"][row], (count,), missing=True)
        behind = hidden > float(self.settings["max_occlusion"])
        self.notes.drop("the dataset calls the person invalid", int((~valid).sum()))
        self.notes.drop("the person is hidden by others", int((valid & behind).sum()))
        people = np.flatnonzero(valid & ~behind)
        if not len(people):
            return
        scale = 1.0
        small = image.replace(".png", "_1280x720.png")
        if not self.tree.exists(image) and self.tree.exists(small):
            image, scale = small, 1 / 3
        yield Samples.of(
            self.skeleton,
            points=1000 * np.stack([self._joints(path, row, joints[person], 3) for person in people]),
            points2d=scale * np.stack([self._joints(path, row, flat[person], 2) for person in people]),
            camera=self._camera(path, table, row, name, scale),
            world_known=True,
            frame=row,
            person=people,
            image=image,
            image_size=(round(SIZE[0] * scale), round(SIZE[1] * scale)),
            split=split,
            native=path,
        )

    def _people(self, path: str, table: dict[str, Any], row: int, key: str) -> list[Any]:
        """What every person of a picture has in a column."""
        lists = [
            list(values) if isinstance(values, (list, tuple)) or getattr(values, "ndim", False) else None
            for values in (table[key][row], table["gt_joints_3d"][row])
        ]
        if lists[0] is None or lists[1] is None or len(lists[0]) != len(lists[1]):
            raise damaged(self.tree.root / path, f"row {row}, {key}", expected="a list, one of each person")
        return lists[0]

    def _joints(self, path: str, row: int, values: Any, width: int) -> NDArray[np.float64]:
        """The joints of the skeleton among those of a person; SMPL's come with landmarks after them."""
        found = array(self.tree.root / path, f"row {row}, joints", values, (None, width), missing=True)
        wanted = KEPT_42 if self.skeleton.id == "smplx_42" else range(len(self.skeleton))
        if len(found) <= max(wanted):
            raise damaged(self.tree.root / path, f"row {row}, joints", expected=max(wanted) + 1, got=len(found))
        return found[wanted]

    def _camera(self, path: str, table: dict[str, Any], row: int, name: str, scale: float) -> Camera:
        """The camera of a picture, whose world has y down: x_cam = Rx(pitch) Ry(-yaw) (x - place)."""
        word = next((word for word in PLACES if word in name), "")
        if word:
            focal, (x, y, z), yaw, pitch = PLACES[word]
        else:
            said = [table[key][row] for key in ("camX", "camY", "camZ", "camYaw")]
            x, y, z, yaw = map(float, array(self.tree.root / path, f"row {row}, camera", said, (4,)))
            focal, pitch, z = FOCAL, 0.0, z + EYE_HEIGHT
        turn = Rotation.from_euler("x", pitch, degrees=True) * Rotation.from_euler("y", -yaw, degrees=True)
        at = 10 * np.array([y, -z, x])
        pixels = focal / SENSOR * SIZE[0] * scale
        matrix = pinhole(pixels, pixels, SIZE[0] / 2 * scale, SIZE[1] / 2 * scale)
        rotation = turn.as_matrix()
        return camera(self.tree.root / path, f"row {row}, camera", matrix, rotation, -rotation @ at)


def _is_mesh(shape: tuple[int, ...]) -> bool:
    """The vertices of a body, which take more room than all else."""
    return len(shape) >= 2 and shape[-1] == 3 and shape[-2] > 1000
