"""All joints of the registry and a long stream of poses, in a process of its own, whose memory is measured.

python -m benchmarks.acae_scale LANDMARKS.npy POSES: prints JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.acae_poses import Floats
from skelbridge.bridge.acae import Joints, fit_acae

#: Poses that are streamed, how many of them come at a time, and bodies that they are mixed from.
STREAMED, BLOCK, BODIES = 1_000_000, 128, 3_000


def stream(landmarks: Floats, joints: Joints, count: int, seed: int = 0) -> Iterator[Floats]:
    """`count` poses (n, J, 3) in blocks: pairs of bodies mixed, turned and stretched at random."""
    rng, placement = np.random.default_rng(seed), csr_matrix(joints.placement.astype(np.float32))
    for start in range(0, count, BLOCK):
        n = min(BLOCK, count - start)
        pair, share = rng.integers(len(landmarks), size=(2, n)), rng.random((n, 1, 1), np.float32)
        mixed = share * landmarks[pair[0]] + (1 - share) * landmarks[pair[1]]
        stretched = mixed @ _matrices(n, rng)
        points = placement @ stretched.transpose(1, 0, 2).reshape(len(landmarks[0]), -1)
        yield np.ascontiguousarray(points.reshape(len(joints), n, 3).transpose(1, 0, 2))


def _matrices(count: int, rng: np.random.Generator) -> Floats:
    """Turns, and stretches by a tenth or so in random directions, (count, 3, 3)."""
    turns, _ = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    stretches: NDArray[np.float64] = np.exp(0.1 * rng.normal(size=(count, 3, 1)))
    return (turns @ (stretches * np.linalg.qr(rng.normal(size=(count, 3, 3)))[0])).astype(np.float32)


def measured(landmarks: Floats, count: int = STREAMED) -> dict[str, Any]:
    """Run the fit in a child process: its joints, places, seconds and peak of memory, GiB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "landmarks.npy"
        np.save(path, landmarks[:BODIES])
        command = [sys.executable, "-m", "benchmarks.acae_scale", str(path), str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parents[1])
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    landmarks, count, joints = np.load(sys.argv[1], allow_pickle=False), int(sys.argv[2]), Joints.registry()
    start = time.perf_counter()
    for _ in stream(landmarks, joints, count // 100):
        pass
    made = (time.perf_counter() - start) * 100
    start = time.perf_counter()
    acae = fit_acae(stream(landmarks, joints, count), joints)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in KiB on Linux
    about = acae.certificate
    print(json.dumps({"joints": len(joints), "places": about["places"], "seen": about["poses"],
                      "fitted_on": about["fitted_on"], "seconds": seconds, "made": made, "peak": peak,
                      "error": float(np.nanmean(acae.held_out["error"]))}))  # fmt: skip


if __name__ == "__main__":
    main()
