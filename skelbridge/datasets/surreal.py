"""SURREAL: rendered clips of one SMPL body each before photographs; pictures are mirror images of the bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, ClassVar

import numpy as np

from skelbridge.camera import Camera
from skelbridge.datasets._native import Floats, known_rows, mask_box, mat, pinhole
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io import rle
from skelbridge.store.samples import Samples

SIZE = (320, 240)
_SUFFIX = "_info.mat"

#: The world's axes in the camera's, after the picture is mirrored: the renderer's rotation has determinant -1.
_ROTATION = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])

#: The renderer counts from the corner of the picture and has its centre at 160, 120.
_MATRIX = pinhole(600, 600, 159.5, 119.5)

#: Sequences whose bodies are monstrous, by the dataset's own word.
_MONSTROUS = ("18_", "19_", "143_21")


class Surreal(Reader):
    """A part is a sequence of a run with all its clips; joints are those of the rig that was rendered."""

    id = "surreal"
    skeletons = ("smpl_24",)
    choices: ClassVar[Mapping[str, Choice]] = {
        "monstrous": Choice(False, "keep the sequences of 18, 19 and 143_21, whose bodies are monstrous"),
        "masks": Choice(True, "read masks and boxes from the segm files where they are there"),
    }

    def parts(self) -> list[Part]:
        found = self.tree.require(f"cmu/*/run*/*/*{_SUFFIX}", "a clip's joints")
        parts = []
        for folder, _ in groupby(found, lambda path: path.rpartition("/")[0]):
            split, _, sequence = folder.removeprefix("cmu/").split("/")
            if self.settings["monstrous"] or not sequence.removeprefix("ung_").startswith(_MONSTROUS):
                parts.append(Part(folder.removeprefix("cmu/"), split, (folder,)))
            else:
                self.notes.remark("sequences of 18, 19 and 143_21 are left out: their bodies are monstrous")
        return parts

    def read(self, part: Part) -> Iterator[Samples]:
        (folder,) = part.args
        for path in self.tree.glob(f"{folder}/*{_SUFFIX}"):
            yield from self._clip(path, part.split)

    def _clip(self, path: str, split: str) -> Iterator[Samples]:
        values = mat(self.tree, path, ("joints3D", "joints2D", "camLoc"))
        stem, video = path.removesuffix(_SUFFIX), path.removesuffix(_SUFFIX) + ".mp4"
        if np.ndim(values["joints2D"]) != 3:
            self.notes.drop("clips of a single frame, which lack an axis")
            return
        world = 1000 * array(self.tree.root / path, "joints3D", values["joints3D"], (3, 24, None)).T
        flat = array(self.tree.root / path, "joints2D", values["joints2D"], (2, 24, len(world))).T
        masks, box = self._masks(f"{stem}_segm.mat", len(world))
        seen = np.array([mask is None or np.isfinite(box[row, 0]) for row, mask in enumerate(masks)], bool)
        if not seen.all():
            self.notes.drop("the person is not in the picture", int((~seen).sum()))
        rows = np.flatnonzero(seen)
        rows = rows[known_rows(world[rows], self.notes)]
        if not len(rows):
            return
        folder, _, name = stem.removeprefix("cmu/").rpartition("/")
        yield Samples.of(
            self.skeleton,
            world=world[rows],
            points2d=flat[rows] * (-1, 1) + (SIZE[0] - 1, 0),  # whole pixels, mirrored
            camera=self._camera(path, values["camLoc"]),
            frame=rows,
            video_frame=rows,
            image_size=SIZE,
            box=box[rows],
            masks=[masks[row] for row in rows],
            split=split,
            subject=name.removeprefix("ung_").split("_")[0],
            sequence=f"{folder}/{name}",
            image=video if self.tree.exists(video) else "",
            transform="mirror",
            native=path,
        )

    def _camera(self, path: str, centre: Any) -> Camera:
        place = array(self.tree.root / path, "camLoc", centre, (3, 1))[:, 0] * 1000
        return camera(self.tree.root / path, "camLoc", _MATRIX, _ROTATION, -_ROTATION @ place)

    def _masks(self, path: str, count: int) -> tuple[list[bytes | None], Floats]:
        """The mask of each frame and its box (F, 4), mirrored as the picture is."""
        if not self.settings["masks"] or not self.tree.exists(path):
            return [None] * count, np.full((count, 4), np.nan)
        values = mat(self.tree, path, [f"segm_{frame + 1}" for frame in range(count)])
        parts = (array(self.tree.root / path, name, values[name], SIZE[::-1]) for name in values)
        masks = [np.fliplr(part > 0) for part in parts]
        return [rle.encode(mask) for mask in masks], np.array([mask_box(mask) for mask in masks])
