"""What training minimises: the losses alone, or with an autoencoder that makes the formats consistent.

Three ways to use the autoencoder when a network is trained further (Sárándi, Hermans and Leibe, WACV 2023):

- output: predicted joints should not change when they are encoded and decoded; they stay the result.
- latents: the network puts out latent points; decoded, they are the result and what the losses see.
- hybrid: the network puts out both; latents learn from the labels and from the encoded joints, as a student from a
  teacher; decoded latents are the result.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from skelbridge.errors import InputError
from skelbridge.estimator.autoencoder import Autoencoder
from skelbridge.estimator.examples import Examples
from skelbridge.estimator.losses import LossSettings, loss_2d, loss_3d, masked_mean
from skelbridge.estimator.network import Prediction

Variant = Literal["none", "output", "latents", "hybrid"]

#: Terms by name, each with its weight in the total.
Terms = dict[str, tuple[float, Tensor]]


class ConsistencySettings(BaseModel):
    """Weights of what the autoencoder adds to the losses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(default=1.0, ge=0, description="weight of the change of joints by the autoencoder")
    weight_2d: float = Field(
        default=1.0, ge=0, description="the same of examples with 2D labels, a factor beside `weight`"
    )
    reconstructed: float = Field(
        default=1.0, ge=0, description="hybrid: weight of the losses of encoded and decoded joints"
    )
    teacher: float = Field(
        default=1.0, ge=0, description="hybrid: weight of the latents' losses against the encoded joints"
    )
    teacher_from: int = Field(default=5000, ge=0, description="hybrid: the encoded joints teach after this step")
    hybrid_2d: float = Field(default=0.5, ge=0, description="hybrid: a factor on both for examples with 2D labels")
    stop_gradient: bool = Field(default=True, description="hybrid: the encoded joints do not learn from the latents")

    def teacher_weight(self, step: int) -> float:
        """The weight of the latents' losses against the encoded joints at a step."""
        return self.teacher if step > self.teacher_from else 0.0


class Objective(nn.Module):
    """The loss of a batch, with all its terms.

    names2d_matrix: (N, J), see `names2d.names2d_matrix`. autoencoder: for all variants but "none".
    """

    names: Tensor
    autoencoder: Autoencoder

    def __init__(
        self,
        settings: LossSettings,
        names2d_matrix: Tensor,
        variant: Variant = "none",
        autoencoder: Autoencoder | None = None,
        consistency: ConsistencySettings | None = None,
    ):
        super().__init__()
        if variant != "none" and autoencoder is None:
            raise InputError("autoencoder", expected=f"one, for the variant {variant!r}", got=None,
                             mend="Fit one: skelbridge fit, or skelbridge.bridge.acae.fit_acae.")  # fmt: skip
        self.settings = settings
        self.variant = variant
        self.autoencoder = autoencoder  # type: ignore[assignment]  # none where no variant uses it
        self.consistency = consistency or ConsistencySettings()
        self.register_buffer("names", names2d_matrix, persistent=False)

    def points(self, prediction: Prediction) -> Tensor:
        """The result (B, J, 3) mm: the joints that the network puts out, or its latents decoded."""
        if self.variant in ("latents", "hybrid"):
            return self.autoencoder.decode(_put_out(prediction.latents, "latents", self.variant))
        return _put_out(prediction.joints, "joints", self.variant)

    def forward(self, prediction: Prediction, examples: Examples, step: int) -> dict[str, Tensor]:
        """The loss at a step (from 0) and its terms, detached and unweighted, in metres.

        "loss" is the total. "relative", "projection", "absolute" and "weak_2d" are the errors of the result, see
        `losses`; "consistency_3d" and "consistency_2d" how far the autoencoder moves the joints of examples with 3D and
        2D labels. Hybrid has "joints_..." for the joint head, "reconstructed_..." for these joints encoded and decoded,
        and "teacher_3d_..." and "teacher_2d_..." for the latents against the encoded joints.
        """
        with torch.autocast(examples.intrinsics.device.type, enabled=False):
            terms: Terms = {}
            for prefix, weight, points in self._supervised(prediction):
                terms |= self._labelled(prefix, weight, points, examples, step)
            if self.variant in ("output", "hybrid"):
                terms |= self._regularised(_single(_put_out(prediction.joints, "joints", self.variant)), examples.deep)
            if self.variant == "hybrid":
                terms |= self._taught(prediction, examples, step)
            counted = [weight * value for weight, value in terms.values() if weight]
            return {"loss": torch.stack(counted).sum(), **{name: value.detach() for name, (_, value) in terms.items()}}

    def _supervised(self, prediction: Prediction) -> list[tuple[str, float, Tensor]]:
        """What is compared with labels: prefix of the terms' names, weight, points (B, J, 3)."""
        compared = [("", 1.0, _single(self.points(prediction)))]
        if self.variant == "hybrid":
            joints = _single(_put_out(prediction.joints, "joints", self.variant))
            rebuilt = self.autoencoder.reconstruct(joints)
            compared += [("joints_", 1.0, joints), ("reconstructed_", self.consistency.reconstructed, rebuilt)]
        return compared

    def _labelled(self, prefix: str, weight: float, points: Tensor, examples: Examples, step: int) -> Terms:
        """The terms of points (B, J, 3) against the labels."""
        deep, side, cameras = examples.deep, examples.side, examples.intrinsics
        terms = self._weighted(
            prefix, weight, loss_3d(points[:deep], examples.points, cameras[:deep], side, self.settings), step
        )
        weak = loss_2d(points[deep:], examples.points2d, self.names, cameras[deep:], side, self.settings)
        return terms | {f"{prefix}weak_2d": (weight * self.settings.weak, weak)}

    def _regularised(self, joints: Tensor, deep: int) -> Terms:
        """How far the autoencoder moves joints (B, J, 3), known or not; gradients flow through both ways."""
        moved = (joints - self.autoencoder.reconstruct(joints)).abs().mean(dim=-1) / 1000
        every = torch.ones_like(moved, dtype=torch.bool)
        weight = self.consistency.weight
        return {
            "consistency_3d": (weight, masked_mean(moved[:deep], every[:deep])),
            "consistency_2d": (
                self._factor_2d() * weight * self.consistency.weight_2d, masked_mean(moved[deep:], every[deep:])
            ),
        }  # fmt: skip

    def _taught(self, prediction: Prediction, examples: Examples, step: int) -> Terms:
        """The three terms of latents (B, L, 3) against encoded joints, all of which count as known."""
        latents = _single(_put_out(prediction.latents, "latents", self.variant))
        joints = _single(_put_out(prediction.joints, "joints", self.variant))
        goal = self.autoencoder.encode(joints.detach() if self.consistency.stop_gradient else joints)
        weight = self.consistency.teacher_weight(step)
        parts = (("teacher_3d_", weight, slice(examples.deep)),
                 ("teacher_2d_", weight * self._factor_2d(), slice(examples.deep, None)))  # fmt: skip
        terms: Terms = {}
        for prefix, factor, part in parts:
            cameras = examples.intrinsics[part]
            found = loss_3d(latents[part], goal[part], cameras, examples.side, self.settings)
            terms |= self._weighted(prefix, factor, found, step)
        return terms

    def _weighted(self, prefix: str, weight: float, found: dict[str, Tensor], step: int) -> Terms:
        """The three terms of `loss_3d` with their weights."""
        weights = {
            "relative": 1.0, "projection": self.settings.projection, "absolute": self.settings.absolute_weight(step)
        }  # fmt: skip
        return {f"{prefix}{name}": (weight * weights[name], value) for name, value in found.items()}

    def _factor_2d(self) -> float:
        """The factor on what the autoencoder adds for examples with 2D labels."""
        return self.settings.weak * (self.consistency.hybrid_2d if self.variant == "hybrid" else 1.0)


def _put_out(points: Tensor | None, what: str, variant: str) -> Tensor:
    """Points that a variant needs of the network's head; InputError if it does not put them out."""
    if points is None:
        raise InputError("prediction", expected=f"{what}, for the variant {variant!r}", got=f"no {what}",
                         mend="Set the design's head: joints, latents or both.")  # fmt: skip
    return points


def _single(points: Tensor) -> Tensor:
    """In float32 or better."""
    return points.to(torch.promote_types(points.dtype, torch.float32))
