"""MATLAB files of version 7.3, which are HDF5: the whole of a variable, or single entries of a large cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError, need
from skelbridge.io.files import damaged

#: An array may take this many bytes, or a thousand times what it takes in the file: masks pack that well.
_UNPACKED = 2**24

_DEEPEST = 40
_SIGNATURE = b"\x89HDF\r\n\x1a\n"

T = TypeVar("T")


def is_hdf5(stream: BinaryIO) -> bool:
    """Whether it is HDF5, with MATLAB's block before it or without."""
    found = False
    for at in (0, 512):
        stream.seek(at)
        found = found or stream.read(8) == _SIGNATURE
    return found


def text_rows(text: str, shape: Sequence[int]) -> Any:
    """Characters in MATLAB's order: a str, or of several rows an object array of str without trailing blanks."""
    if shape[0] <= 1 or len(text) != math.prod(shape):
        return text
    rows = ["".join(text[row :: shape[0]]).rstrip() for row in range(shape[0])]
    return np.array(rows, dtype=object)


class Mat73:
    """An open file; a context manager. Values are as `mat.read_mat` says.

    Links out of the file or to other names, and arrays that lie in other files, are refused.
    Raises FileFormatError for a damaged or hostile file.
    """

    def __init__(self, stream: BinaryIO, name: str):
        self.name = name
        h5py = need("h5py", "data")
        self._h5 = h5py
        self._file = self._guarded(lambda: h5py.File(stream, "r"))

    def __enter__(self) -> Mat73:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def names(self) -> list[str]:
        """The variables."""
        return self._guarded(lambda: [name for name in self._file if not name.startswith("#")])

    def read(self, variable: str) -> Any:
        """A variable's value."""
        return self._guarded(lambda: _Reading(self).value(self._member(variable), 0))

    def cell(self, variable: str) -> Cell:
        """A cell of which entries are read one by one."""
        dataset = self._guarded(lambda: self._member(variable))
        if not isinstance(dataset, self._h5.Dataset) or not self._guarded(lambda: self.is_references(dataset)):
            raise damaged(self.name, f"variable {variable}", expected="a cell", got="something else")
        return Cell(self, dataset)

    def is_references(self, dataset: Any) -> bool:
        return self._h5.check_ref_dtype(dataset.dtype) is self._h5.Reference

    def follow(self, reference: Any) -> Any:
        if not reference:
            raise ValueError("a reference to nothing")
        return self._file[reference]

    def child(self, group: Any, name: str) -> Any:
        """A member of a group, by a hard link alone."""
        link = group.get(name, getlink=True)
        if not isinstance(link, self._h5.HardLink):
            raise damaged(self.name, f"variable {name}", expected="its data in the file", got=type(link).__name__)
        return group[name]

    def array(self, dataset: Any, index: Any = ()) -> Any:
        """The numbers of a dataset, as HDF5 has them."""
        if dataset.is_virtual or dataset.external:
            raise damaged(self.name, f"variable {dataset.name}", expected="its data in the file", got="another file's")
        size = math.prod(dataset.shape or (0,)) * dataset.dtype.itemsize
        if size > max(_UNPACKED, 1000 * dataset.id.get_storage_size()):
            raise damaged(self.name, f"variable {dataset.name}", expected="a size that fits", got=f"{size} bytes")
        return dataset[index]

    def _member(self, variable: str) -> Any:
        if variable not in self._file:
            got = ", ".join(self.names())
            raise damaged(self.name, "", expected=f"the variable {variable}", got=got)
        return self.child(self._file, variable)

    def _guarded(self, action: Callable[[], T]) -> T:
        """The HDF5 library answers damage with exceptions of many kinds; they become one."""
        try:
            return action()
        except (FileFormatError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise damaged(self.name, "", expected="a whole MATLAB 7.3 (HDF5) file", got=str(error)) from error


class Cell:
    """A cell in the file. shape: MATLAB's."""

    def __init__(self, file: Mat73, dataset: Any):
        self._file, self._dataset = file, dataset
        self.shape: tuple[int, ...] = tuple(dataset.shape[::-1])

    def __getitem__(self, index: tuple[int | slice, ...]) -> Any:
        """One entry's value, or an object array of several, read now; the index is in MATLAB's order, from 0."""
        return self._file._guarded(lambda: self._values(index))

    def _values(self, index: tuple[int | slice, ...]) -> Any:
        found = self._file.array(self._dataset, tuple(index)[::-1])
        reading = _Reading(self._file)
        if not isinstance(found, np.ndarray):
            return reading.value(self._file.follow(found), 1)
        return reading.followed(found.T, 0)


class _Reading:
    """One value with all that hangs on it; what is referred to twice is read once."""

    def __init__(self, file: Mat73):
        self.file = file
        self.done: dict[Any, Any] = {}
        self.open: set[Any] = set()

    def value(self, item: Any, depth: int) -> Any:
        key = self.file._h5.h5o.get_info(item.id).addr
        if key in self.done:
            return self.done[key]
        if key in self.open or depth > _DEEPEST:
            raise ValueError("cells or structs that are endless or too deep")
        self.open.add(key)
        found = self.group(item, depth) if isinstance(item, self.file._h5.Group) else self.dataset(item, depth)
        self.open.discard(key)
        self.done[key] = found
        return found

    def group(self, group: Any, depth: int) -> Any:
        """A struct, or a struct array, whose fields are arrays of references; None for sparse matrices."""
        if "MATLAB_sparse" in group.attrs or "MATLAB_object_decode" in group.attrs:
            return None
        members = {name: self.file.child(group, name) for name in self.fields(group)}
        datasets = [item for item in members.values() if isinstance(item, self.file._h5.Dataset)]
        many = [item for item in datasets if self.file.is_references(item) and "MATLAB_class" not in item.attrs]
        if not members or len(many) < len(members) or len({item.shape for item in many}) > 1:
            return {name: self.value(item, depth + 1) for name, item in members.items()}
        columns = {name: self.followed(self.file.array(item).T, depth) for name, item in members.items()}
        structs = np.empty(next(iter(columns.values())).shape, object)
        for place in np.ndindex(structs.shape):
            structs[place] = {name: column[place] for name, column in columns.items()}
        return structs

    def fields(self, group: Any) -> list[str]:
        """The members in the struct's order, where the file notes it."""
        noted = ["".join(letter.decode("latin-1") for letter in word) for word in group.attrs.get("MATLAB_fields", ())]
        return noted if sorted(noted) == sorted(group) else list(group)

    def followed(self, references: Any, depth: int) -> NDArray[Any]:
        values = np.empty(references.shape, object)
        for place in np.ndindex(values.shape):
            values[place] = self.value(self.file.follow(references[place]), depth + 1)
        return values

    def dataset(self, dataset: Any, depth: int) -> Any:
        kind = dataset.attrs.get("MATLAB_class", b"")
        kind = kind.decode("latin-1") if isinstance(kind, bytes) else str(kind)
        if kind == "function_handle" or "MATLAB_object_decode" in dataset.attrs:
            return None
        if dataset.attrs.get("MATLAB_empty", 0):
            return self.empty(kind, [int(size) for size in np.ravel(self.file.array(dataset))])
        array = np.asarray(self.file.array(dataset)).T
        if self.file.is_references(dataset):
            return self.followed(_matlab(array), depth)
        if array.dtype.names == ("real", "imag"):
            array = array["real"] + 1j * array["imag"]
        if array.dtype.kind not in "biufc":
            return None
        if kind == "char":
            codes = _matlab(array)
            return text_rows("".join(map(chr, codes.ravel(order="F").tolist())), codes.shape)
        return _matlab(array.astype(bool) if kind == "logical" else array)

    def empty(self, kind: str, shape: list[int]) -> Any:
        if math.prod(shape) or min(shape, default=-1) < 0:
            raise ValueError(f"an empty array of shape {shape}")
        if kind == "char":
            return ""
        known = {"cell": "O", "struct": "O", "logical": "?", "double": "f8", "single": "f4"}
        return np.zeros(shape, known.get(kind) or (kind if kind in np.sctypeDict else "f8"))


def _matlab(array: NDArray[Any]) -> NDArray[Any]:
    """At least two dimensions, as MATLAB has them."""
    return array if array.ndim >= 2 else array.reshape(-1, 1)
