"""The store, measured: python -m benchmarks.store [--write] [--quick] [--folder FOLDER] [part ...]

fields:  the table of a sample's fields, from the model.
layout:  contiguous columns against chunks, plain and compressed, on the same samples.
memory:  peak memory of writing and of ingesting 100,000 and 2,000,000 samples.
union:   32 stores of 13 million samples: merged, opened, read in batches; the memory that takes.
speed:   batches against np.memmap, pickles and the JPEG decoder, measured in turn.
damage:  random damage to stores, and whether `verify` reports it.

All parts by default. --write puts the tables into docs/store.md. --quick takes small sizes, whose figures say little.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import ROOT, printed, write_block
from benchmarks.store_data import write_members, write_store
from benchmarks.store_layout import compared
from benchmarks.store_memory import measured
from benchmarks.store_speed import BATCH, Race, against_decoder, against_memmap, against_pickles
from skelbridge.store import merge, open_store, verify
from skelbridge.store.schema import field_table


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    layout: int = 200_000
    written: tuple[int, int] = (100_000, 2_000_000)
    members: int = 32
    union: int = 13_000_000
    steps: int = 2000
    pictures: int = 4096
    damages: int = 1000


QUICK = Sizes(10_000, (70_000, 140_000), 4, 300_000, 50, 256, 30)


def fields(folder: Path, sizes: Sizes) -> Iterator[str]:
    """The fields of a sample."""
    yield from field_table()


def layouts(folder: Path, sizes: Sizes) -> Iterator[str]:
    """Contiguous columns against chunks."""
    rows = compared(folder, sizes.layout, max(20, sizes.steps // 50))
    base = rows[0]
    yield "| columns | write, s | size, MB | chunks of 256 rows, samples/s | rows at random, samples/s |"
    yield "|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row['name']} | {row['write']:.2f} | {row['bytes'] / 1e6:.1f} ({row['bytes'] / base['bytes']:.2f}) "
            f"| {row['chunks']:,.0f} ({row['chunks'] / base['chunks']:.2f}) "
            f"| {row['rows']:,.0f} ({row['rows'] / base['rows']:.3f}) |"
        )


def memory(folder: Path, sizes: Sizes) -> Iterator[str]:
    """Peak memory of writing, and of whole ingestion."""
    yield "| what | samples | peak memory, MB | against the first | wanted | time, s |"
    yield "|---|---|---|---|---|---|"
    for task, name in (("writing", "writing"), ("ingesting", "ingesting, with checks and cleaning")):
        first = 0.0
        for count in sizes.written:
            start = time.perf_counter()
            peak = measured(task, folder / f"{task}_{count}.h5", count)["peak"]
            first = first or peak
            took = time.perf_counter() - start
            yield f"| {name} | {count:,} | {peak:.0f} | {peak / first:.3f} | at most 1.1 | {took:.1f} |"


def union(folder: Path, sizes: Sizes) -> Iterator[str]:
    """Many stores as one."""
    paths = write_members(folder, [f"dataset_{n:02}" for n in range(sizes.members)], sizes.union)
    out = folder / "union.h5"
    start = time.perf_counter()
    store = merge(paths, out)
    merged = time.perf_counter() - start
    start = time.perf_counter()
    open_store(out)
    opened = time.perf_counter() - start
    one, all_ = (measured("merging", folder / "again.h5", *some)["peak"] for some in (paths[:1], paths))
    held = measured("opening", out)
    yield f"{len(paths)} stores, {len(store):,} samples in {len(store.pieces)} shards, {len(store.union)} joints. The"
    yield "shards of a store are hard links to one file of it, to spare the disk; each is opened and mapped for itself."
    yield ""
    yield "| what | measured | wanted |"
    yield "|---|---|---|"
    yield f"| merging | {merged:.2f} s | under 5 s |"
    yield f"| size of the merged file | {out.stat().st_size / 1e3:.1f} kB | |"
    yield f"| peak memory of merging all, against merging one | {all_:.0f} MB against {one:.0f} MB | |"
    yield f"| opening | {opened:.2f} s | |"
    each = 1000 * held["private"] / held["shards"]
    yield f"| private memory of an opened store | {held['private']:.1f} MB, {each:.0f} kB a shard | |"
    for workers in (0, 2, 4):
        found = measured("reading", out, workers, sizes.steps)
        yield (
            f"| private memory of a process that reads fully shuffled batches, {workers} threads: after a tenth of "
            f"{sizes.steps} steps, after all | {found['early']:.0f} MB, {found['late']:.0f} MB | |"
        )
    for workers in (2, 4):
        found = measured("sharing", out, workers, sizes.steps)
        yield (
            f"| private memory of each of {workers} processes that share this work: after a tenth, after all "
            f"| {found['early']:.0f} MB, {found['late']:.0f} MB | |"
        )


def speed(folder: Path, sizes: Sizes) -> Iterator[str]:
    """Batches against plain ways to read."""
    cores = len(os.sched_getaffinity(0))
    paths = write_members(folder, [f"dataset_{n:02}" for n in range(sizes.members)], sizes.union)
    whole = merge(paths, folder / "union.h5")
    one = open_store(write_store(folder / "one.h5", sizes.layout))
    memmap, pickles = "np.memmap of the same columns, the same rows", "unpickling one object a sample"
    decoder, shuffled = f"the decoder alone, {cores} threads", "all columns, fully shuffled, {:,} samples"
    rows: list[tuple[str, str, Race, str]] = [
        ("annotations, shuffled by chunks", memmap, against_memmap(folder, sizes.layout, sizes.steps), "at least 0.5")
    ]
    for store in (one, whole):
        found = against_pickles(folder, store, sizes.steps)
        rows.append((shuffled.format(len(store)), pickles, found, "at least 10"))
    found = against_decoder(folder, sizes.pictures, cores)
    rows.append(("packed JPEG files, decoded", decoder, found, "at least 0.9"))
    yield f"| batches of {BATCH} | samples/s | baseline | samples/s | ratio | wanted |"
    yield "|---|---|---|---|---|---|"
    for ours, baseline, found, wanted in rows:
        yield f"| {ours} | {found.ours:,.0f} | {baseline} | {found.baseline:,.0f} | {found.ratio:.2f} | {wanted} |"


def damage(folder: Path, sizes: Sizes) -> Iterator[str]:
    """Damage, and whether it is reported."""
    members = [write_store(folder / f"{name}.h5", 3000, dataset=name) for name in ("a", "b")]
    out = folder / "union.h5"
    merge(members, out)
    files = sorted(path for path in folder.rglob("*.h5") if path.is_file())
    chance = random.Random(0)
    found: dict[str, list[bool]] = {}
    for _ in range(sizes.damages):
        how, path = chance.choice(["flipped bit", "cut", "removed"]), chance.choice(files)
        kept = folder / "kept"
        shutil.copyfile(path, kept)
        _harm(path, how, chance)
        found.setdefault(how, []).append(any(path.name in problem.what for problem in verify(out)))
        shutil.move(kept, path)
    assert not verify(out)
    yield "| damage to a file taken at random | times | reported, file and all | wanted |"
    yield "|---|---|---|---|"
    for how, seen in sorted(found.items()):
        yield f"| {how} | {len(seen)} | {sum(seen)} | {len(seen)} |"


def _harm(path: Path, how: str, chance: random.Random) -> None:
    """Damage one file."""
    if how == "removed":
        path.unlink()
        return
    place = chance.randrange(path.stat().st_size)
    with path.open("r+b") as stream:
        if how == "cut":
            stream.truncate(place)
            return
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ 1 << chance.randrange(8)]))


PARTS = {"fields": fields, "layout": layouts, "memory": memory, "union": union, "speed": speed, "damage": damage}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part", help="one or more of the above")
    parser.add_argument("--write", action="store_true", help="write docs/store.md")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--folder", type=Path, help="where to make stores, some GB; a temporary folder else")
    options = parser.parse_args()
    for name in options.parts or PARTS:
        start = time.perf_counter()
        print(f"## {name}\n")
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            lines = printed(PARTS[name](Path(folder), QUICK if options.quick else Sizes()))
        print(f"\n({time.perf_counter() - start:.0f} s for {name})\n")
        if options.write:
            write_block(ROOT / "docs" / "store.md", f"store {name}", lines)


if __name__ == "__main__":
    main()
