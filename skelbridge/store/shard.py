"""One shard: a file of samples of one dataset, split and skeleton, mapped into memory and read row by row."""

from __future__ import annotations

import math
import mmap
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.skeletons import Skeleton
from skelbridge.store import sealed
from skelbridge.store.index import SCHEMA, Shard
from skelbridge.store.samples import LENSES, Samples, Words
from skelbridge.store.schema import CAMERAS, MAY_LACK, NUMBERS, PACKED, WORDS, row_shape
from skelbridge.store.sealed import Place

#: Files that a process keeps mapped at a time; each holds one file handle.
MAX_OPEN = 256
_MEND = "Restore the file from a copy, or ingest the dataset anew."

Rows = slice | NDArray[np.integer]


@dataclass(frozen=True)
class File:
    """Where a shard lies, and what its index says of it."""

    path: Path
    shard: Shard

    def __hash__(self) -> int:  # of all fields would be slow
        return hash(self.shard.digest)


class Mapped:
    """A shard's file in memory: its columns are views; nothing is read until it is looked at."""

    def __init__(self, file: File):
        self.file, self.rows, self.joints = file, file.shard.rows, file.shard.joints
        if not file.path.is_file():
            raise damaged(
                file.path, "", expected="a shard of the store", got="no such file",
                mend="Keep the .shards folder beside its .h5 file; restore it, or ingest the dataset anew.",
            )  # fmt: skip
        found = sealed.head(file.path).digest
        if found != file.shard.digest:
            raise damaged(file.path, "its seal", expected=f"the index's digest {file.shard.digest[:12]}",
                          got=found[:12], mend=_MEND)  # fmt: skip
        self._places = _places(file)
        self._content: mmap.mmap = sealed.mapped(file.path)
        self._views: dict[str, NDArray[Any]] = {}

    def has(self, name: str) -> bool:
        """Whether the shard has a column that others may lack."""
        return (f"{name}/bytes" if name in PACKED else name) in self._places

    def column(self, name: str) -> NDArray[Any]:
        """A column as it lies in the file."""
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = self._places[name].view(self._content)
        return view

    def numbers(self, name: str, rows: Rows) -> NDArray[Any]:
        """Some rows of a column of `NUMBERS`; NaN where the shard lacks it."""
        if self.has(name):
            found = np.array(self.column(name)[rows])
            return found.astype(bool) if name == "world_known" else found
        dtype, shape = NUMBERS[name]
        return np.full((len(np.arange(self.rows)[rows]), *row_shape(shape, self.joints)), np.nan, dtype)

    def words(self, name: str, rows: Rows) -> Words:
        """Some rows of a text column."""
        codes = np.array(self.column(f"text/{name}")[rows])
        used, places = np.unique(codes, return_inverse=True)
        return Words(tuple(self.entries(name, used)), places.astype(np.int32).reshape(-1))

    def entries(self, name: str, codes: Rows = slice(None)) -> list[str]:
        """The words that a text column's codes stand for."""
        known = self.column(f"words/{name}")
        if not isinstance(codes, slice):
            self.check_codes(name, codes, len(known))
        try:
            return [word.decode() for word in known[codes].tolist()]
        except UnicodeDecodeError as error:
            raise damaged(self.file.path, f"words/{name}", expected="text in UTF-8", got=error, mend=_MEND) from None

    def packed(self, name: str, rows: Rows) -> list[bytes | None]:
        """Some rows' masks or pictures."""
        listed = np.arange(self.rows)[rows]
        if not self.has(name):
            return [None] * len(listed)
        content, starts = self.column(f"{name}/bytes"), self.column(f"{name}/starts")
        first, last = starts[listed], starts[listed + 1]
        if len(listed) and not ((first >= 0) & (first <= last) & (last <= len(content))).all():
            raise damaged(self.file.path, f"{name}/starts", expected="rising places", got="others", mend=_MEND)
        return [content[a:b].tobytes() or None for a, b in zip(first.tolist(), last.tolist(), strict=True)]

    def cameras(self, codes: NDArray[np.integer]) -> tuple[tuple[Camera, ...], NDArray[np.int32]]:
        """The cameras that codes stand for, and each code's place among them; -1 stays."""
        used, places = np.unique(codes, return_inverse=True)
        self.check_codes("camera", used, len(self.column("cameras/lens")), least=-1)
        known = used[used >= 0]
        made = tuple(self._camera(code) for code in known.tolist())
        return made, (places - (len(used) - len(known))).astype(np.int32).reshape(-1)

    def _camera(self, code: int) -> Camera:
        values = {name: np.array(self.column(f"cameras/{name}")[code]) for name in CAMERAS}
        self.check_codes("cameras/lens", values["lens"].reshape(1), len(LENSES))
        try:
            return Camera(**{**values, "lens": LENSES[int(values["lens"])]})  # type: ignore[arg-type]
        except InputError as error:
            raise damaged(self.file.path, f"camera {code}", expected="a camera", got=error, mend=_MEND) from error

    def samples(self, rows: Rows, card: Skeleton) -> Samples:
        """Some rows as samples."""
        numbers = {name: self.numbers(name, rows) for name in NUMBERS if self.has(name) or name not in MAY_LACK}
        cameras, camera = self.cameras(numbers.pop("camera"))
        text = {name: self.words(name, rows) for name in WORDS}
        return Samples(
            skeleton=card,
            points=numbers.pop("points", None),
            points2d=numbers.pop("points2d", None),
            cameras=cameras,
            camera=camera,
            masks=tuple(self.packed("masks", rows)),
            pictures=tuple(self.packed("pictures", rows)),
            text={"split": Words.of(self.file.shard.split, len(camera)), **text},
            **numbers,
        )

    def check_codes(self, name: str, codes: NDArray[np.integer], count: int, least: int = 0) -> None:
        """FileFormatError unless codes are from `least` to count - 1."""
        if len(codes) and not (codes.min() >= least and codes.max() < count):
            raise damaged(
                self.file.path, name, expected=f"codes from {least} to {count - 1}", got=codes.max(), mend=_MEND
            )


@lru_cache(maxsize=4096)
def _places(file: File) -> dict[str, Place]:
    """Where a shard's columns lie, held against what they should be."""
    attributes, places = sealed.layout(file.path)
    wanted = {
        "kind": "skelbridge shard", "schema": SCHEMA, "dataset": file.shard.dataset, "split": file.shard.split,
        "skeleton": file.shard.skeleton,
    }  # fmt: skip
    if attributes != wanted:
        raise damaged(file.path, "its attributes", expected=wanted, got=attributes, mend=_MEND)
    _check_columns(file, dict(places))
    return places


def _check_columns(file: File, places: dict[str, Place]) -> None:
    """FileFormatError unless the columns are those of the schema, of the right type and shape."""
    rows, joints = file.shard.rows, file.shard.joints
    cameras = places["cameras/lens"].shape[:1] if "cameras/lens" in places else (0,)
    wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
        name: (dtype, (rows, *row_shape(shape, joints)))
        for name, (dtype, shape) in NUMBERS.items()
        if name not in MAY_LACK or name in places
    }
    wanted |= {f"cameras/{name}": (dtype, (*cameras, *shape)) for name, (dtype, shape) in CAMERAS.items()}
    wanted |= {f"text/{name}": (np.dtype("<i4"), (rows,)) for name in WORDS}
    for name in PACKED:
        if f"{name}/bytes" in places:
            wanted[f"{name}/starts"] = (np.dtype("<i8"), (rows + 1,))
            wanted[f"{name}/bytes"] = (np.dtype("u1"), (math.prod(places[f"{name}/bytes"].shape),))
    found = {name: (place.dtype, place.shape) for name, place in places.items() if not name.startswith("words/")}
    tables = {name: place for name, place in places.items() if name.startswith("words/")}
    if found != wanted or set(tables) != {f"words/{name}" for name in WORDS}:
        wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        place = wrong[0] if wrong else "its words"
        raise damaged(file.path, place, expected=wanted.get(place), got=found.get(place), mend=_MEND)
    if any(place.dtype.kind != "S" or len(place.shape) != 1 for place in tables.values()):
        raise damaged(file.path, "its words", expected="lists of text", mend=_MEND)


class _Cache:
    """The mapped files of a process, the least used of which are let go. Threads share it; a fork starts anew."""

    def __init__(self) -> None:
        self._files: OrderedDict[File, Mapped] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, file: File) -> Mapped:
        with self._lock:
            found = self._files.get(file)
            if found is not None:
                self._files.move_to_end(file)
                return found
        found = Mapped(file)
        with self._lock:
            self._files[file] = found
            while len(self._files) > MAX_OPEN:
                self._files.popitem(last=False)
        return found

    def drop(self, file: File) -> None:
        with self._lock:
            self._files.pop(file, None)

    def renew(self) -> None:
        """After a fork, where another thread may have held the lock."""
        self._lock = threading.Lock()


_CACHE = _Cache()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CACHE.renew)


def opened(file: File) -> Mapped:
    """A shard in memory; FileFormatError where it is not what its index says."""
    return _CACHE.get(file)


def released(file: File) -> None:
    """Let go of a shard that was read through: pages of mapped files count as memory of this process."""
    _CACHE.drop(file)
