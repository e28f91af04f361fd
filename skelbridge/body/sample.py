"""The front door of the virtual body: landmarks of many people in many poses, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from skelbridge.body.model import VirtualBody
from skelbridge.body.motions import PoseClip
from skelbridge.body.random_poses import random_poses, with_random_hands
from skelbridge.body.rotations import Floats
from skelbridge.body.shapes import sample_shapes
from skelbridge.errors import InputError


@dataclass(frozen=True)
class BodyBatch:
    """Some bodies: landmarks (B, landmarks, 3) in mm (x left, y up, z forward of the pose's own world; the
    pelvis bone at the origin), stature (B,) in mm, and the clip each pose is from ("" for a random
    pose)."""

    landmarks: Floats
    stature: Floats
    clips: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.stature)


def sample_bodies(
    count: int,
    seed: int,
    motions: Sequence[PoseClip] = (),
    random_share: float = 0.3,
    batch: int = 256,
    body: VirtualBody | None = None,
) -> Iterator[BodyBatch]:
    """Yield `count` bodies, each of a random shape, `batch` at a time; memory does not grow with `count`.

    A share of `random_share` (all, without `motions`) holds random poses; the others hold a random key pose
    of a random clip. A clip is chosen with the square root of its number of key poses as weight (see `clip_shares`):
    long clips do not rule, and those of one pose do not repeat it for ever. The same arguments give the same bodies.
    """
    if count < 1 or batch < 1 or not 0 <= random_share <= 1:
        raise InputError(
            "sample_bodies",
            expected="count and batch of at least 1, random_share from 0 to 1",
            got=f"count {count}, batch {batch}, random_share {random_share}",
        )
    return _batches(count, seed, motions, random_share, batch, VirtualBody() if body is None else body)


def clip_shares(motions: Sequence[PoseClip]) -> Floats:
    """How often each clip is chosen for a recorded pose, (clips,), summing to one; none where it has no key poses."""
    weight = np.sqrt([len(clip.poses) for clip in motions])
    return weight / weight.sum()


def _batches(
    count: int, seed: int, motions: Sequence[PoseClip], random_share: float, batch: int, body: VirtualBody
) -> Iterator[BodyBatch]:
    for number, start in enumerate(range(0, count, batch)):
        rng = np.random.default_rng([seed, number])
        size = min(batch, count - start)
        poses, clips = _poses(body, size, motions, random_share if motions else 1.0, rng)
        landmarks, stature = body.measured(poses, sample_shapes(body, size, rng))
        yield BodyBatch(landmarks, stature, clips)


def _poses(
    body: VirtualBody, count: int, motions: Sequence[PoseClip], random_share: float, rng: np.random.Generator
) -> tuple[Floats, tuple[str, ...]]:
    """Random and recorded poses, mixed, and the names of their clips."""
    recorded = rng.random(count) >= random_share
    poses = random_poses(body, count, rng)
    if not recorded.any():
        return poses, ("",) * count
    chosen = [motions[index] for index in rng.choice(len(motions), size=count, p=clip_shares(motions))]
    taken = np.stack([clip.poses[rng.integers(len(clip.poses))] for clip in chosen]).astype(np.float64)
    without_fingers = np.array([not clip.has_fingers for clip in chosen])
    if without_fingers.any():
        taken[without_fingers] = with_random_hands(body, taken[without_fingers], rng)
    poses[recorded] = taken[recorded]
    return poses, tuple(clip.name if real else "" for clip, real in zip(chosen, recorded, strict=True))
