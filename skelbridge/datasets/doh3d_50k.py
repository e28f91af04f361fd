"""3DOH50K: single pictures of people behind objects, from a studio with many cameras; fitted SMPL bodies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets._pictures import size_of
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.io.json_stream import members
from skelbridge.store.samples import Samples

FOLDERS = {"train": "trainset", "test": "testset"}

#: Pictures in a block.
BLOCK = 1000

#: Of the calibration's unit, as others who read this dataset take it.
UNITS_A_METRE = 7.0


class Doh3d50k(Reader):
    """Every picture's person, in the camera.

    The files do not say their unit. By default each person is divided by the size of the fitted body in that unit,
    which gives the body of SMPL in metres: what the authors advise.
    """

    id = "doh3d_50k"
    skeletons = ("doh3d_14", "smpl_24")
    choices = {  # noqa: RUF012
        "unit": Choice("fitted", "fitted: the body's own scale gives metres; seventh: 7 units are one metre for all"),
    }

    def parts(self) -> list[Part]:
        if self.settings["unit"] not in ("fitted", "seventh"):
            raise InputError("the setting unit", expected="fitted or seventh", got=self.settings["unit"])
        self.tree.require("*set/annots.json", "the annotations of 3DOH50K")
        paths = [(split, f"{folder}/annots.json") for split, folder in FOLDERS.items()]
        return [Part(split, split, (path,)) for split, path in paths if self.tree.exists(path)]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        with self.tree.open(path) as stream:
            entries = members(stream, self.tree.root / path)
            while block := list(islice(entries, BLOCK)):
                yield self._samples(part, path, block)

    def _samples(self, part: Part, path: str, entries: list[tuple[str | int, Any]]) -> Samples:
        """The people of some pictures, by the pictures' names."""
        names = [str(name) for name, _ in entries]
        points, flat, lenses, boxes = zip(*(self._person(path, str(name), said) for name, said in entries), strict=True)
        images = [f"{FOLDERS[part.split]}/images/{name}.jpg" for name in names]
        return Samples.of(
            self.skeleton,
            points=np.stack(points),
            points2d=np.stack(flat),
            camera=lenses,
            world_known=True,
            box=np.stack(boxes),
            frame=[int(name) if name.isdecimal() and len(name) < 10 else 0 for name in names],
            image=images,
            image_size=[size_of(self.tree, image) for image in images],
            split=part.split,
            native=path,
        )

    def _person(self, path: str, name: str, said: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], Camera, Any]:
        """Joints in mm and in the picture, camera and box of a picture's person."""
        file, joints = self.tree.root / path, len(self.skeleton)
        kind = "lsp" if self.skeleton.id == "doh3d_14" else "smpl"
        points, flat, outer, inner, corners, scale = (
            array(file, f"{name}, {key}", entry(file, name, said, key), shape)
            for key, shape in (
                (f"{kind}_joints_3d", (joints, 3)), (f"{kind}_joints_2d", (joints, 2)), ("extri", (4, 4)),
                ("intri", (3, 3)), ("bbox", (2, 2)), ("scale", (1,)),
            )
        )  # fmt: skip
        units = scale[0] if self.settings["unit"] == "fitted" else UNITS_A_METRE
        if not units > 0:
            raise damaged(file, f"{name}, scale", expected="a size above 0", got=units)
        factor = 1000 / units
        lens = camera(file, name, inner, outer[:3, :3], factor * outer[:3, 3])
        return factor * points, flat, lens, np.concatenate([corners[0], corners[1] - corners[0]])
