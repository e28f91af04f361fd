"""The affine-combining autoencoder: a few latent 3D keypoints between all skeleton formats.

A latent is an affine combination of joints (a row of the encoder), a joint an affine combination of latents (a row of
the decoder): all rows sum to one, so encoding and decoding commute with every affine map of space. Both are sparse and
near-convex, and the mirror image of a pose has the mirrored latents. After Sárándi, Hermans and Leibe, WACV 2023.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae.joints import Joints
from skelbridge.bridge.apply import is_torch
from skelbridge.errors import InputError
from skelbridge.skeletons import Joint, Skeleton

Array = NDArray[np.float64]

#: The uncertainty of the place of a latent, mm: none, it is where its joints put it.
EXACT = 1e-3


class Rows(NamedTuple):
    """One number for each latent (a row of the encoder) and for each joint (a row of the decoder)."""

    encoder: Array
    decoder: Array


@dataclass(frozen=True, eq=False)
class ACAE:
    """Latent keypoints of skeleton formats.

    joints: what the J columns of a pose are.
    encoder: (L, J), decoder: (J, L) float64, every row sums to one.
    latents: the names of the L latents, left ones, then their mirror images in the same order, then central ones.
    latent_mirror: (L,), the position of each latent's mirror image.
    mean_pose: (J, 3) mm, the joints of the average body, for labels and pictures: x to its left, y up, z forward.
    held_out: (J,) mm, the mean distance of each joint from its reconstruction on poses that the fit has not seen, and
        the same of the baselines, by name; NaN where it was never known.
    certificate: how the weights came about, for JSON.
    """

    joints: Joints
    encoder: Array
    decoder: Array
    latents: tuple[str, ...]
    latent_mirror: NDArray[np.intp]
    mean_pose: Array
    held_out: dict[str, Array] = field(default_factory=dict)
    certificate: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        L, J = len(self.latents), len(self.joints)
        shapes = (self.encoder.shape, self.decoder.shape, self.latent_mirror.shape, self.mean_pose.shape)
        if shapes != ((L, J), (J, L), (L,), (J, 3)):
            raise InputError(
                "an autoencoder's arrays", expected=f"encoder ({L}, {J}), decoder ({J}, {L}), mirror ({L},)", got=shapes
            )

    def __repr__(self) -> str:
        return f"ACAE({len(self.joints.formats)} formats, {len(self.joints)} joints, {len(self.latents)} latents)"

    # -- poses -----------------------------------------------------------------------------------------------------

    def encode(self, points: Any) -> Any:
        """The latents (..., L, D) of poses (..., J, D) in all joints, numpy or torch; NaN where a latent draws on NaN.

        Raises InputError for another number of joints.
        """
        return _combine(self.encoder, points, "points")

    def decode(self, latents: Any, format: str | Path | Skeleton | None = None) -> Any:
        """The joints (..., J, D) of latents (..., L, D), or those of one format, numpy or torch."""
        rows = slice(None) if format is None else self.joints.slice_of(format)
        return _combine(self.decoder[rows], latents, "latents")

    def reconstruct(self, points: Any) -> Any:
        """Poses (..., J, D) through the latents and back, numpy or torch."""
        return self.decode(self.encode(points))

    # -- what the weights are like ---------------------------------------------------------------------------------

    @property
    def pairs(self) -> int:
        """How many of the latents are left ones; as many are right ones."""
        return int(np.sum(self.latent_mirror > np.arange(len(self.latent_mirror))))

    @cached_property
    def negative_mass(self) -> Rows:
        """The absolute sum of the negative weights of each row: 0 is convex; the row's L1 norm is 1 + 2 times it."""
        return Rows(*(-np.minimum(W, 0).sum(axis=1) for W in (self.encoder, self.decoder)))

    @cached_property
    def sparsity(self) -> Rows:
        """How many weights of each row are not zero."""
        return Rows(*(np.count_nonzero(W, axis=1).astype(float) for W in (self.encoder, self.decoder)))

    def negative_share(self) -> tuple[float, float]:
        """The negative part of all absolute weights, of the encoder and of the decoder."""
        used = self.encoder, self.decoder
        shares = [float(-np.minimum(W, 0).sum() / np.abs(W).sum()) for W in used]
        return shares[0], shares[1]

    def sources_of(self, latent: str) -> dict[str, float]:
        """The joints that a latent draws on, with their weights, the largest first."""
        row = self.encoder[self.latents.index(latent)]
        order = np.argsort(-np.abs(row), kind="stable")[: np.count_nonzero(row)]
        return {self.joints.names[i]: float(row[i]) for i in order}

    @cached_property
    def mean_latents(self) -> Array:
        """The latents of the average body, (L, 3) mm."""
        return np.asarray(self.encode(self.mean_pose))

    @cached_property
    def skeleton(self) -> Skeleton:
        """The latents as a format: a point each, placed where its combination of joints is.

        Raises InputError if a format of the joints does not say where its joints lie.
        """
        from skelbridge.landmarks import landmarks

        names, rows = landmarks().names, self.encoder @ self.joints.placement
        if not self.joints.one_hand:  # mirror images to the last bit
            rows = (rows + rows[np.ix_(self.latent_mirror, landmarks().mirror)]) / 2
        joints = tuple(
            Joint(name=name, at={names[i]: float(row[i]) for i in np.flatnonzero(row)}, uncertainty=EXACT)
            for name, row in zip(self.latents, rows, strict=True)
        )
        mirror = tuple((self.latents[i], self.latents[j]) for i, j in enumerate(self.latent_mirror) if j > i)
        single = self.latents if self.joints.one_hand else ()
        return Skeleton(
            id=f"latents_{len(joints)}", title="latent keypoints", joints=joints, mirror=mirror, asymmetric=single
        )

    def report(self) -> str:
        """The weights and the held-out error of each format, beside the baselines, for printing."""
        from skelbridge.bridge.acae.report import report

        return report(self)

    # -- more formats, files -----------------------------------------------------------------------------------------

    def attach(self, format: str | Path | Skeleton, poses: Any, points: Any, l1: float | None = None) -> ACAE:
        """A new autoencoder that decodes one more format, by an affine lasso onto the latents: see `attach.attach`."""
        from skelbridge.bridge.acae.attach import attach

        return attach(self, format, poses, points, l1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write into a bridge file (safetensors): what else is in it stays."""
        from skelbridge.bridge.acae.file import save_acae

        save_acae(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ACAE:
        """Read from a bridge file; FileFormatError if it is damaged, or its formats are no longer as they were."""
        from skelbridge.bridge.acae.file import load_acae

        return load_acae(path)


def _combine(weights: Array, points: Any, what: str) -> Any:
    """weights (R, C) times points (..., C, D), in the points' kind and precision; a NaN without weight is ignored."""
    if not is_torch(points):
        points = np.asarray(points)
    if points.ndim < 2 or points.shape[-2] != weights.shape[1]:
        expected = f"shape (..., {weights.shape[1]}, coordinates)"
        raise InputError(what, expected=expected, got=f"shape {tuple(points.shape)}")
    if is_torch(points):
        import torch

        W, unknown = torch.as_tensor(weights, dtype=points.dtype, device=points.device), points.isnan()
        if not unknown.any():
            return W @ points
        reached = (W != 0).to(W) @ unknown.to(W) > 0
        return (W @ points.masked_fill(unknown, 0)).masked_fill(reached, torch.nan)
    points = points if points.dtype.kind == "f" else points.astype(np.float64)
    used, unknown = weights.astype(points.dtype, copy=False), np.isnan(points)
    if not unknown.any():
        return used @ points
    return np.where((used != 0).astype(used.dtype) @ unknown > 0, np.nan, used @ np.where(unknown, 0, points))
