"""What a fit minimises: the mean reconstruction error in metres, and the price of the weights' absolute values.

With error e of one coordinate of one joint (projected at the body's mean depth, or in 3D), joint weights a_j that sum
to one, and J joints that count (the sum of their importances),

    Σ_j a_j mean ρ(e_j)  +  l1_enc mean|W_enc|  +  l1_dec mean|W_dec|,

the first mean over poses and coordinates, the means of weights over all their entries, a decoder row counted by its
a_j. With equal weights and ρ = |·| this is the objective of Sárándi et al. 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError, need

if TYPE_CHECKING:
    import torch
else:
    torch = need("torch", "fit")

Loss = Literal["l1", "huber", "l2"]

#: Joints nearer than this to each other, rms, mm, share the importance of one.
NEIGHBOURHOOD = 30.0


@dataclass(frozen=True)
class Objective:
    """Poses and prices, on one device.

    points (N, 3, K) float32, m, complete: coordinates first, so that applying weights is one plain product; known
    (N, K), or None where everything is; weight (K,), sums to one; count, how many joints that stands for; mirror (K,)
    and latent_mirror (L,); l1, prices of the encoder's and the decoder's weights; loss with its delta, m: quadratic
    below it (huber), everywhere (l2), as large as the absolute value at it.
    """

    points: torch.Tensor
    known: torch.Tensor | None
    weight: torch.Tensor
    count: float
    mirror: torch.Tensor
    latent_mirror: torch.Tensor
    l1: tuple[float, float]
    loss: Loss
    delta: float
    projection: bool

    @property
    def latents(self) -> int:
        """L."""
        return len(self.latent_mirror)

    def tied(self, encoder: torch.Tensor, decoder: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest weights for which the mirror image of a pose has the mirrored latents, to the last bit."""
        return (
            (encoder + encoder[self.latent_mirror][:, self.mirror]) / 2,
            (decoder + decoder[self.mirror][:, self.latent_mirror]) / 2,
        )

    def data(
        self, encoder: torch.Tensor, decoder: torch.Tensor, chosen: torch.Tensor | slice = slice(None)
    ) -> torch.Tensor:
        """The data term of some poses, m."""
        points = self.points[chosen]
        made = points @ encoder.T @ decoder.T
        error = self.error(points, made)
        if self.known is None:
            return error.mean(dim=0) @ self.weight
        known = self.known[chosen]
        return (error * known * self.weight).sum() / (known * self.weight).sum()

    def error(self, points: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """ρ of the error, the mean over coordinates, (n, K), m."""
        size = (flat(points, points) - flat(made, points) if self.projection else points - made).abs()
        if self.loss == "l1":
            return size.mean(dim=1)
        square = size**2 / (2 * self.delta)
        if self.loss == "huber":
            square = square.where(size < self.delta, size - self.delta / 2)
        return square.mean(dim=1)

    def penalty(self, encoder: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
        """The price of the weights, m."""
        enc, dec = self.prices
        return enc * encoder.abs().sum() + dec * (decoder.abs().sum(dim=1) @ self.weight)

    @property
    def prices(self) -> tuple[float, float]:
        """Price of each unit of absolute weight, m: of the encoder, and of a decoder row that weighs one."""
        return self.l1[0] / (self.latents * self.count), self.l1[1] / self.latents

    def stiffness(self, rms: torch.Tensor) -> torch.Tensor:
        """E ρ'(e) / e of normal errors of standard deviation `rms`, m: their loss is about half of it times rms²."""
        rms = rms.clamp(min=1e-5)
        if self.loss == "l1":
            return (2 / np.pi) ** 0.5 / rms
        if self.loss == "huber":
            return 1 / (rms / (2 / np.pi) ** 0.5).clamp(min=self.delta)
        return torch.full_like(rms, 1 / self.delta)

    def value(self, encoder: torch.Tensor, decoder: torch.Tensor, block: int = 1024) -> float:
        """The objective over all poses, m."""
        encoder, decoder = encoder.to(self.points.dtype), decoder.to(self.points.dtype)
        with torch.no_grad():
            total = 0.0
            for start in range(0, len(self.points), block):
                part = slice(start, start + block)
                total += self.data(encoder, decoder, part).item() * len(self.points[part])
            return total / len(self.points) + self.penalty(encoder, decoder).item()

    def moments(self) -> torch.Tensor:
        """Second moments of a coordinate, centred in each pose, (K, K) float64, m²: of projected points or in 3D."""
        total = torch.zeros(len(self.weight), len(self.weight), dtype=torch.float64, device=self.points.device)
        for part in self.points.split(1024):
            X = (flat(part, part) if self.projection else part).double()  # what is left to latents is small
            rows = (X - X.mean(dim=2, keepdim=True)).reshape(-1, len(self.weight))
            total += rows.T @ rows
        coordinates = 2 if self.projection else 3
        total = (total + total.T) / (2 * len(self.points) * coordinates)
        return (total + total[self.mirror][:, self.mirror]) / 2


def flat(points: torch.Tensor, scene: torch.Tensor) -> torch.Tensor:
    """Points (n, 3, K) in camera space as the camera sees them, (n, 2, K), scaled to the mean depth of the scene."""
    return points[:, :2] / points[:, 2:] * scene[:, 2:].mean(dim=2, keepdim=True)


def check_in_front(points: NDArray[np.float32]) -> None:
    """InputError unless all points lie in front of a camera that looks along z."""
    z = points[..., 2]
    with np.errstate(invalid="ignore"):
        near = np.nanmin(z, axis=1) < 0.1 * np.nanmean(z, axis=1)
    if near.any() or not np.nanmin(z) > 0:
        raise InputError(
            "projection=True", expected="poses in camera space, z forward, every joint in front of the camera",
            got=f"{int(near.sum())} of {len(z)} poses with joints at or behind it",
            mend="Give absolute camera coordinates, or projection=False.",
        )  # fmt: skip


def importances(moments: NDArray[np.float64], multiplicity: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each place counts, (K,): joints within NEIGHBOURHOOD of each other share the importance of one.

    moments of a coordinate (K, K), mm²; multiplicity (K,), how many joints lie at each place.
    """
    diagonal = np.diag(moments)
    distance = np.sqrt(3 * np.maximum(diagonal[:, None] + diagonal[None] - 2 * moments, 0))
    result: NDArray[np.float64] = multiplicity / ((distance < NEIGHBOURHOOD) @ multiplicity)
    return result
