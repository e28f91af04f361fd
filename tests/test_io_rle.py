"""Run-length codes of masks: the same as COCO's own tools, and nothing hostile gets through."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skelbridge.errors import InputError
from skelbridge.io import rle

coco = pytest.importorskip("pycocotools.mask")


def random_polygons(rng: np.random.Generator) -> list[list[float]]:
    """Some that cross themselves, leave the picture, have corners twice or between pixels."""
    found = []
    for _ in range(rng.integers(1, 4)):
        corners = rng.uniform(-10, 70, (rng.integers(3, 9), 2)).round(rng.integers(0, 3))
        found.append(np.repeat(corners, rng.integers(1, 3), axis=0).ravel().tolist())
    return found


@pytest.mark.parametrize("seed", range(200))
def test_polygons_cover_the_pixels_of_cocos_own_tools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = map(int, rng.integers(1, 60, 2))
    polygons = random_polygons(rng)
    theirs = coco.decode(coco.merge(coco.frPyObjects(polygons, height, width)))
    assert np.array_equal(rle.decode(rle.from_polygons(polygons, (width, height)), (width, height)), theirs)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_codes_are_cocos_and_come_back(width: int, height: int, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    theirs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    code = rle.encode(mask)
    assert code == theirs["counts"]
    assert np.array_equal(rle.decode(code, (width, height)), mask)
    assert rle.checked(code, (width, height)) == code
    if mask.any():
        assert rle.box(code, (width, height)) == tuple(coco.toBbox(theirs))


def test_long_runs_keep_their_lengths() -> None:
    mask = np.zeros((3000, 4000), bool)
    mask[:, 3000:] = True
    mask[5, 7] = True
    code = rle.encode(mask)
    assert code == coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    assert np.array_equal(rle.decode(code, (4000, 3000)), mask)


def test_lengths_that_are_written_out() -> None:
    mask = np.zeros((4, 3), bool)
    mask[1:3, 1] = True
    assert rle.from_counts([5, 2, 5], (3, 4)) == rle.encode(mask)


def test_an_empty_mask_has_an_empty_box() -> None:
    assert rle.box(rle.encode(np.zeros((4, 3), bool)), (3, 4)) == (0, 0, 0, 0)
    assert not rle.decode(rle.from_polygons([], (3, 4)), (3, 4)).any()


@pytest.mark.parametrize("code", [b"\x00", b"zz", b"o" * 30, b"~~~", b"d", b"", b"52", bytes(range(48, 112))])
def test_codes_that_are_none_are_refused(code: bytes) -> None:
    with pytest.raises(InputError, match="run-length code"):
        rle.decode(code, (20, 10))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_do_worse_than_an_error(code: bytes) -> None:
    with contextlib.suppress(InputError):
        assert rle.decode(code, (20, 10)).shape == (10, 20)


@pytest.mark.parametrize(
    "counts", [[5, 2, 6], [-5, 17], [2**62, 2**62, 12], [1.5e300], [5.5, 2, 5], ["a"], [[12]], None, [2**70]]
)
def test_lengths_that_do_not_fill_the_size_are_refused(counts: object) -> None:
    with pytest.raises(InputError):
        rle.from_counts(counts, (3, 4))


@pytest.mark.parametrize("size", [(2**20, 2**20), (-3, 4)])
def test_absurd_sizes_are_refused_before_anything_is_made(size: tuple[int, int]) -> None:
    for made in (lambda: rle.decode(b"52", size), lambda: rle.from_polygons([[0, 0, 1, 1, 2, 0]], size)):
        with pytest.raises(InputError, match="size of a mask"):
            made()


@pytest.mark.parametrize(
    "polygon",
    [[], [1, 2, 3], [float("nan")] * 6, [1e300] * 6, ["a", "b"], [[1, 2], [3]], {"x": 1}, [0, 0, 1e8, 0, 0, 1e8] * 9],
)
def test_polygons_that_are_none_are_refused(polygon: list[float]) -> None:
    with pytest.raises(InputError, match="polygon"):
        rle.from_polygons([polygon], (20, 10))
