"""Pictures of batches: each sample in its own picture and format."""

import io
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="plotting needs matplotlib: pip install skelbridge[plot]")
pytest.importorskip("h5py", reason="stores need h5py: pip install skelbridge[data]")

from PIL import Image
from stores import block, write

from skelbridge.errors import InputError
from skelbridge.plot import plot_batch
from skelbridge.skeletons import skeleton
from skelbridge.store import merge


@pytest.fixture
def store(tmp_path):
    """Four samples of two datasets. Those with pictures have their nose on the crop's pixel (30, 20), of 64 x 48."""
    content = io.BytesIO()
    Image.new("RGB", (64, 48)).save(content, "JPEG")
    flat = block(2, "coco_17", flat=True, pictures=(content.getvalue(),))
    points = flat.points2d.copy()
    points[:, 0] = 100 + 30 / 0.5, 200 + 20 / 0.5
    crop = np.tile(np.float32([100, 200, 0.5]), (2, 1))
    flat = replace(flat, points2d=points, crop=crop, box=np.tile(np.float32([120, 210, 80, 60]), (2, 1)))
    a = write(tmp_path / "a.h5", [flat], dataset="coco")
    b = write(tmp_path / "b.h5", [block(2, seed=1)])
    return merge([a, b], tmp_path / "all.h5")


def test_every_sample_is_drawn_in_its_picture_and_format(store):
    figure = plot_batch(store.batches(4, shuffle=None, pictures=True)[0], columns=3)
    assert len(figure.axes) == 4
    words = [text.get_text() for text in figure.texts]
    assert words == ["coco", "coco_17"] * 2 + ["h36m", "h36m_17"] * 2
    for axes, many in zip(figure.axes, (1, 1, 0, 0), strict=True):
        assert len(axes.images) == many
    edges = [next(c for c in axes.collections if c.get_gid() == "edges") for axes in figure.axes]
    assert len(edges[0].get_segments()) <= len(skeleton("coco_17").edge_index)
    assert {len(axes.collections) for axes in figure.axes} == {3}  # edges, their halo, joints


def test_joints_lie_on_the_pixels_that_the_crop_says(store):
    figure = plot_batch(store.batches(4, shuffle=None, pictures=True)[0])
    axes = figure.axes[0]
    shown = axes.images[0]
    left, right, low, top = shown.get_extent()
    height, width = shown.get_array().shape[:2]
    joints = next(c for c in axes.collections if c.get_gid() == "joints").get_offsets()
    nose = next(joint for joint in joints if np.allclose(joint, (160, 240)))
    assert (nose[0] - left) / (right - left) * width - 0.5 == pytest.approx(30)
    assert (nose[1] - top) / (low - top) * height - 0.5 == pytest.approx(20)
    # the square about the box (120, 210, 80, 60), y down
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((160, 240))
    assert x1 - x0 == pytest.approx(y0 - y1)
    assert x1 - x0 > 80


def test_a_batch_without_what_is_drawn_is_refused(store):
    with pytest.raises(InputError, match="pictures"):
        plot_batch(store.batches(4)[0])
    with pytest.raises(InputError, match="box"):
        plot_batch(store.batches(4, columns=["points2d", "crop"], pictures=True)[0])
