"""How fast batches come, beside the plainest way to read the same things."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.store_data import block, jpegs, write_blocks, write_store
from skelbridge.camera import Camera
from skelbridge.store import Store, open_store
from skelbridge.store.batch import decoded
from skelbridge.store.schema import NUMBERS

BATCH = 128
#: The numbers of a sample that a training step looks at, the camera's aside.
ANNOTATIONS = tuple(name for name in NUMBERS if name != "camera")


@dataclass
class Race:
    """Samples a second, ours and the baseline's, medians of several rounds; ratio: the median of the rounds' ratios."""

    ours: float
    baseline: float
    ratio: float


def race(ours: Callable[[], int], baseline: Callable[[], int], rounds: int = 7) -> Race:
    """Both tasks in turn, after a round to warm up; each returns how many samples it read."""
    rates = np.empty((rounds + 1, 2))
    for row in rates:
        for number, task in enumerate((ours, baseline)):
            start = time.perf_counter()
            count = task()
            row[number] = count / (time.perf_counter() - start)
    first, second = np.median(rates[1:], axis=0)
    return Race(float(first), float(second), float(np.median(rates[1:, 0] / rates[1:, 1])))


def against_memmap(folder: Path, count: int, steps: int) -> Race:
    """Chunk-shuffled annotations against np.memmap of the same columns, rows in the same order."""
    store = open_store(write_store(folder / "memmap.h5", count))
    columns = {}
    for name in ANNOTATIONS:
        first = store.pieces[0].column(name)
        columns[name] = np.memmap(folder / f"{name}.bin", first.dtype, "w+", shape=(count, *first.shape[1:]))
        columns[name][:] = np.concatenate([piece.column(name) for piece in store.pieces])
        columns[name].flush()
        columns[name] = np.memmap(folder / f"{name}.bin", first.dtype, "r", shape=(count, *first.shape[1:]))
    rows = [batch.rows for batch in store.batches(BATCH, steps=steps, columns=["frame"])]

    def ours() -> int:
        return sum(len(batch) for batch in store.batches(BATCH, steps=steps, columns=ANNOTATIONS))

    def baseline() -> int:
        for each in rows:
            for column in columns.values():
                _ = column[each]
        return sum(map(len, rows))

    return race(ours, baseline)


@dataclass
class Record:
    """A sample as an object of its own, as it would be pickled."""

    points: NDArray[Any]
    points2d: NDArray[Any]
    visibility: NDArray[Any]
    camera: Camera
    box: NDArray[Any]
    image_size: NDArray[Any]
    frame: int
    subject: str
    sequence: str
    image: str


def against_pickles(folder: Path, store: Store, steps: int) -> Race:
    """All columns, fully shuffled over a store, against unpickling one object a sample from one file."""
    known = 10_000
    samples, path = block("h36m_17", known), folder / "samples.pickle"
    ends = [0]
    with path.open("wb") as stream:
        for row in range(known):
            stream.write(pickle.dumps(_record(samples, row), protocol=5))
            ends.append(stream.tell())
    order = np.random.default_rng(0).permutation(known)[: min(known, steps * BATCH)]

    def ours() -> int:
        return sum(len(batch) for batch in store.batches(BATCH, shuffle="full", steps=steps))

    def baseline() -> int:
        with path.open("rb") as stream:
            for row in order:
                stream.seek(ends[row])
                pickle.loads(stream.read(ends[row + 1] - ends[row]))
        return len(order)

    return race(ours, baseline)


def _record(samples: Any, row: int) -> Record:
    return Record(
        samples.points[row], samples.points2d[row], samples.visibility[row], samples.cameras[samples.camera[row]],
        samples.box[row], samples.image_size[row], int(samples.frame[row]), samples.text["subject"][row],
        samples.text["sequence"][row], samples.text["image"][row],
    )  # fmt: skip


def against_decoder(folder: Path, count: int, cores: int) -> Race:
    """Batches of packed pictures, decoded, against the decoder alone on as many threads."""
    packed, path = jpegs(64), folder / "pictures.h5"
    samples = replace(block("h36m_17", count), pictures=tuple(packed[n % 64] for n in range(count)))
    write_blocks(path, [samples])
    batches = open_store(path).batches(BATCH, pictures="decoded", workers=cores)
    turns = [[packed[n % 64] for n in range(first, count, cores)] for first in range(cores)]

    def ours() -> int:
        return sum(len(batch.images()) for batch in batches)

    def baseline() -> int:
        with ThreadPoolExecutor(cores) as pool:
            return sum(pool.map(_decode, turns))

    return race(ours, baseline, rounds=11)


def _decode(packed: list[bytes]) -> int:
    return sum(len(decoded([picture])) for picture in packed)
