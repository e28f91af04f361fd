"""Holds a reader against the native-layout copy of its dataset: `python -m tests.native ID ...` prints what disagrees.

Reader and copy are written apart from each other; a sample belongs to the truth of the same picture that is nearest.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from skelbridge.datasets import reader_class
from skelbridge.io.tree import Tree
from skelbridge.synthetic.native import copies, write_copy


def read_all(name, root, skeleton_id):
    """Every block that the reader of a dataset gives, with its part; and the reader."""
    models = root / "models"
    reader = reader_class(name)(Tree(root), skeleton_id=skeleton_id, models=models if models.is_dir() else None)
    return [(part, block) for part in reader.parts() for block in reader.read(part)], reader


def disagreements(name, root, truths):
    """What the reader of a dataset says otherwise than the truths of its copy, a line each."""
    found, reader = read_all(name, root, truths[0].skeleton)
    expected, got = defaultdict(list), defaultdict(list)
    for truth in truths:
        expected[truth.split, truth.image, truth.video_frame].append(truth)
    problems = []
    for part, block in found:
        projected = None if block.points is None else block.projected()
        world = None if block.points is None else block.world()
        for row in range(len(block)):
            key = (block.text["split"][row] or part.split, block.text["image"][row], int(block.video_frame[row]))
            image = None if projected is None else projected[row]
            got[key].append((block, row, image, None if world is None else world[row]))
        if set(np.unique(block.visibility)) - {0, 1, 2, 3}:
            problems.append(f"{part.key}: visibility {np.unique(block.visibility)}")
    for key in sorted(set(expected) | set(got)):
        if len(expected[key]) != len(got[key]):
            problems.append(f"{key}: {len(expected[key])} people expected, {len(got[key])} read")
    for key in [key for key in expected if expected[key] and got[key]]:
        problems += _compare(key, expected[key], got[key])
    return problems, reader


def _compare(key, truths, rows):
    """Problems of one picture: people matched by distance, then compared."""
    cost = np.array([[_distance(truth, block, row) for block, row, *_ in rows] for truth in truths])
    problems = []
    for a, b in zip(*linear_sum_assignment(cost), strict=True):
        truth, (block, row, image, world) = truths[a], rows[b]
        flat = truth.points2d if truth.projected is None and truth.points is not None else truth.projected
        for what, wanted, found, tolerance in (
            ("points (mm)", truth.points, None if block.points is None else block.points[row], truth.tolerance),
            ("world (mm)", truth.world, world, 2 * truth.tolerance),
            ("points2d (px)", truth.points2d, None if block.points2d is None else block.points2d[row], 0.02),
            ("projection (px)", flat, image, truth.pixels),
        ):
            if wanted is None or (what.startswith("projection") and found is None):
                continue
            if found is None:
                problems.append(f"{key}: no {what}")
                continue
            there = ~np.isnan(wanted).any(-1)
            if what.startswith("projection"):
                there &= ~np.isnan(truth.points).any(-1)
            elif (there != ~np.isnan(found).any(-1)).any():
                wrong = [block.skeleton.names[j] for j in np.flatnonzero(there != ~np.isnan(found).any(-1))]
                problems.append(f"{key}: {what} missing or too many: {wrong[:6]}")
            off = np.linalg.norm(np.asarray(found)[there] - wanted[there], axis=-1)
            if not (off <= tolerance).all():
                joint = (
                    block.skeleton.names[np.flatnonzero(there)[np.nanargmax(off)]] if np.isfinite(off).any() else "all"
                )
                problems.append(
                    f"{key}: {what} off by up to {np.nanmax(off, initial=0):.4g} (> {tolerance}) at {joint}"
                )
        if truth.box is not None and not np.allclose(block.box[row], truth.box, atol=0.6):
            problems.append(f"{key}: box {block.box[row]}, expected {truth.box}")
    return problems


def _distance(truth, block, row):
    wanted = truth.points if truth.points is not None else truth.points2d
    found = block.points if truth.points is not None else block.points2d
    if found is None:
        return 1e9
    off = np.linalg.norm(found[row] - wanted, axis=-1)
    return float(np.nanmean(off)) if np.isfinite(off).any() else 1e9


def main(names):
    for name in names or copies():
        with tempfile.TemporaryDirectory() as folder:
            root, start = Path(folder) / name, time.perf_counter()
            truths = write_copy(name, root)
            size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
            between = time.perf_counter()
            problems, reader = disagreements(name, root, truths)
            took = f"written in {between - start:.1f} s, read in {time.perf_counter() - between:.1f} s"
            print(f"{name}: {len(truths)} truths, {size / 1e6:.1f} MB, {took}, {len(problems)} disagreements")
            for problem in problems[:12]:
                print("   ", problem)
            if not problems:
                print("    notes:", dict(reader.notes.dropped), dict(reader.notes.repaired), list(reader.notes.remarks))


if __name__ == "__main__":
    main(sys.argv[1:])
