"""Ways to lay out a shard's columns, measured side by side on the same samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.store_data import block
from skelbridge.errors import MissingExtraError, need
from skelbridge.store.sealed import layout, mapped
from skelbridge.store.shuffling import CHUNK, shuffled

Array = NDArray[Any]
COLUMNS = ("points", "points2d", "visibility", "box", "frame")
BATCH = 128


def kinds() -> dict[str, dict[str, Any]]:
    """Layouts by name, as h5py's arguments; blosc where the package hdf5plugin is installed."""
    found: dict[str, dict[str, Any]] = {
        "contiguous, mapped": {},
        "contiguous, by h5py": {},
        "chunks of 256, plain": {},
        "chunks of 256, lzf": {"compression": "lzf", "shuffle": True},
        "chunks of 256, gzip": {"compression": "gzip", "shuffle": True},
    }
    try:
        blosc = need("hdf5plugin", "data").Blosc(cname="lz4", shuffle=1)
        found["chunks of 256, blosc lz4"] = dict(blosc)
    except MissingExtraError:
        pass
    return found


def compared(folder: Path, count: int, batches: int) -> list[dict[str, Any]]:
    """For each layout: seconds to write, bytes on disk, and samples a second read in chunks and by rows at random."""
    samples = block("h36m_17", count)
    columns = {name: getattr(samples, name) for name in COLUMNS}
    in_chunks = shuffled(np.arange(count // CHUNK), count // CHUNK, "full", "layout")[: max(1, batches // 2)]
    at_random = shuffled(np.arange(batches * BATCH) % count, count, "full", "layout").reshape(-1, BATCH)
    rows = []
    for name, options in kinds().items():
        path = folder / "layout.h5"
        start = time.perf_counter()
        _write(path, columns, name, options)
        wrote = time.perf_counter() - start
        read = _mapped(path) if name == "contiguous, mapped" else _by_h5py(path)
        chunk_time = _best(read, [slice(n * CHUNK, (n + 1) * CHUNK) for n in in_chunks.tolist()])
        row_time = _best(read, [np.sort(each) for each in at_random])
        rows.append(
            {
                "name": name,
                "write": wrote,
                "bytes": path.stat().st_size,
                "chunks": len(in_chunks) * CHUNK / chunk_time,
                "rows": at_random.size / row_time,
            }
        )
        path.unlink()
    return rows


def _write(path: Path, columns: dict[str, Array], name: str, options: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for column, values in columns.items():
            chunks = None if name.startswith("contiguous") else (CHUNK, *values.shape[1:])
            file.create_dataset(column, data=values, chunks=chunks, **options)


def _mapped(path: Path) -> Callable[[Any], list[Array]]:
    _, places = layout(path)
    content = mapped(path)
    views = [place.view(content) for place in places.values()]
    return lambda rows: [np.array(view[rows]) for view in views]


def _by_h5py(path: Path) -> Callable[[Any], list[Array]]:
    file = h5py.File(path)
    return lambda rows: [file[name][rows] for name in COLUMNS]


def _best(read: Callable[[Any], object], turns: Sequence[Any], times: int = 3) -> float:
    """The shortest of several runs through all that is to be read, seconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        for rows in turns:
            read(rows)
        found.append(time.perf_counter() - start)
    return min(found)
