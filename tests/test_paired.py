"""Files of poses in several formats: both layouts, units, streaming, and what is wrong in them."""

import io
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from acae_poses import FORMATS, poses

from skelbridge.errors import FileFormatError
from skelbridge.io import paired
from skelbridge.io.paired import read_paired


@pytest.fixture(scope="module")
def arrays():
    """Each format's poses by its id."""
    joints, points = poses(FORMATS, 60)
    points[::7, 4] = np.nan
    return {name: points[:, own] for name, own in joints.slices.items()}


def side_by_side(arrays):
    return np.concatenate(list(arrays.values()), axis=1)


def read(path):
    return np.concatenate(list(read_paired(path).blocks()))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("layout", ["one array a format", "side by side"])
def test_both_layouts_read_alike(tmp_path, arrays, save, layout):
    path = tmp_path / "poses.npz"
    save(path, **(arrays if layout == "one array a format" else {"points": side_by_side(arrays), "formats": FORMATS}))
    found = read_paired(path)
    assert tuple(map(str, found.formats)) == FORMATS
    assert len(found) == 60
    np.testing.assert_array_equal(read(path), side_by_side(arrays))


@pytest.mark.parametrize("block", [1, 7, 59, 60, 61])
def test_blocks_of_any_size_add_up(tmp_path, arrays, monkeypatch, block):
    np.savez(tmp_path / "poses.npz", **arrays)
    monkeypatch.setattr(paired, "BLOCK_BYTES", block * 24 * 58)
    blocks = list(read_paired(tmp_path / "poses.npz").blocks())
    assert {len(b) for b in blocks[:-1]} <= {block}
    np.testing.assert_array_equal(np.concatenate(blocks), side_by_side(arrays))


@pytest.mark.parametrize(("units", "scale"), [("mm", 1), ("cm", 10), ("m", 1000), ("inch", 25.4)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f8", np.int32])
def test_units_and_kinds_of_numbers(tmp_path, arrays, units, scale, dtype):
    whole = {name: np.nan_to_num(values).round().astype(dtype) for name, values in arrays.items()}
    np.savez(tmp_path / "poses.npz", **whole, units=units)
    got = read(tmp_path / "poses.npz")
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, side_by_side(whole).astype(float) * scale, rtol=1e-6)


def test_aliases_hands_and_one_format_alone(tmp_path):
    _, hands = poses(["mano:left", "mano:right"], 30)
    np.savez(tmp_path / "hands.npz", **{"mano:left": hands[:, :16], "mano:right": hands[:, 16:]})
    assert [str(card) for card in read_paired(tmp_path / "hands.npz").formats] == ["mano_16:left", "mano_16:right"]
    np.savez(tmp_path / "coco.npz", coco=np.zeros((5, 17, 3)))
    assert [str(card) for card in read_paired(tmp_path / "coco.npz").formats] == ["coco_17"]
    np.savez(tmp_path / "coco.npz", points=np.zeros((5, 17, 3)), formats="coco")
    assert [str(card) for card in read_paired(tmp_path / "coco.npz").formats] == ["coco_17"]
    np.savez(tmp_path / "none.npz", coco=np.zeros((0, 17, 3)))
    assert list(read_paired(tmp_path / "none.npz").blocks()) == []


def test_a_large_file_is_read_in_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(paired, "BLOCK_BYTES", 2**20)
    values = np.random.default_rng(0).normal(size=(40_000, 17, 3)).astype(np.float32)
    np.savez(tmp_path / "large.npz", coco_17=values)
    tracemalloc.start()
    total = sum(float(np.abs(block).sum(dtype=float)) for block in read_paired(tmp_path / "large.npz").blocks())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == pytest.approx(np.abs(values).sum(dtype=float))
    assert values.nbytes > 8_000_000 > 2 * peak


class Trap:
    """What runs code where it is unpickled."""

    def __reduce__(self):
        return (open, ("/nowhere/at/all", "w"))


COCO, H36M = np.zeros((5, 17, 3)), np.ones((5, 17, 3))
WRONG = {
    "an unknown format": ({"coco_171": COCO}, "coco_171.*arrays named by formats"),
    "a hand on a body": ({"coco_17:left": COCO}, "one hand"),
    "no formats": ({"points": COCO}, "'points' and 'formats'.*got points"),
    "a format twice": ({"coco": COCO, "coco_17": COCO}, "Each format once"),
    "a listed format twice": ({"points": COCO, "formats": ["coco", "coco_17"]}, "Each format once"),
    "an unknown one listed": ({"points": COCO, "formats": ["nothing_like"]}, "nothing_like"),
    "numbers for formats": ({"points": COCO, "formats": np.arange(2)}, "formats.*expected words"),
    "another number of joints": ({"coco_17": COCO[:, :16]}, r"coco_17.*expected shape \(5, 17, 3\).*got \(5, 16, 3\)"),
    "joints of fewer formats": ({"points": COCO, "formats": ["coco_17", "h36m_17"]}, r"expected shape \(5, 34, 3\)"),
    "two dimensions": ({"coco_17": COCO[..., :2]}, r"got \(5, 17, 2\)"),
    "no poses": ({"coco_17": COCO[0]}, r"got \(17, 3\)"),
    "a single number": ({"coco_17": np.float64(3)}, r"coco_17.*got \(\)"),
    "other poses": ({"coco_17": COCO, "h36m_17": H36M[:4]}, r"h36m_17.*expected shape \(5, 17, 3\).*got \(4, 17, 3\)"),
    "words": ({"coco_17": np.full((5, 17, 3), "a")}, "coco_17.*text"),
    "complex": ({"coco_17": COCO + 1j}, "coco_17.*complex"),
    "objects": ({"coco_17": np.array([[[Trap()] * 3] * 17] * 5, dtype=object)}, "pickles"),
    "infinities": ({"coco_17": COCO + np.inf}, "coco_17.*finite"),
    "absurd numbers": ({"coco_17": COCO + 1e12}, "coco_17.*finite"),
    "columns first": ({"coco_17": np.asfortranarray(H36M)}, "coco_17.*C order.*ascontiguousarray"),
    "an unknown unit": ({"coco_17": COCO, "units": "furlong"}, "units.*mm, cm, m, inch.*furlong"),
    "a number for the unit": ({"coco_17": COCO, "units": 1.0}, "units.*expected words"),
    "nothing": ({}, "arrays named by formats.*got nothing"),
    "a file of one recording": ({"points": COCO, "skelbridge": "{}"}, "formats"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_error(tmp_path, name):
    content, words = WRONG[name]
    np.savez(tmp_path / "poses.npz", **content)
    with pytest.raises(FileFormatError, match=words) as caught:
        read(tmp_path / "poses.npz")
    assert "poses.npz" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_anywhere_is_one_error(tmp_path, arrays, save):
    path, rng = tmp_path / "poses.npz", np.random.default_rng(0)
    save(path, **arrays)
    content = path.read_bytes()
    for cut in rng.integers(0, len(content), 25):
        path.write_bytes(content[:cut])
        with pytest.raises(FileFormatError, match=r"poses\.npz"):
            read(path)
    for place in rng.integers(0, len(content), 60):
        bad = bytearray(content)
        bad[place] ^= 0xFF
        path.write_bytes(bad)
        with suppress(FileFormatError):  # or it is read: a bit of a date may pass
            read(path)


def test_other_files_are_refused(tmp_path):
    for name, content in (("empty", b""), ("text", b"x, y, z\n"), ("npy", b"\x93NUMPY\x01\x00")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError, match="npz archive"):
            read_paired(tmp_path / name)
    with pytest.raises(FileFormatError, match="nowhere"):
        read_paired(tmp_path / "nowhere.npz")
    with pytest.raises(FileFormatError, match="can be read"):
        read_paired(tmp_path)


def test_a_bomb_and_a_false_header_take_no_memory(tmp_path):
    def member(shape, numbers):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
        return header.getvalue() + bytes(8 * numbers)

    bombs = {"more than there is": member((10**9, 17, 3), 51), "negative": member((-1, 17, 3), 51),
             "all zeros": member((400_000, 17, 3), 400_000 * 51)}  # fmt: skip
    for content in bombs.values():
        with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("coco_17.npy", content)
        tracemalloc.start()
        with pytest.raises(FileFormatError, match="coco_17"):
            read(tmp_path / "bomb.npz")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10_000_000
