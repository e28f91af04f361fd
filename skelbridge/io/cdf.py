"""NASA CDF, the Common Data Format: variables of records, as Human3.6M keeps its poses.

Written after the "CDF Internal Format Description" (NASA/GSFC, versions 2.6 to 3.9): records linked by file offsets.
It is neither NetCDF nor HDF5. Headers are big-endian always, values as the file's encoding says.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skelbridge.io.files import MAX_BYTES, damaged

_V3, _V26, _PLAIN, _PACKED = 0xCDF30001, 0xCDF26002, 0x0000FFFF, 0xCCCC0001

_BIG, _LITTLE = (1, 2, 5, 7, 9, 11, 12, 18), (4, 6, 13, 16, 17, 19)

_TYPES = {
    1: "i1", 2: "i2", 4: "i4", 8: "i8", 11: "u1", 12: "u2", 14: "u4", 21: "f4", 22: "f8",
    31: "f8", 33: "i8", 41: "i1", 44: "f4", 45: "f8", 51: "S", 52: "S",
}  # fmt: skip

#: The record types that are read, by the description's names.
_CDR, _GDR, _RVDR, _VXR, _VVR, _ZVDR, _CCR, _CPR, _CVVR = 1, 2, 3, 6, 7, 8, 10, 11, 13
_GZIP = 5

#: gzip makes nothing more than about a thousand times smaller; what claims to be larger is damage or a trap.
_MOST_PACKED = 1100


def read_cdf(stream: BinaryIO, name: str) -> dict[str, NDArray[Any]]:
    """The variables of a CDF file, each (records, ...) with its dimensions that vary.

    r and z variables, row or column majority, either byte order, and gzip (of variables or of the whole file) are
    read; variables without records are left out. name: the file's path, for messages.
    Raises FileFormatError for a damaged file, before anything larger than the file can hold is allocated, and for
    VAX numbers, other compressions and record gaps.
    """
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES or len(content) < 16:
        raise damaged(name, "", expected=f"a CDF file of at most {MAX_BYTES} bytes", got=f"{len(content)} bytes")
    try:
        return dict(_File.of(content, name).variables())
    except (struct.error, IndexError, zlib.error) as error:
        raise damaged(name, "", expected="a whole CDF file", got=str(error)) from error


@dataclass
class _File:
    """The uncompressed content, and how its records are written."""

    content: bytes
    name: str
    wide: bool
    visited: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, content: bytes, name: str) -> _File:
        version, packing = struct.unpack_from(">II", content)
        if version not in (_V3, _V26) or packing not in (_PLAIN, _PACKED):
            raise damaged(name, "bytes 1 to 8", expected="a CDF file of version 2.6 or later", got=content[:8].hex(" "))
        file = cls(content, name, version == _V3)
        if packing == _PACKED:
            at, size, (parameters, length, _) = file.record(8, _CCR, "ooi")
            file.check_packing(parameters)
            return cls(content[:8] + file.unpacked(content[at : 8 + size], length), name, file.wide)
        return file

    def record(self, offset: int, kind: int | tuple[int, ...], layout: str) -> tuple[int, int, tuple[int, ...]]:
        """A record's numbers (o an offset, i an integer): where they end, the record's size, the numbers.

        Every record is read once: a file whose offsets go in circles is damaged.
        """
        kinds = (kind,) if isinstance(kind, int) else kind
        place = f"byte {offset + 1}"
        if offset in self.visited:
            raise damaged(self.name, place, expected="records that are used once", got="a circle")
        self.visited.add(offset)
        form = struct.Struct(">" + ("oi" + layout).replace("o", "q" if self.wide else "i"))
        if not 8 <= offset <= len(self.content) - form.size:
            raise damaged(self.name, place, expected="a record in the file", got="an offset outside of it")
        size, found, *numbers = form.unpack_from(self.content, offset)
        if found not in kinds or size < form.size or offset + size > len(self.content):
            expected = f"a whole record of type {' or '.join(map(str, kinds))}"
            raise damaged(self.name, place, expected=expected, got=f"type {found} of {size} bytes")
        return offset + form.size, size, tuple(numbers)

    def integers(self, at: int, count: int, letter: str = "i") -> tuple[int, ...]:
        if not 0 <= count <= (len(self.content) - at) // 4:
            raise damaged(self.name, f"byte {at + 1}", expected="a count that fits the file", got=count)
        return struct.unpack_from(f">{count}{letter.replace('o', 'q' if self.wide else 'i')}", self.content, at)

    def check_packing(self, offset: int) -> None:
        """Refuses a compression other than gzip."""
        self.visited.discard(offset)  # several variables may share their parameters
        (kind,) = self.record(offset, _CPR, "i")[2]
        if kind != _GZIP:
            raise damaged(self.name, "compression", expected="gzip (5)", got=kind, mend="Convert it with NASA's tools.")

    def unpacked(self, packed: bytes, length: int) -> bytes:
        if not 0 <= length <= _MOST_PACKED * len(packed) + 1000:
            raise damaged(self.name, "compressed data", expected="a size that gzip reaches", got=f"{length} bytes")
        found = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(packed, max(length, 1))
        if len(found) != length:
            raise damaged(self.name, "compressed data", expected=f"{length} bytes", got=f"{len(found)} bytes")
        return found

    def variables(self) -> Iterator[tuple[str, NDArray[Any]]]:
        _, _, (head, _, _, encoding, flags) = self.record(8, _CDR, "oiiii")
        if encoding not in _BIG + _LITTLE:
            raise damaged(self.name, "encoding", expected="IEEE numbers", got=encoding, mend="Convert the file.")
        order = ">" if encoding in _BIG else "<"
        at, _, (r_head, z_head, *_, dimensions, _, _, _, _, _) = self.record(head, _GDR, "oooo" + "iiiii" + "oiii")
        r_shape = self.integers(at, dimensions)
        for first, kind in ((r_head, _RVDR), (z_head, _ZVDR)):
            offset = first
            while offset > 0:
                offset, label, values = self.variable(offset, kind, r_shape, order, bool(flags & 1))
                if values is not None:
                    yield label, values

    def variable(
        self, offset: int, kind: int, r_shape: tuple[int, ...], order: str, row_major: bool
    ) -> tuple[int, str, NDArray[Any] | None]:
        """A variable: where the next one's record is, its name, its values (None without records)."""
        at, _, numbers = self.record(offset, kind, "oiiooiiiiiiioi")
        following, type_code, last, index, _, flags, _, _, _, _, elements, _, packing, _ = numbers
        width = 256 if self.wide else 64
        label = self.content[at : at + width].split(b"\0")[0].decode("latin-1").strip()
        at += width
        shape = r_shape
        if kind == _ZVDR:
            (dimensions,) = self.integers(at, 1)
            shape = self.integers(at + 4, dimensions)
            at += 4 + 4 * dimensions
        shape = tuple(size for size, varies in zip(shape, self.integers(at, len(shape)), strict=True) if varies)
        if type_code not in _TYPES or elements < 1 or min(shape, default=1) < 1:
            got = f"type {type_code}, {elements} elements, shape {shape}"
            raise damaged(self.name, f"variable {label}", expected="a known type and dimensions", got=got)
        letter = _TYPES[type_code]
        dtype = np.dtype(f"S{elements}" if letter == "S" else order + letter)
        if last < 0:
            return following, label, None
        if flags & 4:
            self.check_packing(packing)
        size = int(np.prod((last + 1, *shape), dtype=object)) * dtype.itemsize
        if size > _MOST_PACKED * len(self.content):
            raise damaged(self.name, f"variable {label}", expected="records in the file", got=f"{size} bytes declared")
        data = self.records(index, size // (last + 1), last + 1, label)
        values = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
        if not row_major:
            return following, label, _from_columns(values, (last + 1, *shape))
        return following, label, values.reshape(last + 1, *shape)

    def records(self, index: int, size: int, count: int, label: str) -> bytes:
        """`count` records of `size` bytes each, one after the other."""
        pieces, done = [], 0
        for first, last, offset in self.entries(index):
            if done == count:
                break
            if first != done or last < first:
                got = f"records {first} to {last}"
                raise damaged(self.name, f"variable {label}", expected=f"records from {done} on", got=got)
            have = last - first + 1
            pieces.append(self.piece(offset, have * size)[: (min(have, count - done)) * size])
            done = min(done + have, count)
        if done < count:
            raise damaged(self.name, f"variable {label}", expected=f"{count} records", got=done)
        return b"".join(pieces)

    def entries(self, offset: int) -> Iterator[tuple[int, int, int]]:
        """First and last record and the place of each piece, in their order; an index may point to further ones."""
        while offset > 0:
            at, _, (following, places, used) = self.record(offset, _VXR, "oii")
            if not 0 <= used <= places:
                raise damaged(self.name, f"byte {offset + 1}", expected=f"at most {places} entries", got=used)
            firsts, lasts = self.integers(at, places), self.integers(at + 4 * places, places)
            offsets = self.integers(at + 8 * places, places, "o")
            for first, last, piece in list(zip(firsts, lasts, offsets, strict=True))[:used]:
                if self.kind(piece) == _VXR:
                    if len(self.visited) > 100_000:
                        raise damaged(self.name, f"byte {offset + 1}", expected="an index", got="an endless one")
                    yield from self.entries(piece)
                else:
                    yield first, last, piece
            offset = following

    def kind(self, offset: int) -> int:
        at = offset + (8 if self.wide else 4)
        return struct.unpack_from(">i", self.content, at)[0] if 8 <= at <= len(self.content) - 4 else 0

    def piece(self, offset: int, size: int) -> bytes:
        """The bytes of some records; `size` says how many they are."""
        if self.kind(offset) == _CVVR:
            at, _, (_, packed) = self.record(offset, _CVVR, "io")
            return self.unpacked(self.content[at : at + max(packed, 0)], size)
        at, whole, _ = self.record(offset, _VVR, "")
        if at + size > offset + whole:
            raise damaged(self.name, f"byte {offset + 1}", expected=f"{size} bytes", got=f"{offset + whole - at}")
        return self.content[at : at + size]


def _from_columns(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Values of records whose first dimension runs fastest."""
    reversed_shape = (shape[0], *shape[:0:-1])
    return np.ascontiguousarray(values.reshape(reversed_shape).transpose(0, *range(len(shape) - 1, 0, -1)))
