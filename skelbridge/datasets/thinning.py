"""Motion-adaptive sampling: frames in which a person hardly moved since a kept one are left out.

The rules are those of the paper's data preparation: a frame is kept when at least one joint moved 100 mm since the last
KEPT frame of its track (`since_last`), or against every one of the last kept ones (`since_any`, which also drops what
comes back). A track is one person seen by one camera in one sequence; rows without a sequence are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets.cards import Thinning
from skelbridge.store.samples import Samples

Floats = NDArray[np.floating]

#: Frames compared with the kept poses at once, right after a kept one; doubled as long as nothing moves, up to so
#: many pairs of a frame and a kept pose.
_AHEAD, _PAIRS = 4, 256


class Thinner:
    """Thins the samples of a part, block after block; frames of a track must come in order of time."""

    def __init__(self, rule: Thinning):
        self.rule = rule
        self._kept: dict[tuple[str, ...], _Kept] = {}

    def keep(self, samples: Samples) -> NDArray[np.bool_]:
        """Which of the samples are kept, (N,)."""
        kept = np.ones(len(samples), bool)
        if self.rule.rule == "none" or not len(samples):
            return kept
        poses, limits = self._poses(samples), self._limits(samples)
        for track, rows in _tracks(samples):
            before = self._kept.setdefault(track, _Kept(self.rule.memory if self.rule.rule == "since_any" else 1))
            kept[rows] = self._walk(poses[rows], limits[rows], before)
        return kept

    def _poses(self, samples: Samples) -> Floats:
        """What is compared, (N, J, 2 or 3): in the world where the camera's place in it is known."""
        if samples.points is None:
            poses = np.asarray(samples.points2d, float)
        else:
            poses = np.where(samples.world_known[:, None, None], samples.world(), samples.points)
        return poses - _mean_joint(poses) if self.rule.centred else poses

    def _limits(self, samples: Samples) -> Floats:
        """How far a joint must have moved, (N,), in the poses' unit."""
        if samples.points is not None:
            return np.full(len(samples), self.rule.mm)
        points = np.asarray(samples.points2d, float)
        sides = np.where(np.isfinite(samples.box).all(axis=1, keepdims=True), samples.box[:, 2:], _extent(points))
        return self.rule.box_share * sides.max(axis=1)

    def _walk(self, poses: Floats, limits: Floats, kept: _Kept) -> NDArray[np.bool_]:
        """Which frames of one track are kept; `kept` holds the earlier ones and takes the new ones."""
        found, at, window = np.zeros(len(poses), bool), 0, _AHEAD
        known = np.any(np.isfinite(poses).all(axis=-1), axis=-1)
        while at < len(poses):
            ahead = slice(at, at + window)
            new = known[ahead] & self._moved(poses[ahead], kept)
            if not new.any():
                at, window = at + window, max(_AHEAD, min(2 * window, _PAIRS // max(len(kept), 1)))
                continue
            at += int(np.argmax(new))
            found[at] = True
            kept.add(poses[at], limits[at])
            at, window = at + 1, _AHEAD
        return found

    def _moved(self, poses: Floats, kept: _Kept) -> NDArray[np.bool_]:
        """Which of the poses (N, J, D) differ enough from every kept one; a joint missing in either has not moved."""
        apart = np.square(poses[:, None] - kept.poses).sum(axis=-1) >= np.square(kept.limits)[:, None]
        if self.rule.newly_seen:
            apart |= np.isfinite(poses[:, None]).all(axis=-1) & ~np.isfinite(kept.poses).all(axis=-1)
        return (apart.sum(axis=-1) >= self.rule.min_joints).all(axis=1)


class _Kept:
    """The last kept poses of a track, (K, J, D), and how far a joint must be from each, (K,)."""

    def __init__(self, memory: int):
        self._memory, self._count = memory, 0
        self._poses, self._limits = np.zeros((0, 1, 1)), np.zeros(0)

    def __len__(self) -> int:
        return min(self._count, self._memory)

    @property
    def poses(self) -> Floats:
        return self._poses[: len(self)]

    @property
    def limits(self) -> Floats:
        return self._limits[: len(self)]

    def add(self, pose: Floats, limit: float) -> None:
        """Remember one more, in place of the oldest where there are enough."""
        if len(self) == len(self._limits) < self._memory:  # room for twice as many
            room = min(max(2 * len(self), 1), self._memory)
            self._poses, old = np.zeros((room, *pose.shape)), self._poses[: len(self)]
            self._limits = np.concatenate([self._limits, np.zeros(room - len(self._limits))])
            if len(old):
                self._poses[: len(old)] = old
        self._poses[self._count % self._memory] = pose
        self._limits[self._count % self._memory] = limit
        self._count += 1


def _tracks(samples: Samples) -> Iterator[tuple[tuple[str, ...], NDArray[np.intp]]]:
    """Every track of the samples with its rows; rows without a sequence belong to none."""
    sequence, view = samples.text["sequence"], samples.text["view"]
    keys = np.stack([sequence.codes, view.codes, samples.person], axis=1)
    named = np.flatnonzero([bool(word) for word in sequence.tolist()])
    if not len(named):
        return
    unique, which = np.unique(keys[named], axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(which.ravel(), minlength=len(unique)))[:-1]
    for (s, v, person), rows in zip(unique, np.split(named[order], ends), strict=True):
        yield (sequence.entries[s], view.entries[v], str(person)), rows


def _mean_joint(poses: Floats) -> Floats:
    """The mean of the known joints, (N, 1, D); NaN where there is none."""
    known = np.isfinite(poses).all(axis=-1, keepdims=True)
    total = np.where(known, poses, 0).sum(axis=-2, keepdims=True)
    with np.errstate(invalid="ignore"):
        return total / known.sum(axis=-2, keepdims=True)


def _extent(points: Floats) -> Floats:
    """Width and height of the known points (N, J, 2), (N, 2)."""
    low, high = np.nan_to_num(points, nan=np.inf).min(axis=1), np.nan_to_num(points, nan=-np.inf).max(axis=1)
    return np.maximum(high - low, 0)
