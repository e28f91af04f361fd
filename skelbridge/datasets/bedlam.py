"""BEDLAM: rendered SMPL-X people in moving clothes; one row a person and picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.datasets._native import blocks
from skelbridge.datasets._parse import array, camera, inside
from skelbridge.datasets._pickled import load_npz
from skelbridge.datasets._smpl import BodyModel, Family, smpl_gender
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged
from skelbridge.store.samples import Samples

LANDSCAPE, PORTRAIT = (1280, 720), (720, 1280)

#: The official loader trains on the first rows of every file.
TRAIN_SHARE = 0.8

VARIABLES = ("imgname", "pose_world", "shape", "trans_world", "cam_int", "cam_ext", "gender", "sub")

#: Shapes of SMPL-X of 11 numbers are of the neutral model, shapes of 10 of the person's gender.
NEUTRAL_SHAPE = 11


class Bedlam(Reader):
    """Every person in every annotated picture. Places are known in the camera: every row has a world of its own."""

    id = "bedlam"
    skeletons = ("smplx_55", "smplx_127", "smpl_24")

    def parts(self) -> list[Part]:
        folder = "all_npz_12_smpl_training" if self.skeleton.id == "smpl_24" else "all_npz_12_training"
        files = self.tree.require(f"{folder}/*.npz", "BEDLAM's labels")
        stems = [(path, PurePosixPath(path).stem) for path in files]
        return [Part(f"{stem}/{split}", split, (path,)) for path, stem in stems for split in ("train", "val")]

    def read(self, part: Part) -> Iterator[Samples]:
        (path,) = part.args
        rows = self._rows(path)
        count = len(rows.names)
        start, end = (0, int(TRAIN_SHARE * count)) if part.split == "train" else (int(TRAIN_SHARE * count), count)
        order = sorted(range(start, end), key=lambda row: (rows.tracks[row], rows.names[row]))
        person = {track: number for number, track in enumerate(dict.fromkeys(rows.tracks[row] for row in order))}
        lenses: dict[bytes, Camera] = {}
        for kept in (order[block] for block in blocks(len(order))):
            tracks = [rows.tracks[row] for row in kept]
            pictures, frames, transform, size = self._pictures(path, [rows.names[row] for row in kept])
            for row in kept:
                if (key := rows.inner[row].tobytes()) not in lenses:
                    lenses[key] = camera(self.tree.root / path, f"cam_int {row}", rows.inner[row])
            yield Samples.of(
                self.skeleton,
                points=1000 * self._joints(path, rows, np.array(kept)),
                camera=[lenses[rows.inner[row].tobytes()] for row in kept],
                frame=frames,
                video_frame=frames if pictures[0].endswith(".mp4") else -1,
                person=[person[track] for track in tracks],
                image=pictures,
                transform=transform,
                image_size=size,
                split=part.split,
                subject=[subject for _, subject in tracks],
                sequence=[f"{self._group(path)}/{sequence}" for sequence, _ in tracks],
                native=path,
            )

    def _rows(self, path: str) -> _Rows:
        """The labels of a file, checked."""
        file, content = self.tree.root / path, load_npz(self.tree, path, VARIABLES)
        names, people, genders = (_texts(content[key]) for key in ("imgname", "sub", "gender"))
        count = len(names)
        if not count == len(people) == len(genders):
            raise damaged(file, "imgname, sub, gender", expected=f"{count} of each", got=(len(people), len(genders)))
        names = [inside(file, f"imgname {row}", name) for row, name in enumerate(names)]
        pose, shape, place, inner, outer = (
            array(file, name, content[name], (count, *size))
            for name, size in (
                ("pose_world", (72 if self.skeleton.id == "smpl_24" else 165,)), ("shape", (None,)),
                ("trans_world", (3,)), ("cam_int", (3, 3)), ("cam_ext", (4, 4)),
            )
        )  # fmt: skip
        tracks = [(name.partition("/")[0], person) for name, person in zip(names, people, strict=True)]
        return _Rows(names, tracks, genders, pose, shape, place, inner, outer)

    def _joints(self, path: str, rows: _Rows, kept: NDArray[np.intp]) -> NDArray[np.float64]:
        """The joints of some rows in their cameras, (N, J, 3) metres."""
        family: Family = "smpl" if self.skeleton.id == "smpl_24" else "smplx"
        genders = ["neutral"] * len(kept)
        if family == "smplx" and rows.shape.shape[1] != NEUTRAL_SHAPE:
            genders = [smpl_gender(rows.genders[row], self.tree.root / path, f"gender {row}") for row in kept]
        found = np.empty((len(kept), len(self.skeleton), 3))
        for gender in set(genders):
            these = np.array([one == gender for one in genders])
            model = BodyModel.load(self.models, family, gender, self.id)
            at = kept[these]
            found[these] = model.joints(
                rows.pose[at], rows.shape[at], rows.place[at], landmarks=self.skeleton.id == "smplx_127"
            )
        turns, shifts = rows.outer[kept, :3, :3], rows.outer[kept, :3, 3]
        return np.asarray(np.einsum("nij,nkj->nki", turns, found) + shifts[:, None])

    def _pictures(self, path: str, names: list[str]) -> tuple[list[str], list[int], str, tuple[int, int]]:
        """Pictures of rows, their frames, what is to be done to them, and their size then.

        Pictures of close-ups lie on their side; videos stand upright, and have the same frames.
        """
        group = self._group(path)
        frames = [self._frame(path, name) for name in names]
        closeup = "closeup" in group
        size = PORTRAIT if closeup else LANDSCAPE
        videos = [f"{group}/mp4/{name.partition('/')[0]}.mp4" for name in names]
        if not self.tree.exists(f"{group}/png/{names[0]}") and self.tree.exists(videos[0]):
            return videos, frames, "", size
        return [f"{group}/png/{name}" for name in names], frames, "rotate_clockwise" if closeup else "", size

    def _frame(self, path: str, name: str) -> int:
        """The frame that a picture's name ends in: seq_000001/seq_000001_0005.png."""
        match = re.fullmatch(r".*_(\d{1,9})\.\w+", name)
        if match is None:
            raise damaged(self.tree.root / path, "imgname", expected="a name with a frame's number", got=name)
        return int(match[1])

    def _group(self, path: str) -> str:
        """The folder of a file's pictures; one file has a hyphen where its folder has an underscore."""
        group = re.sub(r"_(6|30)fps$", "", PurePosixPath(path).stem)
        return group if self.tree.folders(group) else re.sub(r"^(\d{8})-", r"\1_", group)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The columns of a file, N rows: picture, (sequence, person), gender; pose, shape and place of the body in the
    row's world; the camera's matrix, and its place in that world."""

    names: list[str]
    tracks: list[tuple[str, str]]
    genders: list[str]
    pose: NDArray[np.float64]
    shape: NDArray[np.float64]
    place: NDArray[np.float64]
    inner: NDArray[np.float64]
    outer: NDArray[np.float64]


def _texts(values: NDArray[Any]) -> list[str]:
    """A column of text, which may be bytes."""
    return [value.decode("latin1") if isinstance(value, bytes) else str(value) for value in np.ravel(values).tolist()]
