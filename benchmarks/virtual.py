"""Virtual datasets, measured: python -m benchmarks.virtual [--write] [--count N]

For each dataset of the registry how long a packed picture with its labels takes one processor, at the dataset's own
size and at twice that, and how much room it takes. --write puts the table into docs/virtual.md, and a contact sheet of
other recordings than training's into docs/images/virtual.png.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.report import ROOT, printed, write_block
from skelbridge.plot.virtual import plot_virtual, save_sheet
from skelbridge.synthetic.virtual import VirtualDataset, virtual_datasets, write_virtual_union
from skelbridge.synthetic.virtual.pictures import Shot, samples, shots
from skelbridge.synthetic.virtual.scenes import Recording, the_body

#: Seed of the recordings that are measured; training's are other ones.
SEED = 20_000


def table(count: int) -> Iterator[str]:
    """A line a dataset."""
    the_body()
    yield f"Processor seconds a picture, over {count} pictures each, one process:"
    yield ""
    yield "| dataset | format | packed side | seconds | at twice the side | kB a picture | people a picture |"
    yield "|---|---|---|---|---|---|---|"
    for spec in virtual_datasets().values():
        twice = spec.model_copy(update={"packed": 2 * spec.packed})
        _measured(spec, 4)  # what is prepared once
        (seconds, size), (longer, _) = _measured(spec, count), _measured(twice, count)
        low, high = spec.look.people
        people = f"{low}" if low == high else f"{low} to {high}"
        yield (
            f"| `{spec.name}` | {spec.skeleton} | {spec.packed} | {seconds:.2f} | {longer:.2f} | {size / 1000:.1f} | "
            f"{people} |"
        )


def _measured(spec: VirtualDataset, count: int) -> tuple[float, float]:
    """Processor seconds and bytes of a picture with its labels."""
    begun, found = time.process_time(), 0
    sizes: list[int] = []
    while len(sizes) < count:
        recording = Recording(spec, SEED, "train", found)
        some: list[Shot] = list(islice(shots(recording, SEED), min(12, count - len(sizes))))
        made = samples(spec, recording, some, SEED, noise=True, flat=spec.labels == "2d")
        sizes += [len(picture) for picture in made.pictures if picture]
        found += 1
    return (time.process_time() - begun) / count, float(np.mean(sizes))


def main() -> None:
    """Measure, print and perhaps write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.virtual")
    parser.add_argument("--write", action="store_true", help="put the table and the sheet into docs")
    parser.add_argument("--count", type=int, default=48, help="pictures of each dataset")
    options = parser.parse_args()
    lines = printed(table(options.count))
    if not options.write:
        return
    write_block(ROOT / "docs/virtual.md", "virtual", lines)
    with tempfile.TemporaryDirectory() as folder:
        union = write_virtual_union(list(virtual_datasets()), Path(folder), train=54, test=0, seed=SEED)
        save_sheet(plot_virtual(union, rows=2, columns=9), ROOT / "docs/images/virtual.png", dpi=82)


if __name__ == "__main__":
    main()
