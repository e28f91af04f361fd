"""The README's session: copies of four datasets in their own files become one store.

    python -m benchmarks.unify

runs the commands in an empty folder and writes them, and what they print, into `README.md`.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import ROOT, write_block
from skelbridge.cli import main as skelbridge
from skelbridge.demo import DATASETS

#: The name of the README's block, the dataset whose ingestion it shows, and how many indented lines in a row.
BLOCK, FIRST, LONGEST = "unify", "jta", 4
_STORES = " ".join(f"{name}.h5" for name in DATASETS)
#: The commands that are shown; the other datasets are ingested before, in the same way.
SHOWN = (
    f"skelbridge sample {FIRST} --out {FIRST}",
    f"skelbridge ingest {FIRST} --root {FIRST} --pack-images crop --out {FIRST}.h5",
    f"skelbridge merge {_STORES} --plan",
    f"skelbridge merge {_STORES} --out all.h5",
    "skelbridge store verify all.h5",
    "skelbridge store info all.h5 --png store.png",
)


def session(folder: Path) -> list[str]:
    """The commands and their output, run in an empty folder, in which all.h5 is left; long lists are cut."""
    lines = []
    before = Path.cwd()
    os.chdir(folder)
    try:
        for name in DATASETS:
            if name != FIRST:
                _output(f"skelbridge sample {name} --out {name}")
                _output(f"skelbridge ingest {name} --root {name} --pack-images crop --out {name}.h5")
        for command in SHOWN:
            lines += [f"$ {command}", *_cut(_output(command).splitlines())]
    finally:
        os.chdir(before)
    return lines


def _output(command: str) -> str:
    """What a command prints, paths relative to the folder that it runs in; RuntimeError where it fails."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = skelbridge(shlex.split(command)[1:])
    if code:
        raise RuntimeError(f"{command}: exit code {code}")
    return printed.getvalue().replace(f"{Path.cwd()}{os.sep}", "")


def _cut(lines: list[str]) -> Iterator[str]:
    """Lines, of each run of indented ones only the first."""
    for indented, group in itertools.groupby(lines, key=lambda line: line.startswith(" ")):
        run = list(group)
        yield from run[:LONGEST] if indented else run
        if indented and len(run) > LONGEST:
            yield f"  ... ({len(run) - LONGEST} more)"


def main() -> None:
    """Run the session and write the README's block."""
    with tempfile.TemporaryDirectory() as folder:
        lines = session(Path(folder))
    print("\n".join(lines))
    write_block(ROOT / "README.md", BLOCK, ["```", *lines, "```"])


if __name__ == "__main__":
    main()
