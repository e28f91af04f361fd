"""Samples and stores that several test files share."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from skelbridge.camera import Camera
from skelbridge.store import JobWriter, Samples, StoreWriter


def cameras(count=3):
    return [
        Camera(
            [[1000 + n, 0, 500], [0, 1000, 500], [0, 0, 1]],
            translation=(0, 0, n),
            distortion=(0.05 * n, 0, 0.001, -0.002, 0, 0, 0, 0),
            lens=("opencv", "h36m")[n % 2],
        )
        for n in range(count)
    ]


def block(count, format="h36m_17", joints=17, seed=0, flat=False, pictures=(), **text):
    """Samples whose frame numbers count from 0; a tenth of the joints is missing."""
    random = np.random.default_rng(seed)
    points = (random.normal(size=(count, joints, 3)) * [300, 500, 100] + [0, 0, 4000]).astype(np.float32)
    points[random.random((count, joints)) < 0.1] = np.nan
    known, size = cameras(), (1000, 1002)
    numbers = {"frame": np.arange(count), "image_size": size, "box": random.uniform(0, 500, (count, 4))}
    words = {
        "subject": "S1",
        "sequence": [f"walk {n // 7}" for n in range(count)],
        "image": [f"a/{n}.jpg" for n in range(count)],
    }
    where = (
        {"points2d": points[..., :2]} if flat else {"points": points, "camera": [known[n % 3] for n in range(count)]}
    )
    made = Samples.of(format, **where, **numbers, **{**words, **text})
    if pictures:
        packed = tuple(pictures[n % len(pictures)] for n in range(count))
        made = replace(made, pictures=packed, crop=np.ones((count, 3), np.float32))
    return made


def write(path, blocks, dataset="h36m", split="train", format=None, **about):
    """A store of one job a block."""
    with StoreWriter(path, dataset=dataset, skeleton=format or blocks[0].skeleton, about=about) as writer:
        for number, samples in enumerate(blocks):
            with JobWriter(path, f"job {number}", dataset, split, samples.skeleton) as job:
                job.add(samples)
                writer.commit(job.finish([f"part {number}"], {"samples": len(samples)}))
    return path


def assert_same(found, wanted, split=""):
    """Two blocks of samples say the same, bit for bit; a split that was not said is the job's."""
    assert found.skeleton.names == wanted.skeleton.names
    assert len(found) == len(wanted)
    for field in fields(wanted):
        a, b = getattr(found, field.name), getattr(wanted, field.name)
        if isinstance(b, np.ndarray) and field.name != "camera":
            assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
            assert a.tobytes() == b.tobytes(), field.name
        elif field.name in ("points", "points2d"):
            assert a is None
            assert b is None
    assert found.masks == wanted.masks
    assert found.pictures == wanted.pictures
    for name, column in wanted.text.items():
        words = [word or split for word in column.tolist()] if name == "split" else column.tolist()
        assert found.text[name].tolist() == words, name
    assert (found.camera < 0).tolist() == (wanted.camera < 0).tolist()
    for a, b in zip(found.camera, wanted.camera, strict=True):
        if b >= 0:
            one, two = found.cameras[a], wanted.cameras[b]
            assert one.lens == two.lens
            for name in ("matrix", "distortion", "rotation", "translation"):
                assert np.asarray(getattr(one, name)).tobytes() == np.asarray(getattr(two, name)).tobytes()
