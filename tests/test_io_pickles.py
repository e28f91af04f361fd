"""Pickles give what Python's own unpickler gives, run nothing, and say what is wrong with hostile and damaged ones."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from skelbridge.errors import FileFormatError
from skelbridge.io.pickles import MAX_DEPTH, Unread, read_npy, read_npz, read_pickle

OLD = Path(__file__).parent / "old_pickles"
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def read(content, **options):
    return read_pickle(io.BytesIO(content), "some.pkl", **options)


def refused(content):
    with pytest.raises(FileFormatError) as caught:
        read(content)
    assert "some.pkl" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_and_arrays_come_as_python_reads_them(protocol):
    kept = np.arange(4)
    value = {
        "text": "Zürich", "bytes": b"\x00\xff", "numbers": [1, -(2**70), 1.5, True, None, 2 + 1j],
        "pair": (1, {"a", "b"}), "same": [kept, kept],
        "array": np.arange(6.0).reshape(2, 3).T, "flags": np.array([True, False]), "words": np.array(["ab", "c"]),
        "big_endian": np.arange(3, dtype=">f4"), "scalar": np.float32(0.1), "empty": np.zeros((0, 3)),
        "objects": np.array([{"k": 1}, None], dtype=object), "content": bytearray(b"ab"),
    }  # fmt: skip
    found = read(pickle.dumps(value, protocol))
    assert found.keys() == value.keys()
    for name in ("array", "flags", "words", "big_endian", "empty", "scalar"):
        np.testing.assert_array_equal(found[name], value[name])
        assert found[name].dtype.newbyteorder("=") == value[name].dtype.newbyteorder("=")
    assert {name: found[name] for name in ("text", "bytes", "numbers", "pair", "content")} == {
        name: value[name] for name in ("text", "bytes", "numbers", "pair", "content")
    }
    assert found["objects"].tolist() == [{"k": 1}, None]
    assert found["same"][0] is found["same"][1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_references_after_large_arrays(protocol):
    shared = {"name": "one"}
    words = np.full(500, "abc")
    value = [np.arange(1000.0), shared, np.arange(2000, dtype=np.int32), np.zeros(3), shared, words, shared]
    found = read(pickle.dumps(value, protocol))
    for ours, theirs in zip(found, value, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert found[1] is found[4]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pandas_tables_of_the_pandas_installed(protocol):
    pandas = pytest.importorskip("pandas")
    columns = {
        "imgPath": ["a.png", "b.png"], "camX": [1.0, 2.5], "camY": [3.0, 4.0], "count": [1, 2],
        "valid": [[True], [False, True]], "kid": [True, False],
        "joints": [[np.zeros((2, 3))], [np.ones((2, 3), np.float32), None]],
    }  # fmt: skip
    found = read(pickle.dumps(pandas.DataFrame(columns), protocol))
    assert list(found) == list(columns)
    for name in set(columns) - {"joints"}:
        assert found[name] == columns[name]
    np.testing.assert_array_equal(found["joints"][1][0], np.ones((2, 3)))


@pytest.mark.parametrize("name", sorted(path.stem for path in OLD.glob("*.pkl")))
def test_pickles_of_old_versions(name):
    """Written by the Python and the pandas that the name says, of Python 2 and 3.7 with scipy and chumpy as well."""
    found = read((OLD / f"{name}.pkl").read_bytes())
    table = found["table"]
    assert {column: table[column] for column in ("imgPath", "camX", "X", "kid")} == {
        "imgPath": ["a.png", "b.png"], "camX": [1.0, 2.5], "X": [[1, 2], []], "kid": [True, False],
    }  # fmt: skip
    np.testing.assert_array_equal(table["joints"][0][0], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(found["trans"], [[1.5, 255.0]])
    assert found["big_endian"].tolist() == [0, 1, 2]
    assert found["words"].tolist() == ["ab", "c"]
    assert found["objects"].tolist() == [None, {"k": 1}]
    assert (found["name"], found["long"], found["scalar"]) == ("Müller", 10**30, 2.5)
    if "2.7" in name or "3.7" in name:
        np.testing.assert_array_equal(found["sparse"], np.arange(6.0).reshape(2, 3))
        np.testing.assert_array_equal(found["chumpy"], np.arange(12.0).reshape(2, 2, 3))
        np.testing.assert_array_equal(found["chosen"], np.arange(12.0).reshape(2, 2, 3)[:, :, :2])
        assert isinstance(found["sum"], Unread)


@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
@pytest.mark.parametrize("shape", [(3, 5), (4, 4)])
def test_sparse_matrices_come_in_full(kind, shape):
    matrix = scipy.sparse.random(*shape, density=0.4, format=kind, random_state=1)
    np.testing.assert_array_equal(read(pickle.dumps(matrix)), matrix.toarray())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_large_arrays_can_be_passed_over(protocol):
    shared = np.zeros(2000)
    content = pickle.dumps([shared, np.arange(3), shared, np.ones(1001)], protocol)
    found = read(content, skip=lambda shape: shape[0] > 1000)
    assert [type(one) for one in found] == [Unread, np.ndarray, Unread, Unread]
    np.testing.assert_array_equal(found[1], [0, 1, 2])


class Evil:
    def __init__(self, *how):
        self.how = how

    def __reduce__(self):
        return self.how


HOSTILE = {
    "a command": lambda flag: pickle.dumps(Evil(os.system, (f"touch {flag}",))),
    "eval": lambda flag: pickle.dumps(Evil(eval, (f"open({str(flag)!r}, 'w')",))),
    "open": lambda flag: pickle.dumps([1, {"a": Evil(open, (str(flag), "w"))}]),
    "getattr": lambda flag: b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR.",
    "a dotted name": lambda flag: b"\x80\x04\x8c\x05numpy\x8c\x0bf2py.os.sys\x93.",
    "a name below pandas, called, then built": lambda flag: (
        b"cpandas\nio.common.os.system\n(S'touch " + str(flag).encode() + b"'\ntRcos\nsystem\n(S'true'\ntR."
    ),
    "numpy's own unpickler": lambda flag: b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
    "an old class": lambda flag: b"(S'touch " + str(flag).encode() + b"'\nios\nsystem\n.",
    "an object of an old class": lambda flag: b"(cos\nsystem\nS'touch " + str(flag).encode() + b"'\no.",
    "an outside object": lambda flag: b"Pfile\n.",
    "an extension": lambda flag: b"\x82\x01.",
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_that_a_pickle_names_is_run(what, tmp_path):
    flag = tmp_path / "ran"
    message = refused(HOSTILE[what](flag))
    assert not flag.exists()
    assert "not run" in message


def test_a_pickle_cannot_change_what_the_next_one_reads():
    """BUILD with attributes on a class or function that is allowed."""
    for target in (b"cpandas\nDataFrame\n", b"cnumpy\ndtype\n", b"ccollections\nOrderedDict\n", b"cnumpy\nndarray\n"):
        refused(target + b"(N(dS'function'\ncos\nsystem\nstb.")
        refused(target + b"(N(dS'name'\nI1\nstb.")
    test_pickles_of_old_versions("python2.7_pandas0.24")


def laughs(levels, width):
    value = [0.0] * width
    for _ in range(levels):
        value = [value] * width
    return value


def cycle():
    value = []
    value.append(value)
    return value


def nested(depth):
    return b"(l" * depth + b"a" * (depth - 1) + b"."


BOMBS = {
    "lists of the same lists": lambda: pickle.dumps(laughs(12, 10)),
    "a list in itself": lambda: pickle.dumps(cycle()),
    "deep lists": lambda: nested(MAX_DEPTH + 2),
    "very deep lists": lambda: nested(200_000),
    "a memo far away": lambda: b"\x80\x02" + b"I1\nr" + struct.pack("<I", 2**32 - 1) + b"a.",
    "bytes that are not there": lambda: b"\x80\x05\x8e" + struct.pack("<Q", 2**50) + b"abc.",
    "a bytearray that is not there": lambda: b"\x80\x05\x96" + struct.pack("<Q", 2**50) + b"abc.",
    "bytes of a length": lambda: b"cbuiltins\nbytes\n(I99999999999\ntR.",
    "a bytearray of a length": lambda: b"c__builtin__\nbytearray\n(I99999999999\ntR.",
    "an array larger than its content": lambda: (
        pickle.dumps(np.arange(4), 2).replace(b"K\x04\x85", b"J\xff\xff\xff\x7f\x85")
    ),
    "a sparse matrix without end": lambda: (
        b"cscipy.sparse.csc\ncsc_matrix\n)R(dS'_shape'\n(I999999999\nI999999999\nts"
        b"S'data'\n(lsS'indices'\n(lsS'indptr'\n(lsb."
    ),
    "records": lambda: pickle.dumps(np.zeros(2, [("a", "f8"), ("b", "i4")])),
    "cut off": lambda: pickle.dumps({"a": np.arange(100.0)})[:-200],
    "empty": lambda: b"",
    "something else": lambda: b"PK\x03\x04 this is no pickle",
}  # fmt: skip


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_and_damage_are_errors_of_the_file(what):
    refused(BOMBS[what]())


def test_every_cut_and_flipped_byte_is_an_error_or_a_value():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": ["x", "y"], "b": [[np.zeros(2)], [np.ones(3)]], "c": [1.0, 2.0]})
    content = pickle.dumps(
        {"table": table, "sparse": scipy.sparse.eye(3, format="csr"), "o": np.array([None, 1], object)}
    )
    rng = np.random.default_rng(0)
    read_whole = 0
    for turn in range(600):
        broken = bytearray(content)
        broken[rng.integers(len(broken))] = rng.integers(256)
        try:
            read(bytes(broken[: rng.integers(len(broken))] if turn % 3 == 0 else broken))
        except FileFormatError:
            continue
        read_whole += 1
    assert 0 < read_whole < 400


def npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream


def test_npz_gives_the_arrays_asked_for():
    people = np.array({"S1": {"walk": np.zeros((2, 3))}}, dtype=object)
    stream = npz(
        poses=np.arange(6.0).reshape(2, 3),
        name=np.array(["a", "b"]),
        order=np.asfortranarray(np.eye(2, 3)),
        people=people,
    )
    found = read_npz(stream, "some.npz")
    np.testing.assert_array_equal(found["poses"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["order"], np.eye(2, 3))
    assert found["name"].tolist() == ["a", "b"]
    assert found["people"].shape == ()
    assert found["people"].item()["S1"]["walk"].shape == (2, 3)
    assert set(read_npz(stream, "some.npz", ["name", "none"])) == {"name"}


def test_npz_runs_nothing_and_says_what_is_damaged(tmp_path):
    flag = tmp_path / "ran"
    for stream in (
        npz(a=np.array([Evil(os.system, (f"touch {flag}",))], dtype=object)),
        io.BytesIO(b"no archive at all"),
        io.BytesIO(npz(a=np.arange(1000.0)).getvalue()[:-400]),
    ):
        with pytest.raises(FileFormatError, match=r"some\.npz"):
            read_npz(stream, "some.npz")
    assert not flag.exists()


def header(shape, kind="<f8"):
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        header((10**9, 10**6)) + b"12345678", header((-1,)) + b"12345678", header((2,)) + b"12345678",
        header((2,), "|O") + b"K\x01.",
        b"\x93NUMPY\x01\x00\xff\xff", b"\x93NUMPY\x07\x00", b"", header("__import__('os')"), header((1,), "<f77"),
    ],
)  # fmt: skip
def test_npy_damage(content):
    with pytest.raises(FileFormatError, match=r"some\.npy"):
        read_npy(io.BytesIO(content), "some.npy")


def test_npz_members_that_say_more_than_they_hold():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", header((10**12,)) + bytes(64))
    with pytest.raises(FileFormatError, match=r"some\.npz, a"):
        read_npz(stream, "some.npz")
