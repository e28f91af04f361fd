"""Pseudo ground truth: what a network predicts for people of which only one format is labelled.

Blocks of predictions are written one after the other, so that memory does not grow and a stopped run goes on; then they
become one npz file, which `skelbridge fit` reads as well.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skelbridge.bridge.acae import Joints
from skelbridge.datasets.thinning import Thinner
from skelbridge.errors import InputError
from skelbridge.estimator.estimator import Estimator
from skelbridge.io.files import replacing
from skelbridge.store import Store
from skelbridge.train.config import Pseudo

#: Rows of a block.
BLOCK = 2048


def chosen_rows(store: Store, settings: Pseudo, datasets: list[str]) -> Store:
    """The samples to predict on: of the chosen sets and splits, without frames that hardly differ.

    datasets: those to choose from where the settings name none. Raises InputError where nothing is left.
    """
    names = [name for name in settings.datasets or datasets if name in store.datasets]
    splits = {split for name in names for split in store.splits[name]} & set(settings.splits)
    if not names or not splits:
        raise InputError(
            "pseudo", expected=f"datasets among {', '.join(store.datasets)} and splits that they have",
            got=f"datasets {settings.datasets}, splits {settings.splits}",
        )  # fmt: skip
    found = store.select(dataset=names, split=sorted(splits))
    thinners = defaultdict[str, Thinner](lambda: Thinner(settings.thinning))  # datasets name sequences alike
    kept = [
        thinners[piece.shard.dataset].keep(piece.samples(slice(start, start + BLOCK)))
        for piece in found.pieces
        for start in range(0, len(piece), BLOCK)
    ]
    rows = np.flatnonzero(np.concatenate(kept))
    if settings.limit and len(rows) > settings.limit:
        rows = rows[np.linspace(0, len(rows) - 1, settings.limit).round().astype(np.int64)]
    return found.only(rows)


def predict_blocks(
    estimator: Estimator, store: Store, folder: Path, *, flip: bool, workers: int, rank: int, world: int, progress: bool
) -> None:
    """Write predictions of this process's blocks that are not there yet, (n, J, 3) float32 mm in camera space."""
    starts = list(range(0, len(store), BLOCK))
    folder.mkdir(parents=True, exist_ok=True)
    own = range(rank, len(starts), world)
    for number in tqdm(own, desc="pseudo", unit="block", disable=None if progress else True):
        path = folder / f"{number:06}.npy"
        if path.exists():
            continue
        rows = store.only(np.arange(starts[number], min(starts[number] + BLOCK, len(store))))
        found = np.concatenate([points for _, points in estimator.predict_store(rows, flip=flip, workers=workers)])
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, found.astype(np.float32))


def join_blocks(folder: Path, joints: Joints, out: Path) -> int:
    """Put all blocks into one npz file, block by block; poses behind the camera or not finite are left out.

    Gives the number of poses, of which every one is known in all joints.
    """
    count = sum(len(block) for block in blocks(folder))
    formats = np.array([str(card) for card in joints.formats])
    with replacing(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with archive.open("points.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, len(joints), 3)}
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks(folder):
                file.write(np.ascontiguousarray(block, "<f4").tobytes())
        with archive.open("formats.npy", "w") as file:
            np.lib.format.write_array(file, formats)
    return count


def blocks(folder: Path) -> Iterator[NDArray[np.float32]]:
    """The blocks of predictions in order, without poses that cannot be used."""
    for path in sorted(folder.glob("*.npy")):
        points = np.load(path, allow_pickle=False)
        yield points[np.isfinite(points).all(axis=(1, 2)) & (points[..., 2] > 1).all(axis=1)]
