"""Small stores of drawn people, and of people of whom one joint is a bright dot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from stores import write

from skelbridge.datasets.boxes import with_boxes
from skelbridge.datasets.cards import Boxes
from skelbridge.datasets.packing import cut
from skelbridge.io.images import encode_jpeg
from skelbridge.store import Samples, merge, open_store
from skelbridge.synthetic.scene import draw, ring, virtual_scene

SIZE = (320, 240)
BENT = (-0.2, 0.05, 0.003, -0.004, 0.01)


def people(
    format="h36m_17", count=24, *, seed=0, packed=True, flat=False, camera=True, distortion=(), root=None, dot=""
):
    """Samples of drawn people, from two cameras in turn; pictures packed, or as files below `root`.

    dot: a joint that is a bright dot, in pictures that show nothing else.
    """
    scene = virtual_scene(1, count, seed=seed)
    cameras = [ring(2, focal=280.0, size=SIZE, distortion=distortion)[n % 2] for n in range(count)]
    world = scene.joints(format)[:, 0]
    labels = {"world": world} if not flat else {"points2d": [c.project(w) for c, w in zip(cameras, world, strict=True)]}
    where = {"camera": cameras} if camera else {}
    names = [f"images/{seed}_{n}.jpg" for n in range(count)]
    samples = Samples.of(format, **labels, **where, image_size=SIZE, frame=np.arange(count), image=names)
    samples = with_boxes(samples, Boxes())
    if dot:
        places = [c.project(w[samples.skeleton.index(dot)]) for c, w in zip(cameras, world, strict=True)]
        pictures = [dotted(place) for place in places]
    else:
        pictures = [draw(camera, scene, n, SIZE)[0] for n, camera in enumerate(cameras)]
    if root is not None:
        (root / "images").mkdir(parents=True, exist_ok=True)
        for name, picture in zip(names, pictures, strict=True):
            (root / name).write_bytes(encode_jpeg(picture))
    if not packed:
        return samples
    cuts = [cut(picture, box) for picture, box in zip(pictures, samples.box, strict=True)]
    return replace(samples, pictures=tuple(c for c, _ in cuts), crop=np.stack([place for _, place in cuts]))


def dotted(place, spread=2.5):
    """A black picture with a bright dot."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    bright = 250 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * spread**2))
    return np.repeat(np.round(bright).astype(np.uint8)[..., None], 3, axis=2)


def brightest(image):
    """The middle of a dot in a picture (height, width), (2,) pixels."""
    weights = np.where(image > 25, image, 0).astype(float)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


def three(folder):
    """A store of two 3D datasets and one of 2D labels without a camera."""
    stores = [
        write(folder / "a.h5", [people(seed=0)], dataset="h36m"),
        write(folder / "b.h5", [people("smpl_24", seed=1, distortion=BENT)], dataset="surreal"),
        write(folder / "c.h5", [people("coco_17", seed=2, flat=True, camera=False)], dataset="coco"),
    ]
    merge(stores, folder / "all.h5")
    return open_store(folder / "all.h5")
