"""Sealed HDF5 files: plain arrays at known places behind a user block that vouches for every byte.

The first 512 bytes are HDF5's user block: a magic word, this layout's version, how many bytes follow and their
BLAKE2b digest; the rest of it is zero. So a flipped, cut or swapped file is found, whichever byte it is. Datasets
are contiguous, neither compressed nor elsewhere, so that a reader can map them into memory.

A file is written beside its place under a name of its own, brought to the disk, and then takes its name.
"""

from __future__ import annotations

import errno
import hashlib
import math
import mmap
import os
import struct
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError, SkelbridgeError, need
from skelbridge.io.files import damaged

USER_BLOCK = 512
VERSION = 1
#: Unfinished files end so; a killed run leaves them behind.
PART = ".part"

_MAGIC = b"skelbridge sealed HDF5\n".ljust(24, b"\0")
_HEAD = struct.Struct("<24sIQ32s")
_CHUNK = 4 * 2**20
_MEND = "The file is damaged: restore it from a copy, or ingest or merge anew."


@dataclass(frozen=True)
class Seal:
    """What a sealed file vouches for: the bytes behind its user block and their digest, in hexadecimal."""

    bytes: int
    digest: str


@dataclass(frozen=True)
class Column:
    """An array that is to be written: pieces, one below the other, that make up its shape."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    pieces: Iterable[NDArray[Any]]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Column:
        return cls(array.dtype, array.shape, (array,))


@dataclass(frozen=True)
class Place:
    """Where an array lies in a file."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def view(self, content: mmap.mmap) -> NDArray[Any]:
        """The array in a mapped file; nothing is read until it is looked at."""
        return np.ndarray(self.shape, self.dtype, buffer=content, offset=self.offset)


def write(path: Path, attributes: Mapping[str, str | int], columns: Mapping[str, Column]) -> Seal:
    """Write a sealed file; SkelbridgeError where the disk refuses, and then nothing is left of it.

    HDF5 lays out the file, the arrays are then written at their places: so a full disk is one plain error, and no
    array passes through memory twice.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PART}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            places = _laid_out(temporary, attributes, columns)
            with temporary.open("r+b") as stream:
                for name, column in columns.items():
                    _write_column(stream, path, name, places[name], column)
                stream.flush()
                seal = Seal(os.fstat(stream.fileno()).st_size - USER_BLOCK, _digest(stream))
                stream.seek(0)
                stream.write(_HEAD.pack(_MAGIC, VERSION, seal.bytes, bytes.fromhex(seal.digest)))
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    return seal


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses while `path` is written into one error that says how to go on."""
    try:
        yield
    except SkelbridgeError:
        raise
    except (OSError, RuntimeError) as error:  # HDF5 reports some of them as RuntimeError
        full = getattr(error, "errno", None) == errno.ENOSPC or "errno = 28" in str(error)
        raise SkelbridgeError(
            f"{path} cannot be written",
            got="a full disk" if full else error,
            mend="Mend that and run the same again: what was committed before is whole and stays.",
        ) from error


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks
            raise
    finally:
        os.close(handle)


def _laid_out(path: Path, attributes: Mapping[str, str | int], columns: Mapping[str, Column]) -> dict[str, Place]:
    """Create the file with empty arrays at their final places."""
    h5py = need("h5py", "data")
    layout = {"libver": ("v110", "v110"), "alignment_threshold": 1, "alignment_interval": 64}
    with h5py.File(path, "w", userblock_size=USER_BLOCK, **layout) as file:
        links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        links.set_create_intermediate_group(True)
        kind = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        kind.set_layout(h5py.h5d.CONTIGUOUS)
        kind.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        kind.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        kind.set_obj_track_times(False)  # the same content gives the same bytes
        for name, value in attributes.items():
            file.attrs[name] = value
        places = {}
        for name, column in columns.items():
            dtype = h5py.h5t.py_create(column.dtype)
            space = h5py.h5s.create_simple(column.shape)
            made = h5py.h5d.create(file.id, name.encode(), dtype, space, dcpl=kind, lcpl=links)
            places[name] = Place(made.get_offset() or 0, column.dtype, column.shape)
    return places


def _write_column(stream: Any, path: Path, name: str, place: Place, column: Column) -> None:
    wanted = math.prod(place.shape) * place.dtype.itemsize
    stream.seek(place.offset)
    written = 0
    for piece in column.pieces:
        content = np.ascontiguousarray(piece, dtype=column.dtype)
        if content.size:
            stream.write(content.reshape(-1).view(np.uint8).data)
        written += content.nbytes
    if written != wanted:
        raise AssertionError(f"{path}: {name} has {written} bytes, its shape needs {wanted}")


def _digest(stream: Any) -> str:
    """Of all behind the user block."""
    stream.seek(USER_BLOCK)
    state = hashlib.blake2b(digest_size=32)
    while block := stream.read(_CHUNK):
        state.update(block)
    return state.hexdigest()


def head(path: Path) -> Seal:
    """The seal of a file, its length checked; FileFormatError where it is none of ours."""
    with _opened(path) as stream:
        return _head(path, stream)


def check(path: Path) -> Seal:
    """The seal of a file all of whose bytes were read and found to be as written; FileFormatError otherwise."""
    with _opened(path) as stream:
        return _check(path, stream)


def whole(path: Path) -> tuple[dict[str, str | int], dict[str, NDArray[Any]]]:
    """Attributes and arrays of a file that was checked; raises as `check` and `layout`.

    All is read by one handle: a writer may put another file in its place meanwhile.
    """
    with _opened(path) as stream:
        _check(path, stream)
        attributes, places = _layout(path, stream, os.fstat(stream.fileno()).st_size)
        content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return attributes, {name: place.view(content) for name, place in places.items()}


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise damaged(
            path, "", expected="a file that can be read", got=error.strerror, mend="Check the path."
        ) from None


def _head(path: Path, stream: BinaryIO) -> Seal:
    block, size = stream.read(USER_BLOCK), os.fstat(stream.fileno()).st_size
    if len(block) < USER_BLOCK:
        raise damaged(path, "", expected=f"at least {USER_BLOCK} bytes", got=f"{len(block)}", mend=_MEND)
    magic, version, length, digest = _HEAD.unpack_from(block)
    if magic != _MAGIC:
        raise damaged(path, "its first bytes", expected="a file of a skelbridge store", got=magic[:16], mend=_MEND)
    if version != VERSION:
        raise damaged(
            path, "its seal", expected=f"version {VERSION}", got=version, mend="Update skelbridge, or: " + _MEND
        )
    if block[_HEAD.size :].strip(b"\0"):
        raise damaged(path, "its seal", expected="zeros to the end of the user block", got="other bytes", mend=_MEND)
    if length != size - USER_BLOCK:
        raise damaged(path, "", expected=f"{length + USER_BLOCK} bytes", got=f"{size}", mend=_MEND)
    return Seal(length, digest.hex())


def _check(path: Path, stream: BinaryIO) -> Seal:
    seal, found = _head(path, stream), _digest(stream)
    if found != seal.digest:
        raise damaged(path, "", expected=f"content of digest {seal.digest[:12]}", got=found[:12], mend=_MEND)
    return seal


def layout(path: Path) -> tuple[dict[str, str | int], dict[str, Place]]:
    """Attributes of a sealed file and where its arrays lie.

    Raises FileFormatError for anything but contiguous arrays of plain numbers and fixed text within the file: links,
    compressed, virtual and external datasets are refused.
    """
    return _layout(path, path, path.stat().st_size)


def _layout(path: Path, source: Path | BinaryIO, size: int) -> tuple[dict[str, str | int], dict[str, Place]]:
    h5py = need("h5py", "data")
    places: dict[str, Place] = {}
    try:
        with h5py.File(source, "r") as file:
            attributes = {name: value if isinstance(value, str) else int(value) for name, value in file.attrs.items()}
            _collect(h5py, path, file, "", size, places)
    except FileFormatError:
        raise
    except Exception as error:  # HDF5 on damaged files: OSError, RuntimeError, KeyError, ValueError, TypeError ...
        raise damaged(path, "", expected="a sealed HDF5 file", got=error, mend=_MEND) from error
    return attributes, places


def _collect(h5py: Any, path: Path, group: Any, prefix: str, size: int, places: dict[str, Place]) -> None:
    if prefix.count("/") > 8:
        raise damaged(path, prefix, expected="groups at most 8 deep", got="deeper ones", mend=_MEND)
    for name in group:
        where = prefix + name
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise damaged(path, where, expected="data in this file", got="a link", mend=_MEND)
        item = group[name]
        if isinstance(item, h5py.Group):
            _collect(h5py, path, item, where + "/", size, places)
        else:
            places[where] = _place(h5py, path, where, item, size)


def _place(h5py: Any, path: Path, where: str, item: Any, size: int) -> Place:
    plan = item.id.get_create_plist()
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or plan.get_external_count() or plan.get_nfilters():
        raise damaged(path, where, expected="a contiguous dataset", got="another layout", mend=_MEND)
    dtype, shape = item.dtype, item.shape
    if dtype.kind not in "iufS" or not dtype.isnative:
        raise damaged(path, where, expected="plain numbers or text of fixed length", got=dtype, mend=_MEND)
    length = math.prod(shape) * dtype.itemsize
    offset = item.id.get_offset() if length else 0
    if offset is None or offset < 0 or offset + length > size:
        raise damaged(path, where, expected=f"{length} bytes within the file's {size}", got=offset, mend=_MEND)
    return Place(offset, dtype, shape)


def mapped(path: Path) -> mmap.mmap:
    """A file mapped into memory, to be read only."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
