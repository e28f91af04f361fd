"""One batch, as columns, and how the columns of many rows are gathered from shards."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera, bend
from skelbridge.errors import FileFormatError, InputError, UnknownNameError, need
from skelbridge.store.samples import LENSES, Words
from skelbridge.store.schema import CAMERAS, JOINTS, NUMBERS, WORDS, row_shape
from skelbridge.store.shard import File, Mapped, opened

if TYPE_CHECKING:
    from skelbridge.store.reader import Store

#: Whether batches have the packed pictures, and whether these are decoded as well by who prepares the batch.
Pictures = bool | Literal["decoded"]
#: The columns that a batch can have.
COLUMNS = (*NUMBERS, *WORDS)


@dataclass(frozen=True, eq=False)
class Batch:
    """N samples of any datasets and skeletons, as columns; J is the joints of the largest skeleton of the store.

    step: which. rows: (N,) int64, of the store: `store[batch.rows]` has all that is known of them.
    datasets, dataset: the names, and which is each sample's, (N,) int32; skeletons, skeleton: the same.
    joints: (N, J) int32, which joint of the union (`Batches.joints`) each is; -1 where the skeleton has no more.
    numbers: the columns of `Samples` that were asked for, points (N, J, 3), points2d (N, J, 2) and visibility (N, J)
        filled up with NaN and 0. Where a dataset gives no 2D points, these are projected. `batch.points` is short for
        `batch.numbers["points"]`.
    cameras: matrix (N, 3, 3), distortion (N, 8), rotation (N, 3, 3), translation (N, 3), float64, NaN where unknown,
        and lens (N,), which of `LENSES`; empty unless the column `camera` was asked for.
    codes: text columns as codes; `text` gives the words.
    files, file: the shards, and which holds each sample, (N,) int32.
    width: the number of joints of the union.
    pictures: N packed JPEG files or None; None where they were not asked for. `images` gives them decoded, and
        `decoded` is what it gives, where that was asked for beforehand.
    """

    step: int
    rows: NDArray[np.int64]
    datasets: tuple[str, ...]
    dataset: NDArray[np.int32]
    skeletons: tuple[str, ...]
    skeleton: NDArray[np.int32]
    joints: NDArray[np.int32]
    numbers: Mapping[str, NDArray[Any]]
    cameras: Mapping[str, NDArray[Any]]
    codes: Mapping[str, NDArray[np.int32]]
    files: tuple[File, ...]
    file: NDArray[np.int32]
    width: int
    pictures: tuple[bytes | None, ...] | None = None
    decoded: tuple[NDArray[np.uint8] | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: of the files only those that its rows lie in."""
        used, file = np.unique(self.file, return_inverse=True)
        return {**self.__dict__, "files": tuple(self.files[n] for n in used), "file": file.astype(np.int32)}

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name in NUMBERS and name in (numbers := self.__dict__.get("numbers", {})):
            found: NDArray[Any] = numbers[name]
            return found
        raise AttributeError(f"this batch has no {name!r}")

    def text(self, name: str) -> Words:
        """A text column; UnknownNameError where it was not asked for."""
        if name == "split":
            return Words.of([self.files[n].shard.split for n in self.file], len(self))
        if name not in self.codes:
            raise UnknownNameError(f"the batch has no text {name!r}", expected=f"one of {', '.join(self.codes)}")
        words = [""] * len(self)
        for number, file in enumerate(self.files):
            here = np.flatnonzero(self.file == number)
            for row, word in zip(here, opened(file).entries(name, self.codes[name][here]), strict=True):
                words[row] = word
        return Words.of(words, len(self))

    def images(self) -> tuple[NDArray[np.uint8] | None, ...]:
        """The packed pictures decoded, each (height, width, 3) RGB; InputError where they were not asked for."""
        if self.decoded is not None:
            return self.decoded
        if self.pictures is None:
            raise InputError("the pictures of a batch", expected="pictures=True for batches", got="none")
        return tuple(decoded(self.pictures))

    def to_union(self, rows: slice | NDArray[Any] = slice(None), column: str = "points") -> NDArray[Any]:
        """Points or visibility spread over all joints of the union, (n, union, ...); NaN, or 0, for other formats'."""
        values, joints = self.numbers[column][rows], self.joints[rows]
        shape = (len(joints), self.width, *values.shape[2:])
        found = np.full(shape, np.nan if values.dtype.kind == "f" else 0, values.dtype)
        sample, joint = np.nonzero(joints >= 0)
        found[sample, joints[sample, joint]] = values[sample, joint]
        return found

    def part(self, step: int, rows: slice) -> Batch:
        """Some of the rows, as a batch."""
        values = self.__dict__
        arrays = {name: value[rows] for name, value in values.items() if isinstance(value, np.ndarray)}
        tables = {
            name: {key: column[rows] for key, column in value.items()}
            for name, value in values.items()
            if isinstance(value, dict)
        }
        lists = {name: values[name] and values[name][rows] for name in ("pictures", "decoded")}
        return Batch(**{**values, **arrays, **tables, **lists, "step": step})

    def with_images(self) -> Batch:
        """The same with its pictures decoded."""
        return replace(self, decoded=self.images())


def decoded(pictures: Sequence[bytes | None]) -> list[NDArray[np.uint8] | None]:
    """JPEG files as arrays (height, width, 3) RGB; FileFormatError for what is none."""
    read = need("PIL.Image", "data").open
    found: list[NDArray[np.uint8] | None] = []
    for picture in pictures:
        try:
            image = None if picture is None else read(io.BytesIO(picture))
            found.append(None if image is None else np.asarray(image if image.mode == "RGB" else image.convert("RGB")))
        except (OSError, SyntaxError, ValueError) as error:
            raise FileFormatError(
                "a packed picture", expected="a JPEG file", got=error,
                mend="`skelbridge store verify FILE` says which file is damaged.",
            ) from error  # fmt: skip
    return found


class Gatherer:
    """Gathers the columns of rows that lie anywhere in a store."""

    def __init__(self, store: Store, columns: Sequence[str] | None, pictures: Pictures):
        if strange := set(columns or ()) - set(COLUMNS):
            raise UnknownNameError(
                f"batches have no column {sorted(strange)[0]!r}", expected=f"some of {', '.join(COLUMNS)}"
            )
        if pictures not in (True, False, "decoded"):
            raise InputError("pictures", expected="True, False or 'decoded'", got=repr(pictures))
        self.store, self.pictures = store, pictures
        chosen = COLUMNS if columns is None else columns
        self._numbers = [name for name in NUMBERS if name in chosen]
        self._of_joints = [name for name in self._numbers if JOINTS in NUMBERS[name][1]]
        self._words = [name for name in WORDS if name in chosen]
        self._most = max(map(len, store.skeletons))
        self._joints = np.full((len(store.skeletons), self._most), -1, np.int32)
        for number, card in enumerate(store.skeletons):
            self._joints[number, : len(card)] = store.union.places[str(card)]
        skeletons = {str(card): number for number, card in enumerate(store.skeletons)}
        self._skeleton = np.array([skeletons[str(piece.card)] for piece in store.pieces], np.int32)
        self._dataset = np.array([store.datasets.index(piece.shard.dataset) for piece in store.pieces], np.int32)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in memory."""
        cameras = sum(dtype.itemsize * int(np.prod(shape)) for dtype, shape in CAMERAS.values())
        each = (dtype.itemsize * abs(int(np.prod(shape))) * (self._most if JOINTS in shape else 1)
                for dtype, shape in map(NUMBERS.__getitem__, self._numbers))  # fmt: skip
        return sum(each) + 4 * (len(self._words) + self._most) + 32 + cameras * ("camera" in self._numbers)

    def batches(self, rows: NDArray[np.int64], steps: Sequence[int], sizes: Sequence[int]) -> list[Batch]:
        """Rows (N,) of the store, gathered together and cut into batches of those sizes."""
        whole = self._gathered(rows)
        return [
            whole.part(step, slice(stop - size, stop))
            for step, size, stop in zip(steps, sizes, np.cumsum(sizes).tolist(), strict=True)
        ]

    def _gathered(self, rows: NDArray[np.int64]) -> Batch:
        """All columns of rows (N,); shard by shard in the order of the files, then brought into the order asked for."""
        order = np.argsort(rows, kind="stable")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        parts = list(self.store.by_piece(rows[order]))
        sizes = [len(places) for _, places in parts]
        number = np.repeat([number for number, _ in parts], sizes)
        columns = self._columns(len(rows))
        pictures: list[bytes | None] = []
        start = 0
        for piece, places in parts:
            shown = self.store.pieces[piece]
            shard, inside = shown.mapped, shown.rows(places)
            self._fill(columns, slice(start, start + len(places)), shard, inside)
            if self.pictures:
                pictures += shard.packed("pictures", inside)
            start += len(places)
        columns = {name: columns.pop(name).take(back, 0) for name in list(columns)}  # never two of all
        cameras = {name: columns.pop(f"cameras/{name}") for name in CAMERAS} if "camera" in self._numbers else {}
        codes = {name: columns.pop(name) for name in self._words}
        if "world_known" in columns:
            columns["world_known"] = columns["world_known"].astype(bool)
        used, file = np.unique(number, return_inverse=True)
        return Batch(
            step=-1, rows=rows, datasets=self.store.datasets, dataset=self._dataset[number[back]],
            skeletons=tuple(map(str, self.store.skeletons)), skeleton=self._skeleton[number[back]],
            joints=self._joints[self._skeleton[number[back]]], numbers=columns, cameras=cameras, codes=codes,
            files=tuple(self.store.pieces[n].file for n in used), file=file.astype(np.int32)[back],
            width=len(self.store.union), pictures=tuple(pictures[n] for n in back) if self.pictures else None,
        )  # fmt: skip

    def _columns(self, count: int) -> dict[str, NDArray[Any]]:
        """Arrays for so many rows, joints that are not there NaN or 0."""
        found: dict[str, NDArray[Any]] = {name: np.empty(count, np.int32) for name in self._words}
        for name in self._numbers:
            if name == "camera":
                for part, (dtype, shape) in CAMERAS.items():
                    found[f"cameras/{part}"] = np.empty((count, *shape), dtype)
            else:
                dtype, shape = NUMBERS[name]
                blank = np.nan if dtype.kind == "f" else 0
                found[name] = (
                    np.full((count, *row_shape(shape, self._most)), blank, dtype)
                    if JOINTS in shape
                    else np.empty((count, *shape), dtype)
                )
        return found

    def _fill(self, columns: Mapping[str, NDArray[Any]], part: slice, shard: Mapped, rows: NDArray[np.int64]) -> None:
        """Put some rows of a shard into a part of the columns."""
        if "camera" in self._numbers:
            _fill_cameras({name: columns[f"cameras/{name}"][part] for name in CAMERAS}, shard, rows)
        for name in self._words:
            if len(shard.column(f"words/{name}")) == 1:  # the same word everywhere: no need to touch the file
                columns[name][part] = 0
            else:
                shard.column(f"text/{name}").take(rows, 0, columns[name][part], "clip")
        for name in self._numbers:
            if name in self._of_joints:
                if shard.has(name):
                    columns[name][part, : shard.joints] = shard.column(name).take(rows, 0)
                elif name == "points2d" and shard.has("points"):
                    columns[name][part, : shard.joints] = _projected(shard, rows)
            elif name != "camera":
                shard.column(name).take(rows, 0, columns[name][part], "clip")


def _fill_cameras(out: Mapping[str, NDArray[Any]], shard: Mapped, rows: NDArray[np.int64]) -> None:
    """The table of cameras for rows of a shard; NaN (lens: 0) where no camera is known."""
    codes, count = shard.column("camera").take(rows), len(shard.column("cameras/lens"))
    shard.check_codes("camera", codes, count, least=-1)
    unknown = codes < 0
    for name, column in out.items():
        if count:
            shard.column(f"cameras/{name}").take(codes, 0, column, "clip")
        if unknown.any():
            column[unknown] = np.nan if column.dtype.kind == "f" else 0


def _projected(shard: Mapped, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The 3D points of rows of a shard in the picture, as `Camera.project_seen` has them."""
    cameras = {name: np.empty((len(rows), *shape), dtype) for name, (dtype, shape) in CAMERAS.items()}
    _fill_cameras(cameras, shard, rows)
    return projected(shard.column("points").take(rows, 0), cameras)


def projected(points: NDArray[np.floating], cameras: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Points in the axes of their cameras (N, J, 3) in the pictures (N, J, 2), each row by its own camera.

    cameras: as `Batch.cameras`. NaN behind a camera, beyond what its lens sees, and where it is not known.
    """
    matrix, bends = cameras["matrix"][:, None], cameras["distortion"]
    seen = points.astype(float)
    ahead = np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
    flat = seen[..., :2] / ahead
    if np.any(bends):
        kinds, which = np.unique(bends, axis=0, return_inverse=True)
        reach = np.array([_fold(kind.tobytes()) for kind in kinds])[which.reshape(-1)]
        flat = np.where(np.sum(flat**2, axis=-1, keepdims=True) < reach[:, None, None], flat, np.nan)
        twice = np.where(cameras["lens"] == LENSES.index("opencv"), 2.0, 1.0)[:, None]
        flat = bend(flat, bends[:, None], twice)[0]
    return np.einsum("nkab,njb->nja", matrix[..., :2, :2], flat) + matrix[..., :2, 2]


@lru_cache(maxsize=65536)
def _fold(distortion: bytes) -> float:
    """Squared distance from the axis up to which a lens sees, by its coefficients."""
    values = np.frombuffer(distortion)
    return Camera(np.eye(3), distortion=values).fold if np.isfinite(values).all() else np.nan
