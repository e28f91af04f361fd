"""SAIL-VOS: cut scenes of a game, with the bones of the people in it; their cameras are fitted, person by person."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import Floats, mask_box
from skelbridge.datasets._resection import resected
from skelbridge.datasets.reader import Choice, Part, Reader
from skelbridge.io import rle
from skelbridge.io.files import damaged, numbers
from skelbridge.io.images import read_image
from skelbridge.io.pickles import read_npy, read_npz
from skelbridge.store.samples import Samples

SIZE = (1280, 800)
_CENTRE = (640.0, 400.0)
_SPLITS = {"sailvos_pose_training": "train", "sailvos_pose_val": "val"}

#: Rows of the bones' tables, at least.
_BONES = 343

#: Pixels; a camera that fits worse is none.
_FITTING = 5.0

#: People in a block of samples.
_BLOCK = 200

_FEWEST_JOINTS, _MOST_OCCLUDED = 6, 0.75

#: How far joints may lie from their mean, root mean square in mm; else they are nobody's.
_SPREAD = (100.0, 3000.0)


class SailVos(Reader):
    """A part is a scene. Left out: people mostly occluded, with few or scattered joints, or without a camera."""

    id = "sail_vos"
    skeletons = ("sail_vos_26",)
    choices: ClassVar[Mapping[str, Choice]] = {
        "occluded": Choice(_MOST_OCCLUDED, "the share of a person that may be hidden; 1 keeps everybody"),
    }

    def parts(self) -> list[Part]:
        folders = [f"{top}/{scene}" for top, scene in self._scenes()]
        if not folders:
            self.tree.require("sailvos_pose_training/*/*_Ped_*/*_3d.txt", "the bones of a person")
        return [Part(folder, _SPLITS[folder.split("/")[0]], (folder,)) for folder in folders]

    def _scenes(self) -> list[tuple[str, str]]:
        found = self.tree.folders("sailvos_pose_*/*/*_Ped_*")
        return list(dict.fromkeys((top, scene) for top, scene, _ in (f.split("/") for f in found) if top in _SPLITS))

    def read(self, part: Part) -> Iterator[Samples]:
        (folder,) = part.args
        by_frame: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for path in self.tree.glob(f"{folder}/*_Ped_*/*_3d.txt"):
            person, name = path.split("/")[-2:]
            if re.fullmatch(r"\d{1,9}", person.split("_")[0]) and re.fullmatch(r"\d{1,9}", name.split("_")[0]):
                by_frame[int(name.split("_")[0])].append((int(person.split("_")[0]), path))
        found = (sample for frame in sorted(by_frame) for sample in self._frame(part, frame, by_frame[frame]))
        while block := list(islice(found, _BLOCK)):
            yield Samples.joined(block)

    def _frame(self, part: Part, frame: int, people: list[tuple[int, str]]) -> Iterator[Samples]:
        visible = self._visible(part.key, frame)
        image = next(
            (p for end in ("bmp", "jpg", "png") if self.tree.exists(p := f"{part.key}/images/{frame:06d}.{end}")), ""
        )
        for person, path in people:
            bones = self._table(path, 3)
            world = 1000 * self._joints(bones)
            if np.isfinite(world).all(axis=1).sum() < _FEWEST_JOINTS:
                self.notes.drop("people with five or fewer joints")
                continue
            if not _SPREAD[0] <= _spread(world) <= _SPREAD[1]:
                self.notes.drop("people whose joints lie too near or too far from each other")
                continue
            mask = None if visible is None else visible == person
            if self._hidden(path, mask) > float(self.settings["occluded"]):
                self.notes.drop("people who are hidden")
                continue
            lens = self._camera(path, bones)
            if lens is None:
                self.notes.drop("people for whom no camera fits")
                continue
            yield Samples.of(
                self.skeleton,
                world=world[None],
                camera=lens,
                frame=frame,
                person=person,
                image_size=SIZE,
                box=None if mask is None else mask_box(mask),
                masks=None if mask is None else [rle.encode(mask)],
                split=part.split,
                subject=path.split("/")[-2].partition("_Ped_")[2],
                sequence=part.key,
                image=image,
                native=path,
            )

    def _table(self, path: str, width: int) -> Floats:
        """The rows of a table of bones, (B, width)."""
        lines = [line for line in self.tree.read_text(path).split("\n") if line.strip()]
        words = [line.replace(",", " ").split() for line in lines]
        if len(words) < _BONES or {len(row) for row in words} != {width}:
            expected = f"at least {_BONES} lines of {width} numbers"
            raise damaged(self.tree.root / path, "", expected=expected, got=f"{len(words)} lines")
        return numbers([word for row in words for word in row], self.tree.root / path, "").reshape(-1, width)

    def _joints(self, bones: Floats) -> Floats:
        """The mean of the rows that each joint's card names and that are there, (26, 3); NaN where none is."""
        there = np.where((bones == 0).all(axis=1, keepdims=True), np.nan, bones)
        joints = np.full((len(self.skeleton), 3), np.nan)
        for place, joint in enumerate(self.skeleton.joints):
            rows = there[[int(row) for row in str(joint.native).removeprefix("rows ").split("+")]]
            rows = rows[np.isfinite(rows).all(axis=1)]
            if len(rows):
                joints[place] = rows.mean(axis=0)
        return joints

    def _visible(self, scene: str, frame: int) -> NDArray[np.integer] | None:
        """Whose each pixel of a frame is, (800, 1280); None where the file is missing."""
        for path, name in (
            (f"{scene}/visible/{frame:06d}.npy", ""),
            (f"{scene}/visible/{frame:06d}.npz", "visible_ids"),
        ):
            if self.tree.exists(path):
                with self.tree.open(path) as stream:
                    where = self.tree.root / path
                    found = read_npz(stream, where).get(name) if name else read_npy(stream, where)
                if found is None or found.shape != SIZE[::-1] or found.dtype.kind not in "iu":
                    raise damaged(
                        where, "", expected="whole numbers of shape (800, 1280)", got=getattr(found, "shape", None)
                    )
                return found
        self.notes.remark("boxes, masks and occlusion are not known without the visible files")
        return None

    def _hidden(self, path: str, mask: NDArray[np.bool_] | None) -> float:
        """The share of a person's pixels that something covers, by the amodal mask; 0 where it is not known."""
        amodal = path.removesuffix("_3d.txt") + ".png"
        if mask is not None and not mask.any():
            return 1.0
        if mask is None or not self.tree.exists(amodal):
            return 0.0
        with self.tree.open(amodal) as stream:
            whole = read_image(stream, str(self.tree.root / amodal))[..., 0] > 127
        return 1 - mask.sum() / whole.sum() if whole.any() else 1.0

    def _camera(self, path: str, bones: Floats) -> Camera | None:
        """The camera that brings a person's bones onto their places in the picture, in mm."""
        flat_path = path.removesuffix("_3d.txt") + "_2d.txt"
        image = self._table(flat_path, 2)
        if len(image) != len(bones):
            raise damaged(self.tree.root / flat_path, "", expected=f"{len(bones)} lines, as in 3D", got=len(image))
        known = (bones != 0).any(axis=1) & (image >= 0).all(axis=1) & (image < SIZE).all(axis=1)
        found = resected(1000 * bones[known], image[known], _CENTRE)
        return found[0] if found and found[1] <= _FITTING else None


def _spread(joints: Floats) -> float:
    """The root mean square distance of the known joints (J, 3) from their mean."""
    known = joints[np.isfinite(joints).all(axis=1)]
    return float(np.sqrt(((known - known.mean(axis=0)) ** 2).sum(axis=1).mean()))
