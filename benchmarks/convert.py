"""Speed of converting: python -m benchmarks.convert [--frames N]

Ratios to baselines measured in the same run: the GEMM that a conversion is, a copy of the data, the import of numpy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from skelbridge.bridge.apply import kernel
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


def line(name: str, seconds: float, baseline: float, of: str, wanted: str) -> None:
    print(f"{name:<52} {seconds * 1e3:9.1f} ms   {baseline / seconds:5.2f} x {of:<22} {wanted}")


def throughput(frames: int) -> None:
    """The kernel and the whole call against the bare GEMM and a memory copy."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(frames, 17, 3)).astype(np.float32)
    converter = Converter(SOURCE, TARGET)
    W = np.ascontiguousarray(kernel(converter.solution.weights, 3), dtype=np.float32)
    flat, out = x.reshape(frames, -1), np.empty((frames, 25, 3), np.float32)
    gemm = fastest(lambda: np.matmul(flat, W, out=out.reshape(frames, -1)))
    copy = fastest(lambda: (flat.copy(), out.copy()))
    from skelbridge.bridge.apply import product

    line("GEMM of (N, 51) with kron(W, I3)", gemm, gemm, "of the GEMM", "")
    line("copy of the input and the output", copy, gemm, "of the GEMM", "")
    line("kernel", fastest(lambda: product(x, W, out)), gemm, "of the GEMM", "wanted 0.9 or more")
    whole = fastest(lambda: converter.points(x, out=out))
    line("whole call with its NaN scan, out= given", whole, gemm, "of the GEMM", "wanted 0.6 or more")
    line("  the same", whole, copy, "of the copy", "")
    line("whole call, new array", fastest(lambda: converter.points(x)), gemm, "of the GEMM", "")


def missing(frames: int, patterns: int = 50) -> None:
    """Frames with many patterns of missing joints against complete ones."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(frames, 17, 3)).astype(np.float32)
    converter = Converter(SOURCE, TARGET)
    clean = fastest(lambda: converter.points(x))
    fresh = fastest(lambda: Converter(SOURCE, TARGET).points(x))
    holes = rng.random((patterns, 17)) < 0.15
    y = np.where(holes[rng.integers(0, patterns, frames)][..., None], np.float32(np.nan), x)
    line(f"{frames:,} complete frames", clean, clean, "of itself", "")
    line(f"{patterns} patterns of missing joints, solved before", fastest(lambda: converter.points(y)), clean,
         "of the complete ones", "wanted 0.33 or more")  # fmt: skip
    line(f"{patterns} patterns, solving included", fastest(lambda: Converter(SOURCE, TARGET).points(y)), fresh,
         "of a new converter's", "wanted 0.33 or more")  # fmt: skip


def cold() -> None:
    """A new converter, and the first one of a process."""
    body = [card.id for card in formats() if not card.one_hand and len(card) <= 35]
    pairs = [(a, b) for a in body[::5] for b in body[::7] if a != b]
    times = []
    for a, b in pairs:
        start = time.perf_counter()
        _ = Converter(a, b).solution
        times.append(time.perf_counter() - start)
    print(f"new Converter(a, b), {len(pairs)} pairs of body formats: median {np.median(times) * 1e3:.0f} ms, "
          f"worst {max(times) * 1e3:.0f} ms   wanted under 100 ms")  # fmt: skip
    code = (
        "import time; import skelbridge.convert as c; t = time.perf_counter(); "
        f"c.Converter('{SOURCE}', '{TARGET}').solution; print(time.perf_counter() - t)"
    )
    first = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(5)
    )
    print(f"first Converter of a process, after the import: {first * 1e3:.0f} ms   wanted under 100 ms")


def imports() -> None:
    """`import skelbridge.convert` against `import numpy`, whole processes."""

    def process(code: str) -> float:
        return fastest(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    empty = process("")
    numpy, ours = process("import numpy") - empty, process("import skelbridge.convert") - empty
    print(f"import skelbridge.convert {ours * 1e3:.0f} ms = {ours / numpy:.2f} x import numpy   wanted at most 3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    frames = parser.parse_args().frames
    print(f"{SOURCE} -> {TARGET}, {frames:,} poses, float32; the fastest of 7 runs")
    throughput(frames)
    missing(max(frames // 10, 1))
    cold()
    imports()


if __name__ == "__main__":
    main()
