"""Memory that writing, merging and reading stores take, each measured in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT


def peak() -> float:
    """The most memory that this process held, MB."""
    return _status("/proc/self/status", "VmHWM")


def private() -> float:
    """Memory that this process alone holds and has written to, MB; mapped files are not in it."""
    return _status("/proc/self/smaps_rollup", "Private_Dirty")


def _status(path: str, name: str) -> float:
    lines = Path(path).read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def measured(task: str, *arguments: object) -> dict[str, Any]:
    """What a task of this module reports, run in a new process."""
    command = [sys.executable, "-m", "benchmarks.store_memory", task, *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    result: dict[str, Any] = json.loads(found.stdout)
    return result


def writing(path: str, count: str) -> dict[str, float]:
    """Write a store."""
    from benchmarks.store_data import write_store

    write_store(Path(path), int(count))
    return {"peak": peak()}


def ingesting(path: str, count: str) -> dict[str, float]:
    """Bring a made-up dataset into a store: read, project, box, check, write, clean."""
    from benchmarks.made_up import CARD, install
    from skelbridge.datasets import ingest

    root = Path(path).with_suffix(".native")
    root.mkdir()
    (root / count).touch()
    install()
    ingest(CARD.id, root, path, thin=False, progress=False)
    return {"peak": peak()}


def merging(out: str, *paths: str) -> dict[str, float]:
    """Merge stores."""
    from skelbridge.store import merge

    merge(paths, out)
    return {"peak": peak()}


def opening(path: str) -> dict[str, float]:
    """Open a store and look at nothing."""
    from skelbridge.store import open_store

    open_store(next(Path(path).parent.glob("*.h5")))  # modules and cards are loaded once
    before = private()
    store = open_store(path)
    return {"private": private() - before, "shards": len(store.pieces)}


def reading(path: str, workers: str, steps: str) -> dict[str, float]:
    """Read fully shuffled batches with threads; memory after a tenth of them, and after all."""
    from skelbridge.store import open_store

    batches = open_store(path).batches(128, shuffle="full", steps=int(steps), workers=int(workers))
    early = 0.0
    for number, _ in enumerate(batches):
        if number == int(steps) // 10:
            early = private()
    return {"early": early, "late": private()}


def sharing(path: str, workers: str, steps: str) -> dict[str, float]:
    """As `reading`, the steps divided among forked processes; the mean of their memory."""
    share = int(steps) // int(workers)
    with multiprocessing.get_context("fork").Pool(int(workers)) as pool:
        found = pool.starmap(reading, [(path, "0", str(share))] * int(workers), chunksize=1)
    return {name: sum(each[name] for each in found) / len(found) for name in ("early", "late")}


Task = Callable[..., dict[str, float]]
TASKS: dict[str, Task] = {task.__name__: task for task in (writing, ingesting, merging, opening, reading, sharing)}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))
