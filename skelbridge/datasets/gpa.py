"""GPA (Geometric Pose Affordance): 34 joints of a solved skeleton, in camera coordinates, in one large JSON file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets._native import BLOCK, Floats, known_rows, pinhole
from skelbridge.datasets._parse import array, camera
from skelbridge.datasets.reader import Part, Reader
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.io.json_stream import members
from skelbridge.io.pickles import read_npy
from skelbridge.store.samples import Samples

_POSES, _WORLD = "xyz_gpa12_mdp_cntind_crop_cam_c2g.json", "xyz_gpa12_cntind_world_cams.json"
_VIEWS = "Sequence_ids/cam_ids_750k.npy"
_IMAGES, SIZE = "Gaussian_img_jpg_new", (1920, 1080)

#: mm; extrinsics that bring the world further than this from the camera's points are not used.
_FITTING = 5.0


@dataclass(frozen=True)
class _Row:
    """An annotation: its number in the file, its camera, points in the camera (34, 3) mm, and in the picture."""

    number: int
    camera: Camera
    world_known: bool
    deep: Floats
    flat: Floats


class Gpa(Reader):
    """Two parts: the annotations for training and those for testing, in the order of the file.

    The camera's place in the world is given where the file of world positions is there and agrees with the points.
    """

    id = "gpa"
    skeletons = ("gpa_34",)

    def parts(self) -> list[Part]:
        self.tree.first(_POSES)
        return [Part("train", "train"), Part("test", "test")]

    def read(self, part: Part) -> Iterator[Samples]:
        path, names, views = self.tree.root / _POSES, self._names(), self._views()
        cameras: dict[tuple[float, ...], Camera] = {}
        rows: list[_Row] = []
        with ExitStack() as stack:
            worlds = self._annotations(_WORLD, stack) if self.tree.exists(_WORLD) else iter(())
            for number, (_, pose) in enumerate(self._annotations(_POSES, stack)):
                _, world = next(worlds, (0, None))
                if number >= len(names):
                    raise damaged(path, f"annotation {number}", expected=f"at most {len(names)}, one an image")
                if entry(path, f"annotation {number}", pose, f"is{part.split}s", (bool, int)):
                    rows.append(self._row(number, pose, world, cameras))
                if len(rows) == BLOCK:
                    yield from self._samples(part, rows, names, views)
                    rows = []
        yield from self._samples(part, rows, names, views)

    def _annotations(self, path: str, stack: ExitStack) -> Iterator[tuple[str | int, Any]]:
        return members(stack.enter_context(self.tree.open(path)), self.tree.root / path, "annotations")

    def _names(self) -> list[str]:
        """The ten digits that name each picture; annotations come in the pictures' order."""
        names = []
        with self.tree.open(_POSES) as stream:
            for number, image in members(stream, self.tree.root / _POSES, "images"):
                name = entry(self.tree.root / _POSES, f"image {number}", image, "file_name", str)
                digits = name.rpartition(".")[0][-10:]
                if not (len(digits) == 10 and digits.isdecimal()):
                    raise damaged(self.tree.root / _POSES, f"image {number}", expected="ten digits", got=name)
                names.append(digits)
        return names

    def _views(self) -> NDArray[Any]:
        """The camera of each picture, by the picture's number; empty where the file is missing."""
        if not self.tree.exists(_VIEWS):
            self.notes.remark(f"cameras have no names without {_VIEWS}")
            return np.zeros(0, int)
        with self.tree.open(_VIEWS) as stream:
            found = read_npy(stream, self.tree.root / _VIEWS)
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise damaged(self.tree.root / _VIEWS, "", expected="a whole number for each picture", got=found.dtype)
        return found

    def _row(self, number: int, pose: Any, world: Any, cameras: dict[tuple[float, ...], Camera]) -> _Row:
        path, place = self.tree.root / _POSES, f"annotation {number}"
        deep = array(path, place, pose.get("joint_cams"), (3, 34), missing=True).T
        flat = array(path, place, pose.get("joint_imgs_uncrop"), (34, 2), missing=True)
        focal, centre = (array(path, place, pose.get(key), (2,)) for key in ("f", "c"))
        outer = self._extrinsics(place, world, deep)
        key = (*focal, *centre, *(outer if outer is not None else ()))
        if key not in cameras:
            rotation = Rotation.from_rotvec(outer[:3]).as_matrix() if outer is not None else np.eye(3)
            shift = outer[3:] if outer is not None else np.zeros(3)
            cameras[key] = camera(path, place, pinhole(*focal, *centre), rotation, shift)
        return _Row(number, cameras[key], outer is not None, deep, flat)

    def _extrinsics(self, place: str, world: Any, deep: Floats) -> Floats | None:
        """Rotation vector and shift (mm) that bring the world's points to the camera's, if the files' numbers do.

        Readers differ on the direction of the stored rotation; the one that fits is taken.
        """
        if world is None:
            return None
        path = self.tree.root / _WORLD
        points = array(path, place, entry(path, place, world, "joint_world_mm"), (34, 3), missing=True)
        turn, shift = (
            array(path, place, np.ravel(entry(path, place, world, key)), (3,)) for key in ("src_cam2", "src_cam3")
        )
        for vector in (turn, -turn):
            off = Rotation.from_rotvec(vector).apply(points) + 10 * shift - deep
            if np.nanmax(np.abs(off), initial=0) < _FITTING:
                return np.concatenate([vector, 10 * shift])
        self.notes.remark("the world is not known where the extrinsics do not fit the points")
        return None

    def _samples(self, part: Part, rows: list[_Row], names: list[str], views: NDArray[Any]) -> Iterator[Samples]:
        if not rows:
            return
        deep = np.stack([row.deep for row in rows])
        chosen = [rows[row] for row in known_rows(deep, self.notes)]
        numbers = [int(names[row.number]) for row in chosen]
        if chosen:
            yield Samples.of(
                self.skeleton,
                points=[row.deep for row in chosen],
                points2d=[row.flat for row in chosen],
                camera=[row.camera for row in chosen],
                world_known=np.array([row.world_known for row in chosen]),
                frame=numbers,
                image_size=SIZE,
                split=part.split,
                sequence="all" if len(views) else "",
                view=[str(views[number]) if number < len(views) else "" for number in numbers],
                image=[self._image(names[row.number]) for row in chosen],
                native=_POSES,
            )

    def _image(self, name: str) -> str:
        """A picture, all in one folder or in folders by leading digits; empty where it is missing."""
        paths = (f"{_IMAGES}/{name}.jpg", f"{_IMAGES}/{name[:6]}/{name[6:8]}/{name}.jpg")
        return next((path for path in paths if self.tree.exists(path)), "")
