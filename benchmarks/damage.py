"""Native files damaged at random: `python -m benchmarks.damage [--rounds N] [--write] [ID ...]`.

One annotation file of each dataset's native-layout copy is flipped in three bits, cut short or removed, and the copy is
ingested. What comes of it is one of: refused with a clear error; reported by the self-checks; the same samples (the
damage hit what is not read); other samples, unnoticed; or a crash or a hang, which must not be.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.report import ROOT, printed, write_block
from skelbridge.datasets import ingest
from skelbridge.datasets.checks import CheckError
from skelbridge.errors import SkelbridgeError
from skelbridge.store import open_store
from skelbridge.synthetic.native import copies, write_copy

#: Containers that hold annotations; pictures and videos are decoded by libraries and damaged in tests of their own.
ANNOTATIONS = (
    ".cdf", ".mat", ".npz", ".npy", ".pkl", ".json", ".csv", ".xml", ".txt", ".c3d", ".calibration", ".cal", ".calib",
    ".ini", ".yml", ".yaml", ".h5", ".tar", ".zip", ".tfrecord",
)  # fmt: skip
KINDS = ("flipped", "cut short", "removed")
OUTCOMES = ("refused", "reported by checks", "the same", "unnoticed", "crash", "hang")
SECONDS = 60


def main() -> None:
    """Damage the copies of the datasets that were asked for, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=copies())
    parser.add_argument("--rounds", type=int, default=9, help="damages a dataset (default 9)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/datasets.md")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for name in tqdm(options.datasets, unit="dataset"):
        with tempfile.TemporaryDirectory() as folder:
            for kind, outcome, file in outcomes(name, Path(folder), options.rounds):
                counts[kind][outcome] += 1
                if outcome in ("crash", "hang"):
                    tqdm.write(f"{name}: {file} {kind}: {outcome}")
    lines = printed(table(counts, len(options.datasets), options.rounds))
    if options.write:
        write_block(ROOT / "docs" / "datasets.md", "damage", lines)


def outcomes(name: str, folder: Path, rounds: int) -> Iterator[tuple[str, str, str]]:
    """The kind of each damage to a dataset's copy, what came of it, and the file."""
    root, rng = folder / name, np.random.default_rng(list(name.encode()))
    write_copy(name, root)
    files = annotation_files(root)
    whole = content(name, root, folder / "whole.h5")
    for number in range(rounds):
        kind, file = KINDS[number % len(KINDS)], files[rng.integers(len(files))]
        before = file.read_bytes()
        damage(file, before, kind, rng)
        try:
            with limited(SECONDS):
                found = content(name, root, folder / f"{number}.h5")
            outcome = "the same" if found == whole else "unnoticed"
        except CheckError:
            outcome = "reported by checks"
        except TimeoutError:
            outcome = "hang"
        except SkelbridgeError as error:
            outcome = "crash" if "an error of the reader itself" in str(error) else "refused"
        except Exception:
            outcome = "crash"
        file.write_bytes(before)
        yield kind, outcome, file.name


def annotation_files(root: Path) -> list[Path]:
    """The files of a copy that are worth damaging."""
    files = [path for path in sorted(root.rglob("*")) if path.suffix in ANNOTATIONS and "models" not in path.parts]
    return [path for path in files if path.stat().st_size]


def content(name: str, root: Path, out: Path) -> str:
    """Ingest a copy; the digests of its shards, which are the same for the same samples."""
    models = root / "models"
    ingest(name, root, out, models=models if models.is_dir() else None, thin=False, clean=False, progress=False)
    return " ".join(sorted(piece.shard.digest for piece in open_store(out).pieces))


def damage(file: Path, before: bytes, kind: str, rng: np.random.Generator) -> None:
    """Flip three bits of a file, cut it short, or remove it."""
    data = bytearray(before)
    if kind == "removed":
        file.unlink()
        return
    if kind == "cut short":
        data = data[: int(rng.integers(len(data)))]
    else:
        for place in rng.integers(len(data), size=3):
            data[place] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """TimeoutError where the block takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def table(counts: dict[str, Counter[str]], datasets: int, rounds: int) -> Iterator[str]:
    """The outcomes as a table."""
    yield f"Native files damaged at random, {rounds} times in each of {datasets} datasets' copies:"
    yield ""
    yield "| a file was | " + " | ".join(OUTCOMES) + " |"
    yield "|---|" + "---:|" * len(OUTCOMES)
    for kind, found in counts.items():
        yield f"| {kind} | " + " | ".join(str(found[outcome]) for outcome in OUTCOMES) + " |"


if __name__ == "__main__":
    main()
