"""The autoencoder as a part of a network: fixed weights that move with it and that gradients pass through."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from skelbridge.bridge.acae import ACAE
from skelbridge.errors import InputError


class Autoencoder(nn.Module):
    """Joints to latents and back, on tensors; see `skelbridge.bridge.acae.ACAE` for what the weights are.

    encoder: (L, J), decoder: (J, L) float32, every row sums to one; they are not trained.
    """

    encoder: Tensor
    decoder: Tensor

    def __init__(self, encoder: ArrayLike, decoder: ArrayLike):
        super().__init__()
        rows = [torch.from_numpy(np.array(weights, dtype=np.float32)) for weights in (encoder, decoder)]
        if rows[0].ndim != 2 or rows[0].shape != rows[1].T.shape:
            shapes = tuple(rows[0].shape), tuple(rows[1].shape)
            raise InputError("an autoencoder's weights", expected="encoder (L, J), decoder (J, L)", got=shapes)
        self.register_buffer("encoder", rows[0])
        self.register_buffer("decoder", rows[1])

    @classmethod
    def of(cls, acae: ACAE) -> Autoencoder:
        """That of a fit."""
        return cls(acae.encoder, acae.decoder)

    def encode(self, points: Tensor) -> Tensor:
        """The latents (..., L, D) of poses (..., J, D)."""
        return _combine(self.encoder, points)

    def decode(self, latents: Tensor) -> Tensor:
        """The poses (..., J, D) of latents (..., L, D)."""
        return _combine(self.decoder, latents)

    def reconstruct(self, points: Tensor) -> Tensor:
        """Poses (..., J, D) through the latents and back."""
        return self.decode(self.encode(points))


def _combine(weights: Tensor, points: Tensor) -> Tensor:
    """weights (R, C) times points (..., C, D), in float32 or better whatever autocast says.

    Rows sum to one, so the points' mean may be taken off before and put back after. A person stands metres away, and a
    GPU may multiply with 11 bits (TF32): then it is the body's size that is rounded, not its distance.
    """
    with torch.autocast(points.device.type, enabled=False):
        kind = torch.promote_types(points.dtype, torch.float32)
        points = points.to(kind)
        mean = points.detach().mean(dim=-2, keepdim=True)
        return weights.to(kind) @ (points - mean) + mean
