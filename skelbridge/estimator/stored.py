"""People of a store as crops: their pictures, packed or in the dataset's folder, and labels by the network's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skelbridge.bridge.acae import Joints
from skelbridge.camera import Camera
from skelbridge.datasets.boxes import box_of, expanded
from skelbridge.datasets.packing import frames_of
from skelbridge.errors import FileFormatError, need
from skelbridge.estimator.crops import WHOLE, Crop, assumed_camera, flat_crop, person_crop, reduced, shrunk
from skelbridge.estimator.examples import Examples
from skelbridge.estimator.names2d import NAMES_2D
from skelbridge.io.images import MAX_PIXELS
from skelbridge.io.tree import Tree
from skelbridge.landmarks import mirrored_name
from skelbridge.skeletons import Skeleton
from skelbridge.store import Store
from skelbridge.store.batch import Batch
from skelbridge.store.samples import LENSES

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

#: What crops are made of, in batches of a store; points2d may be left out where all have cameras.
COLUMNS = ("points", "points2d", "camera", "video_frame", "image_size", "box", "crop", "image", "transform")
#: Where no box is known: by how much the box of the points is enlarged.
BOX_OF_POINTS = 1.05
#: Labels in the picture below this share of its height are not used where the camera is not known.
_LOWEST = 0.95
#: Mirror images of the names of 2D labels.
MIRROR_2D = np.array([NAMES_2D.index(mirrored_name(name)) for name in NAMES_2D])


class People:
    """Crops, pictures and labels of the rows of a store's batches, which have `COLUMNS` and their packed pictures."""

    def __init__(self, store: Store, joints: Joints, side: int):
        self.joints, self.side = joints, side
        self.deep = _places(store, joints.names, lambda card, name: f"{card}/{name}")
        self.flat = _places(store, NAMES_2D, lambda card, name: name)
        self._roots = {piece.shard.digest: piece.root for piece in store.pieces}
        self._originals = _Originals()

    def crop(
        self, batch: Batch, row: int, *, unknown: str = "flat", part: Sequence[float] = (0, 0, 1, 1), **move: Any
    ) -> Crop | None:
        """The crop of a row's person, moved as `person_crop` says; None where nothing tells where the person is.

        part: the part of the box that is taken, as shares of it. unknown: what is done where no camera is known: "flat"
        for a flat crop, "usual" for one of a camera with the usual field of view, "none" for no crop.
        """
        camera, box = camera_of(batch, row), np.asarray(batch.box[row], float)
        if not _is_box(box):
            box = expanded(box_of(_in_picture(batch, row, camera)), BOX_OF_POINTS)
        if not _is_box(box) or (camera is None and unknown == "none"):
            return None
        taken = np.concatenate([box[:2] + part[:2] * box[2:], part[2:] * box[2:]])
        size = batch.image_size[row]
        size = size if (size > 0).all() else box[:2] + box[2:]
        if camera is None and unknown == "flat":
            return flat_crop(size, taken, self.side, **move)
        return person_crop(camera or assumed_camera(size), taken, self.side, **move)

    def image(self, batch: Batch, row: int, crop: Crop, finer: int = 1) -> Image | None:
        """What a crop shows, (side, side, 3); None where the picture is missing or broken."""
        content = batch.pictures[row] if batch.pictures is not None else None
        placed = batch.crop[row]
        if content is None:
            image = self._original(batch, row)
            return None if image is None else crop.warp(*shrunk(image, WHOLE, crop), finer=finer)
        if not (np.isfinite(placed).all() and placed[2] > 0):
            return None
        factor = crop.shrinks(placed)
        image = decoded_jpeg(content, factor)
        return None if image is None else crop.warp(image, reduced(placed, factor), finer=finer)

    def points(self, batch: Batch, row: int, crop: Crop) -> NDArray[np.float32]:
        """The 3D labels in the crop camera's axes, (J, 3) mm; NaN where the row does not label one."""
        found = _spread(crop.into(batch.points[row]), self.deep[batch.skeleton[row]], len(self.joints))
        return mirrored(found, self.joints.mirror) if crop.mirrors else found

    def points2d(self, batch: Batch, row: int, crop: Crop) -> NDArray[np.float32]:
        """The 2D labels in the crop, (N, 2) pixels; NaN where the row does not label one."""
        camera = camera_of(batch, row)
        given = _in_picture(batch, row, camera)
        if camera is None and batch.image_size[row, 1] > 0:
            given = np.where(given[:, 1:] > _LOWEST * batch.image_size[row, 1], np.nan, given)
        found = _spread(crop.pixels(given), self.flat[batch.skeleton[row]], len(NAMES_2D))
        return mirrored(found, MIRROR_2D) if crop.mirrors else found

    def _original(self, batch: Batch, row: int) -> Image | None:
        """The picture in the dataset's folder."""
        path = self._word(batch, "image", row)
        if not path:
            return None
        root = self._roots[batch.files[batch.file[row]].shard.digest]
        transform = self._word(batch, "transform", row)
        return self._originals.image(root, path, transform, int(batch.video_frame[row]))

    @staticmethod
    def _word(batch: Batch, name: str, row: int) -> str:
        return batch.part(batch.step, slice(row, row + 1)).text(name).tolist()[0]


@dataclass(frozen=True, eq=False)
class Views:
    """Rows of a store as they are, to predict on.

    examples: with 3D labels where there are such, `numbers` are the rows of the store. rotations: (B, 3, 3) float32;
    points in the source camera's axes are (points in the crop camera's) @ rotation. broken: (B,) bool, whose picture
    could not be read.
    """

    examples: Examples
    rotations: Tensor
    broken: Tensor

    def __len__(self) -> int:
        return len(self.examples)

    def pin_memory(self) -> Views:
        """The same in memory that a GPU reads directly; the name is the one that torch's loader calls."""
        return replace(self, examples=self.examples.pin_memory())


class EvaluationData(torch.utils.data.Dataset[Views]):
    """All rows of a store in order, `batch` at a time, as upright crops without augmentation.

    Rows whose picture is missing or broken come black, with labels; `Views.broken` tells.
    """

    def __init__(self, store: Store, joints: Joints, side: int, *, batch: int = 64, finer: int = 1):
        self.people, self.finer = People(store, joints, side), finer
        self._batches = store.batches(batch, shuffle=None, columns=COLUMNS, pictures=True)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> Views:
        batch, people = self._batches[step], self.people
        made = Blank.of(len(batch), len(batch), people.side, len(people.joints))
        rotations, broken = np.tile(np.eye(3, dtype=np.float32), (len(batch), 1, 1)), np.ones(len(batch), bool)
        for row in range(len(batch)):
            crop = people.crop(batch, row, unknown="usual")
            if crop is None:
                continue
            image = people.image(batch, row, crop, self.finer)
            made.put(row, crop, image)
            made.points[row] = people.points(batch, row, crop)
            rotations[row], broken[row] = crop.rotation, image is None
        return Views(made.examples(batch.rows), torch.from_numpy(rotations), torch.from_numpy(broken))


@dataclass(frozen=True, eq=False)
class Blank:
    """Arrays of examples to be filled in: black pictures (count, side, side, 3), no labels."""

    images: Image
    intrinsics: NDArray[np.float32]
    points: NDArray[np.float32]
    points2d: NDArray[np.float32]

    @classmethod
    def of(cls, count: int, deep: int, side: int, joints: int) -> Blank:
        """For so many examples, the first `deep` of them with 3D labels."""
        plain = np.array([[side, 0, (side - 1) / 2], [0, side, (side - 1) / 2], [0, 0, 1]], np.float32)
        return cls(
            np.zeros((count, side, side, 3), np.uint8), np.tile(plain, (count, 1, 1)),
            np.full((deep, joints, 3), np.nan, np.float32),
            np.full((count - deep, len(NAMES_2D), 2), np.nan, np.float32),
        )  # fmt: skip

    def put(self, row: int, crop: Crop, image: Image | None) -> None:
        """A crop's camera and what it shows."""
        self.intrinsics[row] = crop.matrix
        if image is not None:
            self.images[row] = image

    def examples(self, numbers: NDArray[np.integer]) -> Examples:
        """As tensors; those of the pictures lie in memory with their channels last."""
        images = self.images.transpose(0, 3, 1, 2)
        arrays = (images, self.intrinsics, self.points, self.points2d, np.asarray(numbers, np.int64))
        return Examples(*map(torch.from_numpy, arrays))


class _Originals:
    """Pictures that are not packed, from the datasets' folders; a frame of a video is found by decoding up to it."""

    def __init__(self) -> None:
        self._trees: dict[str, Tree] = {}
        self._last: tuple[tuple[str, str, str, int], Image | None] | None = None

    def image(self, root: str, path: str, transform: str, frame: int) -> Image | None:
        """A picture; None where it is missing or damaged. The last one is kept: several people may be in it."""
        key = (root, path, transform, frame)
        if self._last is None or self._last[0] != key:
            self._last = key, self._read(*key)
        return self._last[1]

    def _read(self, root: str, path: str, transform: str, frame: int) -> Image | None:
        try:
            if root not in self._trees:
                self._trees[root] = Tree(root)
            with self._trees[root].open(path) as stream:
                return next(image for _, image in frames_of(stream, path, transform, [frame]))
        except FileFormatError:
            return None


def camera_of(batch: Batch, row: int) -> Camera | None:
    """The lens of a row's camera; None where none is known."""
    matrix, distortion = batch.cameras["matrix"][row], batch.cameras["distortion"][row]
    if not np.isfinite(matrix).all():
        return None
    return _camera(matrix.tobytes(), distortion.tobytes(), int(batch.cameras["lens"][row]))


@lru_cache(maxsize=4096)
def _camera(matrix: bytes, distortion: bytes, lens: int) -> Camera:
    """A camera by its numbers; to make one checks them, which costs more than to look it up."""
    numbers, bends = np.frombuffer(matrix).reshape(3, 3), np.frombuffer(distortion)
    return Camera(numbers, distortion=bends, lens=LENSES[lens])  # type: ignore[arg-type]


def decoded_jpeg(content: bytes, factor: int = 1) -> Image | None:
    """A JPEG file as RGB, its pixels averaged in squares of 1, 2, 4 or 8; None where it is damaged or none."""
    cv2 = need("cv2", "train")
    if not 0 < jpeg_pixels(content) <= MAX_PIXELS or not content.endswith(b"\xff\xd9"):
        return None
    kinds = {1: "IMREAD_COLOR", 2: "IMREAD_REDUCED_COLOR_2", 4: "IMREAD_REDUCED_COLOR_4", 8: "IMREAD_REDUCED_COLOR_8"}
    try:
        found = cv2.imdecode(
            np.frombuffer(content, np.uint8), getattr(cv2, kinds[factor]) | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        return None
    return None if found is None else cv2.cvtColor(found, cv2.COLOR_BGR2RGB, dst=found)


def jpeg_pixels(content: bytes) -> int:
    """How many pixels a JPEG file says that it has, 0 where it says nothing of the kind (ISO/IEC 10918-1, annex B)."""
    at = 2 if content.startswith(b"\xff\xd8") else len(content)
    while at + 9 < len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[at + n : at + n + 2], "big") for n in (5, 7))
            return height * width
        at += 2 + length
    return 0


def mirrored(points: NDArray[np.float32], mirror: NDArray[np.intp]) -> NDArray[np.float32]:
    """Points (J, D) of a mirrored picture under their own names; NaN for joints without a mirror image."""
    return np.where((mirror >= 0)[:, None], points[mirror], np.float32(np.nan))


def _places(store: Store, names: Sequence[str], say: Callable[[Skeleton, str], str]) -> NDArray[np.intp]:
    """For each skeleton of a store and each of its joints the place of its name, -1 where it has none, (S, J)."""
    places = {name: place for place, name in enumerate(names)}
    found = np.full((len(store.skeletons), max(map(len, store.skeletons))), -1, np.intp)
    for number, card in enumerate(store.skeletons):
        found[number, : len(card)] = [places.get(say(card, name), -1) for name in card.names]
    return found


def _spread(points: Array, places: NDArray[np.intp], count: int) -> NDArray[np.float32]:
    """Points (J, D) at their places among `count`; NaN elsewhere."""
    found = np.full((count, points.shape[1]), np.nan, np.float32)
    known = places >= 0
    found[places[known]] = points[known]
    return found


def _in_picture(batch: Batch, row: int, camera: Camera | None) -> Array:
    """A row's labels in the source picture, (J, 2) pixels: as given, else projected."""
    given = batch.numbers.get("points2d")
    if given is None and camera is not None:
        return camera.project_seen(batch.points[row])
    return np.full((len(batch.joints[row]), 2), np.nan) if given is None else np.asarray(given[row], float)


def _is_box(box: Array) -> bool:
    return bool(np.isfinite(box).all() and (box[2:] > 0).any())
