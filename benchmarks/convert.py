"""Speed of converting: python -m benchmarks.convert [--frames N] [--write]

Ratios to baselines measured in the same run: the GEMM that a conversion is, a copy of the data, the import of numpy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.report import ROOT, printed, write_block
from skelbridge.bridge.apply import kernel, product
from skelbridge.convert import Converter
from skelbridge.skeletons import formats

SOURCE, TARGET = "coco_17", "body_25"


def fastest(run: Callable[[], object], repeats: int = 7) -> float:
    """Seconds of the fastest of several runs, after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def row(name: str, seconds: float, baseline: float, of: str, wanted: str = "") -> str:
    return f"| {name} | {seconds * 1e3:.1f} ms | {baseline / seconds:.2f} of {of} | {wanted} |"


def throughput(frames: int) -> Iterator[str]:
    """The kernel and the whole call against the bare GEMM and a memory copy."""
    x = np.random.default_rng(0).normal(size=(frames, 17, 3)).astype(np.float32)
    converter = Converter(SOURCE, TARGET)
    W = kernel(converter.solution.weights, 3, np.float32)
    flat, out = x.reshape(frames, -1), np.empty((frames, 25, 3), np.float32)
    gemm = fastest(lambda: np.matmul(flat, W, out=out.reshape(frames, -1)))
    copy = fastest(lambda: (flat.copy(), out.copy()))
    whole = fastest(lambda: converter.points(x, out=out))
    yield row("GEMM of (N, 51) with kron(W, I3)", gemm, gemm, "the GEMM")
    yield row("copy of the input and the output", copy, gemm, "the GEMM")
    yield row("kernel", fastest(lambda: product(x, W, out)), gemm, "the GEMM", "0.9 or more")
    yield row("whole call with its NaN scan, `out=` given", whole, gemm, "the GEMM", "0.6 or more")
    yield row("the same", whole, copy, "the copy")
    yield row("whole call, new array", fastest(lambda: converter.points(x)), gemm, "the GEMM")


def missing(frames: int, patterns: int = 50) -> Iterator[str]:
    """Frames with many patterns of missing joints against complete ones."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(frames, 17, 3)).astype(np.float32)
    converter = Converter(SOURCE, TARGET)
    clean = fastest(lambda: converter.points(x))
    fresh = fastest(lambda: Converter(SOURCE, TARGET).points(x))
    holes = rng.random((patterns, 17)) < 0.15
    y = np.where(holes[rng.integers(0, patterns, frames)][..., None], np.float32(np.nan), x)
    known = fastest(lambda: converter.points(y))
    solving = fastest(lambda: Converter(SOURCE, TARGET).points(y))
    yield row(f"{frames:,} complete frames", clean, clean, "itself")
    yield row(f"{patterns} patterns of missing joints, solved before", known, clean, "complete frames", "0.33 or more")
    yield row(f"{frames:,} complete frames, new converter", fresh, fresh, "itself")
    yield row(f"{patterns} patterns, new converter, solving included", solving, fresh, "complete frames, new converter")


def cold() -> Iterator[str]:
    """A new converter, and the first one of a process."""
    body = [card.id for card in formats() if not card.one_hand and len(card) <= 35]
    times = []
    for a, b in [(a, b) for a in body[::5] for b in body[::7] if a != b]:
        start = time.perf_counter()
        _ = Converter(a, b).solution
        times.append(time.perf_counter() - start)
    middle = np.median(times) * 1e3
    yield f"| new converter, median of {len(times)} pairs of body formats | {middle:.0f} ms | | under 100 ms |"
    yield f"| the slowest of them | {max(times) * 1e3:.0f} ms | | under 100 ms |"
    code = (
        "import time; import skelbridge.convert as c; t = time.perf_counter(); "
        f"c.Converter('{SOURCE}', '{TARGET}').solution; print(time.perf_counter() - t)"
    )
    first = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(5)
    )
    yield f"| first converter of a process, after the import | {first * 1e3:.0f} ms | | under 100 ms |"


def imports() -> Iterator[str]:
    """`import skelbridge.convert` against `import numpy`, whole processes less an empty one."""

    def process(code: str) -> float:
        return fastest(lambda: subprocess.run([sys.executable, "-c", code], check=True), repeats=15)

    empty = process("pass")
    numpy, ours = process("import numpy") - empty, process("import skelbridge.convert") - empty
    yield f"| import skelbridge.convert | {ours * 1e3:.0f} ms | {ours / numpy:.2f} times import numpy | at most 3 |"


def report(frames: int) -> Iterator[str]:
    yield f"{SOURCE} to {TARGET}, {frames:,} poses, float32; times are the fastest of several runs.\n"
    yield "| what | time | speed as a share | wanted |"
    yield "|---|---|---|---|"
    yield from throughput(frames)
    yield from missing(max(frames // 10, 1))
    yield from cold()
    yield from imports()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help="write docs/speed.md")
    options = parser.parse_args()
    lines = printed(report(options.frames))
    if options.write:
        write_block(ROOT / "docs" / "speed.md", "speed", lines)


if __name__ == "__main__":
    main()
