"""The poses of the autoencoder's benchmark: virtual bodies in poses of some clips, and of other clips to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from skelbridge.body.motions import load_motions, motion_files
from skelbridge.body.sample import sample_bodies
from skelbridge.bridge import STATURE
from skelbridge.bridge.acae import Joints

Floats = NDArray[np.float32]

#: Poses that every contender fits on, and poses that are judged by; one clip in JUDGED_CLIPS is kept for these.
FITTED_ON, JUDGED_BY, JUDGED_CLIPS = 20_000, 2_000, 4


@dataclass(frozen=True)
class Bodies:
    """Landmarks (N, landmarks, 3) mm of bodies of 1.7 m, to fit on and to judge by, and what they are in words."""

    fit: Floats
    judge: Floats
    about: str

    @classmethod
    def sampled(cls, motions: Sequence[Path], fitted_on: int = FITTED_ON, judged_by: int = JUDGED_BY) -> Bodies:
        """Every body of another shape, in poses of clips of which those to judge by are never fitted on."""
        files = motion_files(motions) if motions else []
        others = files[JUDGED_CLIPS - 1 :: JUDGED_CLIPS]
        used = [file for file in files if file not in others]
        about = "all in random poses, since no motion capture was given" if not files else (
            f"three tenths of them in random poses, the others in poses of {len(used)} clips of motion capture; judged "
            f"by {judged_by:,} others, in random poses and in poses of {len(others)} other clips"
        )  # fmt: skip
        return cls(_landmarks(used, fitted_on, 1), _landmarks(others, judged_by, 2), about)


def _landmarks(clips: list[Path], count: int, seed: int) -> Floats:
    batches = sample_bodies(count, seed, load_motions(clips) if clips else [])
    scaled = [batch.landmarks * (STATURE / batch.stature)[:, None, None] for batch in batches]
    return np.concatenate(scaled).astype(np.float32)


def before_camera(landmarks: Floats, joints: Joints, seed: int = 0) -> Floats:
    """The joints (N, J, 3) of bodies in front of a camera, mm: x right, y down, z forward.

    Turned at random about the vertical, and a little in pitch and roll; 2.5 to 8 m away.
    """
    rng, n = np.random.default_rng(seed), len(landmarks)
    angles = rng.uniform(-np.pi, np.pi, n), rng.normal(0, 0.25, n), rng.normal(0, 0.1, n)
    facing = Rotation.from_euler("x", np.pi) * Rotation.from_euler("yxz", np.stack(angles, axis=1))
    place = rng.uniform((-500, -300, 2500), (500, 300, 8000), (n, 3))
    turned = landmarks @ facing.as_matrix().transpose(0, 2, 1).astype(np.float32)
    points = np.matmul(joints.placement.astype(np.float32), turned)
    points += place[:, None].astype(np.float32)
    return points
