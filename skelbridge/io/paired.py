"""Poses known in several formats at once, from an npz file: read block by block, for it may be larger than memory.

Two layouts, of floats or integers, NaN where a joint is missing:

- one array for each format, (N, joints, 3), named by the format's id or alias ("coco_17", "mediapipe_hand_21:left");
- `points` (N, J, 3), the formats' joints side by side, and `formats`, the list of their ids in that order.

Pose n of every format is of the same body at the same time. An optional `units` says "mm" (the default), "cm", "m" or
"inch".
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError, UnknownNameError
from skelbridge.io.arrays import as_floats, check_packing, npy_header, parsed
from skelbridge.io.files import damaged
from skelbridge.poses import MILLIMETRES
from skelbridge.skeletons import Skeleton, skeleton

#: Bytes of a block, of an array's header at most, and of an array of words at most.
BLOCK_BYTES, HEAD_BYTES, TEXT_BYTES = 2**24, 2**14, 2**20

_LAYOUTS = "arrays named by formats, or 'points' and 'formats'"


@dataclass(frozen=True)
class PairedFile:
    """A file of poses in several formats: its formats, its count of poses, and the poses as blocks.

    members: the names of the arrays, side by side they hold the formats' joints in order. scale: mm a unit.
    """

    path: Path
    formats: tuple[Skeleton, ...]
    members: tuple[str, ...]
    count: int
    scale: float

    def __len__(self) -> int:
        return self.count

    @property
    def block(self) -> int:
        """Poses in a block."""
        return max(BLOCK_BYTES // (24 * sum(map(len, self.formats))), 1)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The poses in order, (n, J, 3) mm; FileFormatError where the file turns out to be damaged."""
        with _opened(self.path) as archive, ExitStack() as stack:
            arrays = [_Rows(self.path, archive, name, stack) for name in self.members]
            for start in range(0, self.count, self.block):
                count = min(self.block, self.count - start)
                points = np.concatenate([array.read(count) for array in arrays], axis=1)
                yield (points * self.scale).astype(np.float32)


def read_paired(path: str | Path) -> PairedFile:
    """Look into an npz file of poses in several formats, without reading them.

    Raises FileFormatError for another layout, for shapes that do not fit the formats or each other, for pickles and
    damage.
    """
    path = Path(path)
    with _opened(path) as archive, ExitStack() as stack:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if "points" in names:
            members: tuple[str, ...] = ("points",)
            formats = _listed(path, archive, names)
        else:
            members = tuple(name for name in names if name != "units")
            formats = tuple(_format(path, name) for name in members)
        if not formats or len(set(map(str, formats))) < len(formats):
            raise damaged(path, "", expected=_LAYOUTS, got=", ".join(names) or "nothing", mend="Each format once.")
        widths = [sum(map(len, formats))] if members == ("points",) else [len(card) for card in formats]
        arrays = [_Rows(path, archive, name, stack) for name in members]
        for name, array, width in zip(members, arrays, widths, strict=True):
            if len(array.shape) != 3 or array.shape[1:] != (width, 3) or array.shape[0] != arrays[0].shape[0]:
                expected = f"shape ({arrays[0].shape[0] if array.shape else 'N'}, {width}, 3)"
                raise damaged(path, name, expected=expected, got=array.shape, mend="The same poses in every format.")
        return PairedFile(path, formats, members, arrays[0].shape[0], _scale(path, archive, names))


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        mend = "Check the path."
        raise damaged(path, "", expected="a file that can be read", got=error.strerror, mend=mend) from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise damaged(path, "", expected="an npz archive", got=str(error)) from None


class _Rows:
    """The rows of one array of an archive, read one after the other."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, name: str, stack: ExitStack):
        self.path, self.name = path, name
        info = archive.getinfo(f"{name}.npy")
        check_packing(path, info)
        with _member(path, archive, name) as start:
            head = io.BytesIO(_bytes(path, name, start, min(info.file_size, HEAD_BYTES)))
        self.shape, fortran, self.dtype = npy_header(path, name, head, info.file_size)
        self.stream = stack.enter_context(_member(path, archive, name))
        _bytes(path, name, self.stream, head.tell())
        if fortran and len(self.shape) > 1:
            raise damaged(path, name, expected="an array in C order", got="Fortran order",
                          mend="Save it as np.ascontiguousarray(...).")  # fmt: skip

    def read(self, count: int) -> NDArray[np.floating]:
        """The next `count` rows."""
        size = count * self.shape[1] * self.shape[2] * self.dtype.itemsize
        values = np.frombuffer(_bytes(self.path, self.name, self.stream, size), self.dtype)
        return as_floats(self.path, values.reshape(count, *self.shape[1:]), self.name)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(f"{name}.npy")
    except (KeyError, zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise damaged(path, name, expected="a readable array", got=str(error)) from None


def _bytes(path: Path, name: str, stream: IO[bytes], size: int) -> bytes:
    """The next bytes of a member; FileFormatError where they cannot be unpacked, or end too soon."""
    try:
        content = stream.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise damaged(path, name, expected="a readable array", got=str(error) or type(error).__name__) from None
    if len(content) < size:
        raise damaged(path, name, expected=f"{size} bytes more", got=f"{len(content)}")
    return content


def _text(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """A small array of words."""
    with _member(path, archive, name) as stream:
        content = _bytes(path, name, stream, min(archive.getinfo(f"{name}.npy").file_size, TEXT_BYTES))
    words = parsed(path, name, content)
    if words.dtype.kind != "U":
        raise damaged(path, name, expected="words", got=f"dtype {words.dtype}", mend="Save it as a list of strings.")
    return words


def _listed(path: Path, archive: zipfile.ZipFile, names: list[str]) -> tuple[Skeleton, ...]:
    """The formats of the layout with one array."""
    if "formats" not in names:
        raise damaged(path, "", expected=_LAYOUTS, got=", ".join(names[:12]), mend="Add the list of formats.")
    return tuple(_format(path, str(name)) for name in _text(path, archive, "formats").reshape(-1))


def _format(path: Path, name: str) -> Skeleton:
    try:
        return skeleton(name)
    except (UnknownNameError, InputError) as error:
        raise damaged(path, name, expected=_LAYOUTS, got=error.what, mend=error.mend or "") from None


def _scale(path: Path, archive: zipfile.ZipFile, names: list[str]) -> float:
    """mm a unit."""
    units = str(_text(path, archive, "units").reshape(-1)[0]) if "units" in names else "mm"
    if units not in MILLIMETRES:
        raise damaged(path, "units", expected=f"one of {', '.join(MILLIMETRES)}", got=units, mend="Say what they are.")
    return MILLIMETRES[units]
