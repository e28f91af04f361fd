"""Pickles and NumPy's own files, read without running anything that they name.

A pickle is a program: it calls functions of any module by name. Here only those are known that build plain values,
NumPy arrays, and the classes in which datasets ship arrays: scipy.sparse and chumpy (SMPL model files) and pandas
tables. Their packages are not imported: stand-ins take their place, and are turned into arrays and dicts at the end.
"""

from __future__ import annotations

import math
import pickle
import re
import zipfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError
from skelbridge.io.files import MAX_BYTES, damaged

#: Nothing that people keep poses in nests deeper.
MAX_DEPTH = 64

#: A file whose parts refer to each other may unfold to this many values, and this many times those that it holds.
MAX_UNFOLDED, MAX_TIMES = 10_000_000, 20

#: A sparse matrix is given in full; the largest of SMPL models has 55 rows and 10475 columns.
MAX_DENSE = 100_000_000

#: Packages whose objects are taken as stand-ins: nothing of them is imported or run.
PACKAGES = ("chumpy", "pandas", "scipy")

_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "numpy.core._multiarray_umath": "numpy.core.multiarray"}
_MEND = "Take the file from the dataset's own page; what it asks for is not run."
_TYPES = re.compile(r"[biufc]\d{1,2}|[SU]\d{1,6}|O\d?")


class Unread:
    """What stands where a pickle holds something that is not read: an array to `skip`, a class that nobody needs."""

    def __init__(self, what: str):
        self.what = what

    def __repr__(self) -> str:
        return f"<{self.what}, not read>"


def read_pickle(stream: BinaryIO, name: str | Path, *, skip: Callable[[tuple[int, ...]], bool] | None = None) -> Any:
    """The value of a pickle of any protocol, Python 2's too: numbers, text, lists, tuples, sets, dicts, arrays.

    Sparse matrices and chumpy arrays come as arrays, pandas tables as a dict column -> list. Arrays of numbers with a
    shape that `skip` is true of come as `Unread`, and take no memory.

    name: the path for error messages. Raises FileFormatError where the file is damaged, calls or holds anything
    else, or is made to exhaust the memory.
    """
    try:
        return _Plain().of(_Machine(stream, skip).load())
    except _RefusedError as error:
        raise damaged(Path(name), "", expected="plain values and arrays", got=str(error), mend=_MEND) from error
    except Exception as error:  # a damaged pickle makes any step fail in any way
        raise damaged(Path(name), "", expected="a whole pickle", got=f"{type(error).__name__}: {error}") from error


def read_npy(stream: BinaryIO, name: str | Path) -> NDArray[Any]:
    """The array of a .npy file; objects in it as `read_pickle` gives them. Raises FileFormatError as it does."""
    try:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, kind = header(stream)
    except Exception as error:  # NumPy parses the header's text as Python literals, and fails in their ways
        raise damaged(Path(name), "the header", expected="a NumPy file", got=str(error)) from error
    count = math.prod(shape)
    if min(shape, default=0) < 0 or len(shape) > 32:
        raise damaged(Path(name), "the header", expected="a shape", got=shape)
    if kind.hasobject:
        content = read_pickle(stream, name)
        if not isinstance(content, np.ndarray) or content.size != count or kind.kind != "O":
            raise damaged(Path(name), "", expected=f"an array of {count} objects", got=type(content).__name__)
        return content.reshape(shape)
    size = count * kind.itemsize
    raw = stream.read(min(size, MAX_BYTES))
    if len(raw) != size:
        raise damaged(Path(name), "", expected=f"{size} bytes for {shape} of {kind}", got=f"{len(raw)}")
    if not size:
        return np.zeros(shape if max(shape, default=0) < MAX_DENSE else 0, kind)
    return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C").copy()


def read_npz(stream: BinaryIO, name: str | Path, variables: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file, or those of `variables` that it has. Raises FileFormatError as `read_pickle` does."""
    arrays = {}
    try:
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                variable = member.filename.removesuffix(".npy")
                if member.filename.endswith(".npy") and (variables is None or variable in variables):
                    with archive.open(member) as part:
                        arrays[variable] = read_npy(part, f"{name}, {variable}")  # type: ignore[arg-type]
    except FileFormatError:
        raise
    except Exception as error:  # damaged archives fail in zlib, struct, zipfile and more
        raise damaged(Path(name), "", expected="a NumPy archive", got=f"{type(error).__name__}: {error}") from error
    return arrays


class _RefusedError(Exception):
    """The pickle asks for something that is not allowed."""


@dataclass(frozen=True)
class _Name:
    """A class or function of one of PACKAGES (or one that only stands as an argument), by its last name."""

    name: str


@dataclass(eq=False)
class _StandIn:
    """An object that such a class or function made: from what, and the state that it was given."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True, eq=False)
class _Call:
    """A function that a pickle may call."""

    function: Callable[..., Any]


class _Machine(pickle._Unpickler):
    """Python's own machine, the one in Python (that in C reserves memory at a file's word), with our names."""

    stack: list[Any]
    memo: dict[int, Any]
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, stream: BinaryIO, skip: Callable[[tuple[int, ...]], bool] | None):
        super().__init__(stream, encoding="latin1")
        self.skip = skip

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for what the pickle names, or the function that does its work here."""
        if module.partition(".")[0] in PACKAGES:
            return _Name(name.rpartition(".")[2])
        module = module.replace("numpy._core", "numpy.core")
        found = _KNOWN.get((_RENAMED.get(module, module), name))
        if found is None:
            raise _RefusedError(f"{module}.{name}")
        return found

    def get_extension(self, code: int) -> Any:
        raise _RefusedError(f"the extension {code}")

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("an object kept outside of the file")

    def _instantiate(self, maker: Any, args: Any) -> None:
        self.append(_made(maker, tuple(args)))  # type: ignore[attr-defined]

    def load_reduce(self) -> None:
        args, maker = self.stack.pop(), self.stack[-1]
        if maker is _FROM_BUFFER and self.skip and self.skip(args[2]):
            self.stack[-1] = Unread(f"array {args[2]} of {args[1]}")
        else:
            self.stack[-1] = _made(maker, args)
        if maker is _FROM_BUFFER:
            self._forget(args, args[0])

    def load_newobj_ex(self) -> None:
        keywords, args = self.stack.pop(), self.stack.pop()
        if keywords:
            raise _RefusedError("a call with named arguments")
        self.stack[-1] = _made(self.stack[-1], args)

    def load_bytearray8(self) -> None:
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))  # type: ignore[attr-defined]

    def load_build(self) -> None:
        """Gives the object on the stack its state; only arrays, types of numbers and stand-ins take any."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _StandIn):
            target.state = state
        elif isinstance(target, np.dtype):
            self._replace(target, _in_order(target, state))
        elif isinstance(target, np.ndarray):
            self._fill(target, state)
        elif not isinstance(target, dict):  # OrderedDict may come with attributes, which say nothing
            raise _RefusedError(f"a state for {type(target).__name__}")

    def _fill(self, array: NDArray[Any], state: Any) -> None:
        _, shape, kind, _, raw = state
        objects = isinstance(raw, list)
        if not isinstance(kind, np.dtype) or objects != kind.hasobject:
            raise _RefusedError("an array of an unknown kind")
        if math.prod(shape) * (1 if objects else kind.itemsize) != len(raw):
            raise ValueError(f"an array of shape {shape} from {len(raw)}")
        if self.skip and not objects and self.skip(shape):
            self._replace(array, Unread(f"array {shape} of {kind}"))
        else:
            array.__setstate__(state)
        if not objects:
            self._forget(state, raw)

    def _forget(self, args: Any, raw: Any) -> None:
        """Drops what an array was made of from the memo, where it would stay until the end beside the array."""
        for place in self._lately() if len(raw) > 1000 else ():
            if self.memo[place] is args or self.memo[place] is raw:
                self.memo[place] = None  # not deleted: protocol 4 counts the entries

    def _replace(self, old: Any, new: Any) -> None:
        """Puts `new` for the object on the stack, also where later parts of the pickle will look it up."""
        self.stack[-1] = new
        for place in self._lately():
            if self.memo[place] is old:
                self.memo[place] = new

    def _lately(self) -> list[int]:
        """The places of what was remembered last: enough for an array, its shape, type, bytes, and tuples of these."""
        return list(islice(reversed(self.memo), 16))

    dispatch[pickle.REDUCE[0]] = dispatch[pickle.NEWOBJ[0]] = load_reduce
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.BUILD[0]] = load_build


def _made(maker: Any, args: Any) -> Any:
    """What a call in the pickle makes."""
    if not isinstance(args, tuple):
        raise _RefusedError("a call without arguments")
    if isinstance(maker, _Name):
        return _StandIn(maker.name, args)
    if not isinstance(maker, _Call):
        raise _RefusedError(f"a call of {type(maker).__name__}")
    return maker.function(*args)


def _object(kind: Any, *_: Any) -> Any:
    """copyreg's ways to make an empty object of a class."""
    return _made(kind, ())


def _type(text: str, *_: Any) -> np.dtype[Any]:
    """numpy.dtype, of plain numbers, text and objects."""
    if not isinstance(text, str) or not _TYPES.fullmatch(text.lstrip("|<>=")):
        raise _RefusedError(f"an array of {text!r:.40}")
    return np.dtype("O" if "O" in text else text)


def _in_order(kind: np.dtype[Any], state: Any) -> np.dtype[Any]:
    """The type in the byte order that its state says; a state with fields is refused."""
    if state[1] not in "<>|=" or any(part is not None for part in state[2:5]):
        raise _RefusedError("an array of records")
    return kind.newbyteorder(">") if state[1] == ">" else kind


def _from_buffer(raw: Any, kind: np.dtype[Any], shape: Any, order: str) -> NDArray[Any]:
    """numpy._core.numeric._frombuffer."""
    return np.frombuffer(raw, kind).reshape(shape, order="F" if order == "F" else "C").copy()


def _number(kind: np.dtype[Any], raw: Any) -> Any:
    """numpy's scalar; its bytes are text in Python 2."""
    return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, kind, count=1)[0]


def _bytes(content: Any = b"", coding: str = "latin1") -> bytes:
    """bytes, bytearray and _codecs.encode; never a length, which would reserve memory."""
    if isinstance(content, str) and coding.replace("-", "") == "latin1":
        return content.encode("latin1")
    if not isinstance(content, (bytes, bytearray)):
        raise _RefusedError(f"bytes from {type(content).__name__}")
    return bytes(content)


_FROM_BUFFER = _Call(_from_buffer)

_KNOWN: dict[tuple[str, str], _Call | _Name] = {
    **{("builtins", kind.__name__): _Call(kind) for kind in (set, frozenset, list, dict, tuple, complex, slice)},
    ("builtins", "object"): _Name("object"),
    ("builtins", "bytes"): _Call(_bytes),
    ("builtins", "bytearray"): _Call(_bytes),
    ("_codecs", "encode"): _Call(_bytes),
    ("copyreg", "_reconstructor"): _Call(_object),
    ("copyreg", "__newobj__"): _Call(_object),
    ("collections", "OrderedDict"): _Call(dict),
    ("collections", "defaultdict"): _Call(lambda kind=None, *items: dict(*items)),
    ("numpy", "dtype"): _Call(_type),
    ("numpy", "ndarray"): _Name("ndarray"),
    ("numpy.core.multiarray", "_reconstruct"): _Call(lambda kind, shape, code: np.zeros(0, "b")),
    ("numpy.core.multiarray", "scalar"): _Call(_number),
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
}


class _Plain:
    """Turns stand-ins, wherever they lie, into arrays and dicts; refuses what nests or unfolds without end."""

    def __init__(self) -> None:
        self.done: dict[int, tuple[Any, Any, int]] = {}  # by id: the value (kept, or its id would be used again) ...
        self.held, self.depth = 0, 0

    def of(self, value: Any) -> Any:
        return self._of(value)[0]

    def _of(self, value: Any) -> tuple[Any, int]:
        """The plain value, and how many values it would be without references."""
        if value is None or isinstance(value, _ATOMS):
            self.held += 1
            return value, 1
        if id(value) not in self.done:
            self.done[id(value)] = (value, None, -1)
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise _RefusedError(f"lists in lists, more than {MAX_DEPTH} deep")
            self.done[id(value)] = (value, *self._unfolded(value))
            self.depth -= 1
        _, plain, size = self.done[id(value)]
        if size < 0:
            raise _RefusedError("a list that holds itself")
        if size > MAX_UNFOLDED + MAX_TIMES * self.held:
            raise _RefusedError("lists that refer to lists without end")
        return plain, size

    def _unfolded(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            self.held += value.size
            return value, value.size
        if isinstance(value, _StandIn):
            (args, one), (state, two) = self._of(value.args), self._of(value.state)
            made = _READ[value.name](args, state) if value.name in _READ else Unread(value.name)
            return made, one + two
        if isinstance(value, dict):
            keys, values = self._all(value), self._all(value.values())
            return dict(zip(keys[0], values[0], strict=True)), 1 + keys[1] + values[1]
        if isinstance(value, np.ndarray):
            items, size = self._all(value.ravel().tolist())
            filled = np.empty(len(items), object)
            filled[:] = items
            return filled.reshape(value.shape), 1 + size
        if isinstance(value, (list, tuple)):
            items, size = self._all(value)
            return type(value)(items), 1 + size
        return Unread(getattr(value, "name", type(value).__name__)), 1

    def _all(self, values: Iterable[Any]) -> tuple[list[Any], int]:
        pairs = [self._of(value) for value in values]
        return [plain for plain, _ in pairs], sum(size for _, size in pairs)


_ATOMS = (str, bytes, bytearray, int, float, complex, np.generic, slice, set, frozenset, Unread)


def _sparse(kind: str, state: Any) -> NDArray[Any]:
    """A matrix of scipy.sparse in full: compressed by columns (csc) or rows (csr), or by coordinates (coo)."""
    shape, data = tuple(map(int, state.get("_shape", state.get("shape")))), np.asarray(state["data"])
    if len(shape) != 2 or not 0 <= math.prod(shape) <= MAX_DENSE:
        raise _RefusedError(f"a sparse matrix of shape {shape}")
    if "indptr" in state:
        ends, inner = np.asarray(state["indptr"]), np.asarray(state["indices"])
        outer = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        rows, columns = (inner, outer) if kind == "csc" else (outer, inner)
    else:
        rows, columns = state["coords"] if "coords" in state else (state["row"], state["col"])
    full = np.zeros(shape, data.dtype)
    np.add.at(full, (rows, columns), data)
    return full


def _chosen(args: Any, state: Any) -> NDArray[Any]:
    """chumpy's Select: some of the numbers of another array, in a shape."""
    return np.asarray(state["a"]).ravel()[np.asarray(state["idxs"])].reshape(state["preferred_shape"])


def _text_array(args: Any, state: Any) -> Any:
    """pandas' array of text, which keeps an array of objects."""
    kinds = [part for part in args if isinstance(part, Unread) and "String" in part.what]
    arrays = [part for part in state if isinstance(part, np.ndarray)] if isinstance(state, (tuple, list)) else []
    return arrays[0] if kinds and arrays else Unread("pandas array")


def _index(args: Any, state: Any) -> Any:
    """The labels along an axis of a table."""
    content = args[1]
    if "data" in content:
        return content["data"]
    return range(content["start"], content["stop"], content["step"]) if "stop" in content else Unread("pandas index")


def _blocks(args: Any, state: Any) -> dict[Any, list[Any]]:
    """The columns of a table, which lie in blocks of rows for the columns of one type: (values, which columns)."""
    if args:  # since pandas 1.3
        blocks, (labels, _) = args[0], args[1]
    else:
        kept = state[3]["0.14.1"]
        blocks, labels = [(block["values"], block["mgr_locs"]) for block in kept["blocks"]], kept["axes"][0]
    columns: dict[Any, Any] = dict.fromkeys(list(labels))
    for values, places in blocks:
        rows = [values] if getattr(values, "ndim", 1) == 1 else list(values)
        numbers = range(len(columns))[places] if isinstance(places, slice) else np.asarray(places).tolist()
        for number, row in zip(numbers, rows, strict=True):
            columns[labels[number]] = row if isinstance(row, Unread) else list(row.tolist())
    return columns


def _table(args: Any, state: Any) -> dict[Any, list[Any]]:
    """A pandas table: its blocks, under the name that they have in this version."""
    return next(state[name] for name in ("_mgr", "_data") if name in state)


_READ: dict[str, Callable[[Any, Any], Any]] = {
    "csc_matrix": lambda args, state: _sparse("csc", state),
    "csr_matrix": lambda args, state: _sparse("csr", state),
    "coo_matrix": lambda args, state: _sparse("coo", state),
    "Ch": lambda args, state: np.asarray(state["x"]),
    "Select": _chosen,
    "DataFrame": _table,
    "BlockManager": _blocks,
    "_unpickle_block": lambda args, state: args[:2],
    "BlockPlacement": lambda args, state: args[0],
    "_new_Index": _index,
    "__pyx_unpickle_NDArrayBacked": _text_array,
}
