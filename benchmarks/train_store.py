"""A store to train on for measurements of speed: figures before walls, JPEG of about the size that crops need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.io.images import encode_jpeg
from skelbridge.store import JobWriter, Mixture, Samples, StoreWriter, merge
from skelbridge.synthetic.scene import draw, ring, virtual_scene

#: The skeleton format of each dataset; that of `FLAT` has 2D labels alone.
FORMATS = {"lab": "h36m_17", "street": "smpl_24", "web": "coco_17"}
FLAT = "web"
#: Pixels of a picture, and of the focal length, for one of the crops' side; people are then about as high as a crop.
PICTURE, FOCAL = 1.6, 2.5
#: Amplitude of noise, in levels, which makes the files of drawn pictures as large as those of photographs.
NOISE = 10


def write_training_store(folder: Path, side: int, count: int = 128) -> Path:
    """Write the three datasets, `count` samples each, for crops of `side` pixels, merged into one store."""
    paths = []
    for number, (name, format) in enumerate(FORMATS.items()):
        paths.append(folder / f"{name}.h5")
        with (
            StoreWriter(paths[-1], dataset=name, skeleton=format) as writer,
            JobWriter(paths[-1], "train", name, "train", format) as job,
        ):
            job.add(_samples(name, round(side * PICTURE), side * FOCAL, count, number))
            writer.commit(job.finish(["train"]))
    merge(paths, folder / "all.h5")
    return folder / "all.h5"


def as_mixture(size: int, flat: int) -> Mixture:
    """A batch of `size` examples of these datasets, `flat` of them with 2D labels."""
    deep = size - flat
    streams = [{"dataset": "lab", "count": deep - deep // 2}, {"dataset": "street", "count": deep // 2}]
    streams += [{"dataset": FLAT, "count": flat, "weak_2d": True}]
    return Mixture.model_validate({"name": "measured", "batch_3d": deep, "batch_2d": flat, "streams": streams})


def _samples(name: str, side: int, focal: float, count: int, seed: int) -> Samples:
    """People in pictures of `side` x `side` pixels, seen by four cameras in turn, with boxes."""
    scene, cameras = virtual_scene(frames=count, seed=seed), ring(4, focal=focal, size=(side, side))
    chosen = [cameras[n % len(cameras)] for n in range(count)]
    world = scene.joints(FORMATS[name])[:, 0]
    pixels = np.stack([camera.project(points) for camera, points in zip(chosen, world, strict=True)])
    low, high = np.nanmin(pixels, axis=1), np.nanmax(pixels, axis=1)
    made = Samples.of(
        FORMATS[name], **({"points2d": pixels} if name == FLAT else {"world": world, "camera": chosen}),
        box=np.concatenate([low, high - low], axis=1), image_size=(side, side), frame=np.arange(count),
        sequence="the only", subject="somebody",
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    images = [_noisy(draw(camera, scene, frame, (side, side))[0], rng) for frame, camera in enumerate(chosen)]
    whole = np.tile(np.array([0, 0, 1], np.float32), (count, 1))
    return replace(made, pictures=tuple(map(encode_jpeg, images)), crop=whole)


def _noisy(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture with noise of 2 x 2 pixels."""
    grain = rng.uniform(-NOISE, NOISE, (-(-image.shape[0] // 2), -(-image.shape[1] // 2), 1)).repeat(2, 0).repeat(2, 1)
    return np.clip(image + grain[: image.shape[0], : image.shape[1]], 0, 255).astype(np.uint8)
