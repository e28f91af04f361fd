"""Samples and stores that the store's benchmark is made of."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.store import JobRecord, JobWriter, Samples, StoreWriter
from skelbridge.store.index import MAX_ROWS, shards_folder

#: Formats of the simulated datasets, in turn.
FORMATS = ("h36m_17", "smpl_24", "coco_17", "mpi_inf_3dhp_28", "panoptic_19", "h36m_32")
BLOCK = 8192


def block(format: str, count: int, seed: int = 0) -> Samples:
    """Samples of smooth motion with a millimetre of noise, seen by four cameras, with boxes and 2D points."""
    random, card = np.random.default_rng(seed), skeleton(format)
    phase, pace = random.uniform(0, 6, (2, len(card), 3))
    time = np.arange(count)[:, None, None] / 50
    points = 400 * np.sin(phase + pace * time) + random.normal(size=(count, len(card), 3)) + [0, 0, 4500]
    cameras = [
        Camera([[1100 + n, 0, 512], [0, 1100, 512], [0, 0, 1]], distortion=(-0.2, 0.1, 0, 0, 0), translation=(0, 0, n))
        for n in range(4)
    ]
    flat = cameras[0].project_seen(points)
    corner, far = np.nanmin(flat, axis=1), np.nanmax(flat, axis=1)
    return Samples.of(
        card, points=points, points2d=flat, camera=[cameras[n % 4] for n in range(count)], world_known=True,
        frame=np.arange(count), image_size=(1024, 1024), box=np.concatenate([corner, far - corner], axis=1),
        subject=[f"S{n // 2000}" for n in range(count)], sequence=[f"walk {n // 500}" for n in range(count)],
        image=[f"S1/walk/{n:06}.jpg" for n in range(count)],
    )  # fmt: skip


def blocks(format: str, count: int) -> Iterator[Samples]:
    """Samples, some thousands at a time, every block the same but for its frames and pictures."""
    made = block(format, min(count, BLOCK))
    for start in range(0, count, BLOCK):
        part = made[: min(BLOCK, count - start)]
        yield replace(part, frame=part.frame + np.int32(start))


def write_blocks(path: Path, blocks: Iterable[Samples], format: str = FORMATS[0], dataset: str = "h36m") -> Path:
    """A store of some blocks in one job."""
    with StoreWriter(path, dataset=dataset, skeleton=format) as writer:
        job = JobWriter(path, "all", dataset, "train", format)
        for samples in blocks:
            job.add(samples)
        writer.commit(job.finish(["all"]))
    return path


def write_store(path: Path, count: int, format: str = FORMATS[0], dataset: str = "h36m") -> Path:
    """A store of so many samples."""
    return write_blocks(path, blocks(format, count), format, dataset)


def write_members(folder: Path, names: Sequence[str], samples: int) -> list[Path]:
    """A store for each dataset, of `samples` together; the shards of one are hard links to one file."""
    shards = -(-samples // (len(names) * MAX_ROWS))
    paths = []
    for number, name in enumerate(names):
        path, format = folder / f"{name}.h5", FORMATS[number % len(FORMATS)]
        with StoreWriter(path, dataset=name, skeleton=format) as writer:
            with JobWriter(path, "first", name, "train", format) as job:
                for each in blocks(format, min(MAX_ROWS, samples // len(names))):
                    job.add(each)
                record = job.finish(["first"])
            writer.commit(record)
            first = record.shards[0]
            copies = [first.model_copy(update={"name": f"copy_{n}_{first.name}"}) for n in range(1, shards)]
            for copy in copies:
                os.link(shards_folder(path) / first.name, shards_folder(path) / copy.name)
            writer.commit(JobRecord(job="copies", parts=("copies",), shards=tuple(copies)))
        paths.append(path)
    return paths


def jpegs(count: int, size: int = 256) -> list[bytes]:
    """JPEG files of blurred noise, so that decoding works as hard as on photographs."""
    from PIL import Image, ImageFilter

    random, made = np.random.default_rng(0), []
    for _ in range(count):
        noise = random.integers(0, 256, (size // 4, size // 4, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((size, size)).filter(ImageFilter.GaussianBlur(1))
        content = io.BytesIO()
        image.save(content, "JPEG", quality=90)
        made.append(content.getvalue())
    return made
