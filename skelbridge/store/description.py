"""What is in a store, in numbers, read block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skelbridge.store.reader import Piece, Store, one_by_one

#: Limits of the bins that the longer sides of boxes are counted in, pixels.
BOX_SIDES: tuple[float, ...] = (0, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, np.inf)
#: Samples of a dataset, evenly over its rows, from which its diversity is estimated, at most, about.
DIVERSITY_SAMPLES = 50_000

_BLOCK = 8192


@dataclass
class Contents:
    """What a store has of one dataset.

    samples: of each split. skeleton, joints: its format, and for each joint the share of samples that give it.
    boxes: samples by the longer side of their box, in the bins of `BOX_SIDES`; no_box: those without one.
    spread: root mean square distance of joints from their place in the mean pose, mm, poses centred on their mean
    point; dimensions: in how many directions of pose space poses spread evenly, (Σ λ)² / Σ λ² of the eigenvalues λ of
    the covariance of centred poses; NaN for 2D labels. subjects, sequences: how many. images, videos: samples that name
    a picture, a video's frame. pictures: samples with a packed one. bytes: of all its files; packed: of pictures.
    """

    skeleton: str
    joints: dict[str, float] = field(default_factory=dict)
    samples: Counter[str] = field(default_factory=Counter)
    boxes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(BOX_SIDES) - 1, np.int64))
    no_box: int = 0
    spread: float = np.nan
    dimensions: float = np.nan
    subjects: int = 0
    sequences: int = 0
    images: int = 0
    videos: int = 0
    pictures: int = 0
    bytes: int = 0
    packed: int = 0

    @property
    def total(self) -> int:
        """Samples of all splits."""
        return self.samples.total()


def describe(store: Store) -> dict[str, Contents]:
    """What a store has, by dataset (and skeleton, as dataset/skeleton, where one dataset has several).

    Reads all rows block by block; memory does not grow with their number.
    """
    found: dict[str, Contents] = {}
    for name in store.datasets:
        pieces = [piece for piece in store.pieces if piece.shard.dataset == name]
        cards = list(dict.fromkeys(str(piece.card) for piece in pieces))
        for card in cards:
            key = name if len(cards) == 1 else f"{name}/{card}"
            found[key] = _contents(card, [piece for piece in pieces if str(piece.card) == card])
    return found


def _contents(card: str, pieces: list[Piece]) -> Contents:
    made, moments = Contents(card), _Moments(len(pieces[0].card))
    present = np.zeros(len(pieces[0].card))
    words: dict[str, set[str]] = {"subject": set(), "sequence": set()}
    stride = max(1, sum(map(len, pieces)) // DIVERSITY_SAMPLES)
    for piece in one_by_one(pieces):
        made.samples[piece.shard.split] += len(piece)
        made.bytes += piece.shard.bytes
        made.packed += piece.shard.pictures
        for rows in _blocks(piece):
            shard = piece.mapped
            for name, known in words.items():
                known.update(shard.words(name, rows).entries)
            present += (shard.column("visibility")[rows] > 0).sum(axis=0)
            side = shard.column("box")[rows][:, 2:].max(axis=1)
            made.no_box += int(np.isnan(side).sum())
            made.boxes += np.histogram(side[~np.isnan(side)], BOX_SIDES)[0]
            _count_pictures(made, piece, rows)
            if shard.has("points"):
                moments.add(shard.column("points")[rows[::stride]])
    made.joints = dict(zip(pieces[0].card.names, (present / max(made.total, 1)).tolist(), strict=True))
    made.subjects, made.sequences = (len(known - {""}) for known in words.values())
    made.spread, made.dimensions = moments.spread()
    return made


def _blocks(piece: Piece) -> Iterator[NDArray[np.int64]]:
    rows = piece.rows()
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]


def _count_pictures(made: Contents, piece: Piece, rows: NDArray[np.int64]) -> None:
    shard = piece.mapped
    images = shard.words("image", rows)
    named = np.array([bool(word) for word in images.entries])[images.codes]
    video = shard.column("video_frame")[rows] >= 0
    made.images += int((named & ~video).sum())
    made.videos += int((named & video).sum())
    if shard.has("pictures"):
        starts = shard.column("pictures/starts")
        made.pictures += int((starts[rows + 1] > starts[rows]).sum())


class _Moments:
    """Sums over centred poses, from which their covariance follows; missing joints are left out of each sum."""

    def __init__(self, joints: int):
        self._given = np.zeros((3 * joints, 3 * joints))
        self._first = np.zeros((3 * joints, 3 * joints))
        self._second = np.zeros((3 * joints, 3 * joints))

    def add(self, points: NDArray[np.float32]) -> None:
        missing = np.isnan(points[..., 0]).all(axis=1)
        points = points[~missing].astype(float)
        centred = (points - np.nanmean(points, axis=1, keepdims=True)).reshape(len(points), -1)
        given = np.isfinite(centred).astype(float)
        values = np.nan_to_num(centred)
        self._given += given.T @ given
        self._first += values.T @ given  # the sum of row's coordinate where column's is given too
        self._second += values.T @ values

    def spread(self) -> tuple[float, float]:
        """Root mean square distance from the mean pose, and the effective number of dimensions."""
        if not self._given.any():
            return float("nan"), float("nan")
        count = np.maximum(self._given, 1)
        covariance = self._second / count - (self._first / count) * (self._first / count).T
        total = float(np.trace(covariance))
        joints = int((np.diag(self._given) > 0).sum()) / 3
        return float(np.sqrt(total / joints)), total**2 / max(float(np.sum(covariance**2)), 1e-12)
