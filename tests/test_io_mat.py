"""MATLAB files: version 5 against scipy, version 7.3 against the same values laid down by hand, and damage to both."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from skelbridge.errors import FileFormatError
from skelbridge.io.mat import read_mat
from skelbridge.io.mat73 import Mat73

h5py = pytest.importorskip("h5py")


def cells(*rows: list[Any]) -> np.ndarray:
    array = np.empty((len(rows), len(rows[0])), object)
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            array[row, column] = value
    return array


RNG = np.random.default_rng(0)
VALUES: dict[str, Any] = {
    "poses": RNG.normal(0, 1000, (5, 17, 3)),
    "single": RNG.normal(size=(2, 3)).astype(np.float32),
    "bytes": RNG.integers(0, 255, (4, 6)).astype(np.uint8),
    "long": np.array([[2**40, -3]], np.int64),
    "valid": np.array([[True, False, True]]),
    "number": np.array([[7.0]]),
    "wave": np.array([[1 + 2j, 3 - 4j]]),
    "word": "Directions 1",
    "nothing": np.zeros((0, 3)),
    "no_word": "",
    "cell": cells([np.array([[1.0, 2]]), "knee"], [np.zeros((0, 0)), np.array([[3.0]])]),
    "person": {"name": "S1", "size": np.array([[1.7]]), "inner": {"ids": np.array([[1.0], [2.0]])}},
    "people": cells([{"id": np.array([[1.0]]), "name": "a"}], [{"id": np.array([[2.0]]), "name": "b"}]),
}


def assert_same(found: Any, wanted: Any) -> None:
    """The same types and values, all the way down."""
    assert type(found) is type(wanted)
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for name in wanted:
            assert_same(found[name], wanted[name])
    elif isinstance(wanted, np.ndarray):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        if wanted.dtype != object:
            np.testing.assert_array_equal(found, wanted)
        for place in np.ndindex(wanted.shape) if wanted.dtype == object else ():
            assert_same(found[place], wanted[place])
    else:
        assert found == wanted


def version_5(values: dict[str, Any], packed: bool = True) -> bytes:
    file = io.BytesIO()
    given = {name: structs(value) if name == "people" else value for name, value in values.items()}
    scipy.io.savemat(file, given, do_compression=packed)
    return file.getvalue()


def structs(people: np.ndarray) -> np.ndarray:
    """An array of dicts as scipy takes a struct array."""
    array = np.empty(people.shape, [("id", object), ("name", object)])
    for place in np.ndindex(people.shape):
        array[place] = tuple(people[place].values())
    return array


def version_73(values: dict[str, Any], block: int = 512) -> bytes:
    """As MATLAB lays its values down in HDF5: axes reversed, cells as references into #refs#, classes as attributes."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=block) as file:
        counter = iter(range(10**6))

        def reference(value: Any) -> Any:
            name = f"#refs#/{next(counter)}"
            put(file, name, value)
            return file[name].ref

        def references(array: np.ndarray) -> np.ndarray:
            found = np.empty(array.shape[::-1], h5py.ref_dtype)
            for place in np.ndindex(array.shape):
                found[place[::-1]] = reference(array[place])
            return found

        def put(parent: Any, name: str, value: Any) -> None:
            if isinstance(value, dict):
                group = parent.create_group(name)
                group.attrs["MATLAB_class"] = np.bytes_("struct")
                letters = [np.array([c.encode() for c in field], "S1") for field in value]
                fields = np.empty(len(letters), object)
                fields[:] = letters
                group.attrs.create("MATLAB_fields", fields, dtype=h5py.vlen_dtype(np.dtype("S1")))
                for field, item in value.items():
                    put(group, field, item)
            elif isinstance(value, np.ndarray) and value.dtype == object and isinstance(value.flat[0], dict):
                group = parent.create_group(name)
                group.attrs["MATLAB_class"] = np.bytes_("struct")
                for field in value.flat[0]:
                    column = np.empty(value.shape, object)
                    for place in np.ndindex(value.shape):
                        column[place] = value[place][field]
                    group[field] = references(column)
            elif isinstance(value, np.ndarray) and value.dtype == object:
                parent[name] = references(value)
                parent[name].attrs["MATLAB_class"] = np.bytes_("cell")
            elif isinstance(value, str):
                codes = np.array([[ord(letter)] for letter in value], np.uint16)
                plain(parent, name, codes if value else np.zeros((0, 0)), "char")
            else:
                kinds = {"float64": "double", "float32": "single", "bool": "logical", "complex128": "double"}
                stored = value.astype(np.uint8) if value.dtype == bool else value
                if value.dtype.kind == "c":
                    stored = np.empty(value.shape, [("real", "f8"), ("imag", "f8")])
                    stored["real"], stored["imag"] = value.real, value.imag
                plain(parent, name, stored.T, kinds.get(value.dtype.name, value.dtype.name))

        def plain(parent: Any, name: str, stored: np.ndarray, kind: str) -> None:
            parent[name] = stored if stored.size else np.array(stored.shape[::-1], np.uint64)
            parent[name].attrs["MATLAB_class"] = np.bytes_(kind)
            if not stored.size:
                parent[name].attrs["MATLAB_empty"] = np.uint8(1)

        for name, value in values.items():
            put(file, name, value)
    content = bytearray(stream.getvalue())
    if block:
        content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    return bytes(content)


def read(content: bytes, *variables: str) -> dict[str, Any]:
    return read_mat(io.BytesIO(content), "a.mat", variables or None)


@pytest.mark.parametrize("write", [version_5, lambda v: version_5(v, False), version_73], ids=["5 packed", "5", "7.3"])
def test_every_version_gives_the_same_values(write: Callable[[dict[str, Any]], bytes]) -> None:
    found = read(write(VALUES))
    assert sorted(found) == sorted(VALUES)
    for name, value in VALUES.items():
        assert_same(found[name], value)


def test_rows_of_text_are_words() -> None:
    found = read(version_5({"names": np.array(["hip", "ankle"])}))["names"]
    assert found.tolist() == ["hip", "ankle"]


def test_numbers_stored_narrower_than_their_class() -> None:
    """MATLAB stores doubles that are whole and small as integers; small elements lie within their tag."""
    matrix = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<ii", 1, 3)) + small(1, b"abc")
    matrix += small(1, bytes([1, 2, 255]))
    content = header() + element(14, matrix)
    np.testing.assert_array_equal(read(content)["abc"], [[1.0, 2, -1]])


def test_big_endian() -> None:
    matrix = element(6, struct.pack(">II", 6, 0), ">") + element(5, struct.pack(">ii", 2, 1), ">")
    matrix += element(1, b"x", ">") + element(9, struct.pack(">dd", 1.5, -2), ">")
    content = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + element(14, matrix, ">")
    np.testing.assert_array_equal(read(content)["x"], [[1.5], [-2]])


def header() -> bytes:
    return b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)


def small(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")


def test_only_the_named_variables_are_read() -> None:
    for content in (version_5(VALUES), version_5(VALUES, False), version_73(VALUES)):
        assert list(read(content, "person")) == ["person"]
        with pytest.raises(FileFormatError, match="expected the variables annot2"):
            read(content, "annot2", "poses")


def test_single_entries_of_a_large_cell() -> None:
    big = cells(*[[np.array([[row, column]], float), f"{row}"] for row in range(40) for column in [1]])
    with Mat73(io.BytesIO(version_73({"big": big})), "a.mat") as file:
        cell = file.cell("big")
        assert cell.shape == (40, 2)
        np.testing.assert_array_equal(cell[7, 0], [[7, 1]])
        assert cell[5:8, 1].tolist() == ["5", "6", "7"]
        with pytest.raises(FileFormatError, match=r"a\.mat"):
            cell[99, 0]


def test_a_file_without_matlabs_block() -> None:
    np.testing.assert_array_equal(read(version_73(VALUES, 0))["poses"], VALUES["poses"])


@pytest.mark.parametrize("write", [version_5, version_73])
def test_a_cut_file_is_damaged(write: Callable[[dict[str, Any]], bytes]) -> None:
    content = write(VALUES)
    for length in [0, 3, 100, 127, 129, 135, *range(200, len(content) - 8, max(1, len(content) // 40))]:
        with pytest.raises(FileFormatError, match=r"a\.mat"):
            read(content[:length], *VALUES)


@pytest.mark.parametrize("packed", [True, False])
def test_no_flipped_byte_brings_another_error(packed: bool) -> None:
    content = version_5(VALUES, packed)
    rng = np.random.default_rng(1)
    for _ in range(1500):
        wrong = bytearray(content)
        for at in rng.integers(0, len(content), 3):
            wrong[at] = rng.integers(256)
        with contextlib.suppress(FileFormatError):
            read(bytes(wrong))


def test_no_flipped_byte_of_hdf5_brings_another_error() -> None:
    content = version_73({name: VALUES[name] for name in ("poses", "cell", "people")})
    rng = np.random.default_rng(2)
    for _ in range(200):
        wrong = bytearray(content)
        wrong[rng.integers(512, len(content))] = rng.integers(256)
        with contextlib.suppress(FileFormatError):
            read(bytes(wrong))


def test_old_and_other_files_are_refused() -> None:
    file = io.BytesIO()
    scipy.io.savemat(file, {"x": np.eye(20)}, format="4")
    with pytest.raises(FileFormatError, match="Save it again"):
        read(file.getvalue())
    with pytest.raises(FileFormatError, match=r"version 5 to 7\.3"):
        read(b"BVH" * 100)


def test_sizes_are_checked_before_they_are_allocated() -> None:
    bomb = zlib.compress(element(14, bytes(2**28)), 9)
    with pytest.raises(FileFormatError, match="fits the file"):
        read(header() + struct.pack("<II", 15, len(bomb)) + bomb)
    head = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<ii", 2**30, 2**30)) + small(1, b"c")
    with pytest.raises(FileFormatError, match="values in"):
        read(header() + element(14, head))
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("x", (2**20, 2**20), "f8", chunks=(1024, 1024))
    with pytest.raises(FileFormatError, match="a size that fits"):
        read(stream.getvalue())


def test_endless_nesting_is_refused() -> None:
    content = element(14, b"")
    for _ in range(3000):
        content = element(
            14, element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<ii", 1, 1)) + small(1, b"c") + content
        )
    with pytest.raises(FileFormatError, match="too deep"):
        read(header() + content)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        ring = file.create_dataset("ring", (1, 1), h5py.ref_dtype)
        ring[0, 0] = ring.ref
    with pytest.raises(FileFormatError, match="endless"):
        read(stream.getvalue())


def test_what_is_referred_to_many_times_is_read_once() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        inner = file.create_dataset("#refs#/0", data=[[1.0]])
        for level in range(1, 20):
            outer = file.create_dataset(f"#refs#/{level}", (1, 10), h5py.ref_dtype)
            outer[...] = inner.ref
            inner = outer
        file["laughs"] = inner
    value = read(stream.getvalue())["laughs"]
    assert value.shape == (10, 1)


def test_nothing_outside_of_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(np.arange(4.0).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.arange(4.0)
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4,))
    makers: dict[str, Callable[[Any], Any]] = {
        "ExternalLink": lambda file: file.__setitem__("x", h5py.ExternalLink(str(tmp_path / "other.h5"), "x")),
        "SoftLink": lambda file: file.__setitem__("x", h5py.SoftLink("/x")),
        "another file's": lambda file: file.create_dataset("x", (4,), "f8", external=str(tmp_path / "secret.raw")),
        "another": lambda file: file.create_virtual_dataset("x", layout),
    }
    for message, make in makers.items():
        with h5py.File(tmp_path / "a.mat", "w") as file:
            make(file)
        with (tmp_path / "a.mat").open("rb") as stream, pytest.raises(FileFormatError, match=message):
            read_mat(stream, "a.mat")


def test_what_only_matlab_understands_is_none() -> None:
    opaque = element(6, struct.pack("<II", 17, 0)) + small(1, b"t") + element(1, b"MCOS")
    content = version_5({"x": np.eye(2)}) + element(14, opaque)
    assert read(content)["t"] is None
