"""MATLAB files of version 5 to 7.3: variables as plain Python values, the same whichever version wrote them.

Version 5 (what `save` writes by default, and scipy) is parsed here, after "MAT-File Format", MathWorks: every declared
size is held against the file before it is used, and nothing that a file holds is run. Version 7.3 is HDF5: `mat73`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError
from skelbridge.io.files import damaged
from skelbridge.io.mat73 import Mat73, is_hdf5, text_rows

#: A variable may unpack to this many bytes, or to a hundred times its packed size.
_UNPACKED = 2**26

#: Cells and structs deeper than this are no data.
_DEEPEST = 40

_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _PACKED = 14, 15
_UTF8, _UTF16, _UTF32 = 16, 17, 18

_CELL, _STRUCT, _OBJECT, _CHAR = 1, 2, 3, 4
_NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_LOGICAL, _COMPLEX = 0x02, 0x08


def read_mat(stream: BinaryIO, name: str, variables: Collection[str] | None = None) -> dict[str, Any]:
    """The variables of a MATLAB file, or those that are named.

    Numbers are arrays in MATLAB's own shape (at least two dimensions), logical ones bool; a struct is a dict, a struct
    array an object array of dicts, a cell an object array, text a str (several rows: an object array of str). What only
    MATLAB understands (objects, functions, tables) and sparse matrices are None. name: the path, for messages.

    Raises FileFormatError for a damaged or hostile file, and where a named variable is not in it.
    """
    if is_hdf5(stream):
        with Mat73(stream, name) as file:
            _require(variables, file.names(), name)
            return {label: file.read(label) for label in file.names() if variables is None or label in variables}
    stream.seek(0)
    head = stream.read(128)
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128], "")
    if not order or struct.unpack(order + "H", head[124:126])[0] != 0x0100:
        mend = 'Save it again with save("-v7").' if head[:1] == b"\0" else "Is the file complete?"
        raise damaged(name, "bytes 125 to 128", expected="a MATLAB file of version 5 to 7.3", got=head[124:], mend=mend)
    found: dict[str, Any] = {}
    labels = []
    try:
        for label, content in _elements(stream, name, order, variables):
            labels.append(label)
            if content:
                with np.errstate(invalid="ignore"):  # damage: a fraction that its integer class cannot hold
                    found[label] = _Matrix(content, order).value(0, len(content), 0)
    except FileFormatError:
        raise
    except (struct.error, zlib.error, LookupError, ValueError, OverflowError, MemoryError) as error:
        raise damaged(name, "", expected="a whole MATLAB file", got=str(error)) from error
    _require(variables, labels, name)
    return found


def _require(variables: Collection[str] | None, found: Collection[str], name: str) -> None:
    if missing := sorted(set(variables or ()) - set(found)):
        raise damaged(name, "", expected=f"the variables {', '.join(missing)}", got=", ".join(sorted(found)) or "none")


def _elements(
    stream: BinaryIO, name: str, order: str, variables: Collection[str] | None
) -> Iterator[tuple[str, bytes]]:
    """Each variable's name and its unpacked content, empty where it is not wanted."""
    end = stream.seek(0, 2)
    at = stream.seek(128)
    while at < end:
        kind, size = struct.unpack(order + "II", stream.read(8))
        at += 8 + size
        if kind not in (_MATRIX, _PACKED) or at > end:
            raise damaged(name, f"byte {at - size - 7}", expected="a variable", got=f"type {kind} of {size} bytes")
        content = stream.read(size)
        if kind == _MATRIX:
            label = _Matrix(content, order).label()
            yield label, content if variables is None or label in variables else b""
            continue
        start = zlib.decompressobj().decompress(content, 1024)
        inner, whole = struct.unpack_from(order + "II", start)
        if inner != _MATRIX or whole > max(_UNPACKED, 100 * size):
            raise damaged(name, f"byte {at - size + 1}", expected="a matrix that fits the file", got=f"{whole} bytes")
        label = _Matrix(start[8:], order).label()
        if variables is not None and label not in variables:
            yield label, b""
            continue
        content = zlib.decompressobj().decompress(content, whole + 8)[8:]
        if len(content) < whole:
            raise damaged(name, f"variable {label}", expected=f"{whole} bytes", got=len(content))
        yield label, content


class _Matrix:
    """Parses one variable's content. What does not fit raises ValueError, LookupError or struct.error."""

    def __init__(self, content: bytes, order: str):
        self.content = content
        self.words, self.usual = struct.Struct(order + "II"), struct.Struct(order + "10I")
        self.stored = {kind: np.dtype(order + letters) for kind, letters in _STORED.items()}
        self.utf = "le" if order == "<" else "be"

    def label(self) -> str:
        *_, label, _ = self.header(0, len(self.content))
        return label

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Of the data element at `at`: its type, where its data lie and end, and where the next element is."""
        kind, size = self.words.unpack_from(self.content, at)
        if kind >> 16:  # a small one: size and type in the first four bytes, the data in the next four
            kind, size, start, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError(f"{size} bytes in a small element at byte {at + 1} of a variable")
        else:
            start, following = at + 8, at + 8 + size + -size % 8
        if start + size > end:
            raise ValueError(f"an element of {size} bytes at byte {at + 1} of a variable, beyond its end")
        return kind, start, start + size, following

    def numbers(self, at: int, end: int) -> tuple[NDArray[Any], int]:
        kind, start, stop, following = self.element(at, end)
        dtype = self.stored[kind]
        return np.frombuffer(self.content, dtype, (stop - start) // dtype.itemsize, start), following

    def header(self, at: int, end: int) -> tuple[int, int, tuple[int, ...], str, int]:
        """Class, flags, dimensions and name of a matrix, and where what follows begins."""
        if end - at >= self.usual.size:  # two dimensions and no name, as in cells and structs: by far the most
            a, b, word, _, c, d, rows, columns, e, length = self.usual.unpack_from(self.content, at)
            if (a, b, c, d, e, length) == (6, 8, 5, 8, 1, 0) and word & 0xFF <= 16 and max(rows, columns) < 2**31:
                return word & 0xFF, word >> 8, (rows, columns), "", at + self.usual.size
        flags, at = self.numbers(at, end)
        kind, bits = int(flags[0]) & 0xFF, int(flags[0]) >> 8
        if kind > 16:  # objects that only MATLAB understands have no dimensions
            return kind, bits, (), self.text(at, end)[0], end
        dimensions, at = self.numbers(at, end)
        shape = tuple(int(size) for size in dimensions)
        if not 2 <= len(shape) <= 32 or min(shape) < 0:
            raise ValueError(f"dimensions {shape}")
        label, at = self.text(at, end)
        return kind, bits, shape, label, at

    def text(self, at: int, end: int) -> tuple[str, int]:
        kind, start, stop, following = self.element(at, end)
        data = self.content[start:stop]
        if kind in (_UTF8, _UTF16, _UTF32):
            code = {_UTF8: "utf-8", _UTF16: f"utf-16-{self.utf}", _UTF32: f"utf-32-{self.utf}"}[kind]
            return data.decode(code, "replace"), following
        codes = np.frombuffer(data, self.stored[kind], len(data) // self.stored[kind].itemsize)
        if codes.dtype.kind == "f":
            raise ValueError("letters stored as fractions")
        return "".join(map(chr, codes.tolist())), following

    def value(self, at: int, end: int, depth: int) -> Any:
        if at == end:  # how an empty place of a cell or a field is kept
            return np.zeros((0, 0))
        kind, bits, shape, _, at = self.header(at, end)
        if kind in _NUMBERS:
            return self.array(at, end, kind, bits, shape)
        if kind == _CHAR:
            return text_rows(self.text(at, end)[0], shape) if 0 not in shape else ""
        if kind in (_CELL, _STRUCT, _OBJECT) and depth > _DEEPEST:
            raise ValueError("cells or structs that are too deep")
        if kind == _CELL:
            return self.cell(at, end, shape, depth)
        if kind in (_STRUCT, _OBJECT):
            return self.struct(at, end, shape, depth, kind == _OBJECT)
        return None

    def array(self, at: int, end: int, kind: int, bits: int, shape: tuple[int, ...]) -> NDArray[Any]:
        values, at = self.numbers(at, end)
        array = values.astype(bool if bits & _LOGICAL else _NUMBERS[kind]).reshape(shape, order="F")
        if bits & _COMPLEX:
            array = array + 1j * self.numbers(at, end)[0].reshape(shape, order="F")
        return array

    def items(self, at: int, end: int, count: int, depth: int) -> Iterator[Any]:
        """`count` matrices one after the other; each takes eight bytes at the least."""
        if count > (end - at) // 8:
            raise ValueError(f"{count} values in {end - at} bytes")
        for _ in range(count):
            kind, start, stop, at = self.element(at, end)
            if kind != _MATRIX:
                raise ValueError(f"type {kind} where a matrix should be")
            yield self.value(start, stop, depth + 1)

    def cell(self, at: int, end: int, shape: tuple[int, ...], depth: int) -> NDArray[Any]:
        count = int(np.prod(shape, dtype=object))
        return _shaped(list(self.items(at, end, count, depth)), shape)

    def struct(self, at: int, end: int, shape: tuple[int, ...], depth: int, is_object: bool) -> Any:
        if is_object:
            at = self.text(at, end)[1]  # the name of its class
        widths, at = self.numbers(at, end)
        joined, at = self.text(at, end)
        width = int(widths[0])
        if width < 1:
            raise ValueError("field names without letters")
        names = [joined[k : k + width].split("\0")[0] for k in range(0, len(joined), width)]
        count = int(np.prod(shape, dtype=object))
        if count > (end - at) // 8 and count != 1:
            raise ValueError(f"{count} structs in {end - at} bytes")
        values = self.items(at, end, count * len(names), depth)
        structs = [dict(zip(names, [next(values) for _ in names], strict=True)) for _ in range(count)]
        return structs[0] if count == 1 else _shaped(structs, shape)


def _shaped(values: list[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Values in MATLAB's order, the first dimension fastest, as an object array."""
    array = np.empty(len(values), object)
    for place, value in enumerate(values):  # np.array would look into them
        array[place] = value
    return array.reshape(shape, order="F")
