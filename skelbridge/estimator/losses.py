"""What a predicted pose is compared by: three terms with 3D labels, one with 2D labels.

Points are mm in the axes of the crop's camera, losses metres. Everything is computed in float32, whatever the network
computes in. The terms are those of Sárándi, Hermans and Leibe, WACV 2023, supplement S2.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch import distributed as processes

from skelbridge.estimator.heatmaps import in_view

#: mm; what lies nearer to the camera than this is projected as if it lay here.
NEAREST = 1.0


class LossSettings(BaseModel):
    """Weights, masks and the starting step of the losses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    projection: float = Field(default=1.0, ge=0, description="weight of the projected error of 3D labels")
    absolute: float = Field(default=0.1, ge=0, description="weight of the absolute error of 3D labels")
    weak: float = Field(default=0.2, ge=0, description="weight of everything that comes from examples with 2D labels")
    absolute_from: int = Field(default=5000, ge=0, description="the absolute error counts after this step")
    view: float = Field(
        default=0.75, description="a projected prediction counts inside this border of the crop, in cells"
    )
    labels_view: float = Field(
        default=-20.0, description="a projected label counts inside this border of the crop, in cells"
    )
    far: float = Field(default=10_000.0, gt=0, description="mm; errors in depth count less beyond, in proportion")
    near: float = Field(
        default=300.0, ge=0, description="mm; labels at this depth or nearer are not projected, nor absolute"
    )
    box: float = Field(default=2200.0, gt=0, description="mm that a pixel error as wide as the crop counts as")
    mean: Literal["pooled", "examples"] = Field(
        default="pooled",
        description="over all known joints of a batch alike, or over examples, each the mean of its joints",
    )

    def absolute_weight(self, step: int) -> float:
        """The weight of the absolute error at a step."""
        return self.absolute if step > self.absolute_from else 0.0


def masked_mean(values: Tensor, mask: Tensor, over: Literal["pooled", "examples"] = "pooled") -> Tensor:
    """The mean of values (B, J) where mask (B, J) holds; 0 where it holds nowhere.

    Values outside of the mask may be infinite, but must not come from NaN, which gradients would carry on.

    Where several processes train together, each with its part of the batch, the mean is that of the whole batch, in
    all of them, and the gradients' mean over the processes is its gradient. All must then call this equally often.
    """
    kept = torch.where(mask, values, values.new_zeros(()))
    if over == "examples":
        known = mask.sum(dim=1)
        kept, mask = kept.sum(dim=1) / known.clamp(min=1), known > 0
    total, count = kept.sum(), mask.sum()
    if not (processes.is_available() and processes.is_initialized()) or processes.get_world_size() == 1:
        return total / count.clamp(min=1)
    whole = torch.stack([total.detach().double(), count.double()])
    processes.all_reduce(whole)
    divisor = whole[1].clamp(min=1)
    own = processes.get_world_size() * total / divisor.to(total.dtype)
    return (whole[0] / divisor).to(total.dtype) + (own - own.detach())


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels (B, J, 2) of points (B, J, 3) mm under intrinsics (B, 3, 3); depths are taken as NEAREST or more."""
    rays = points[..., :2] / points[..., 2:].clamp(min=NEAREST)
    axes = intrinsics[:, None, :2]
    return (axes[..., :2] * rays[..., None, :]).sum(dim=-1) + axes[..., 2]  # no matmul: TF32 is off by half a pixel


def loss_3d(points: Tensor, labels: Tensor, intrinsics: Tensor, side: int, settings: LossSettings) -> dict[str, Tensor]:
    """The three errors, in metres and unweighted, of points (B, J, 3) mm against labels (B, J, 3), NaN where unknown.

    relative: coordinates about the mean of the example's known joints. projection: pixels of the crop (side x side,
    with intrinsics (B, 3, 3)), at the scale of the box. absolute: coordinates as they are, those in depth scaled down
    beyond `far`.
    """
    known = labels.isfinite().all(dim=-1)
    labels = torch.where(known[..., None], labels, labels.new_zeros(()))
    depth = labels[..., 2]
    in_front = known & (depth > settings.near)
    pixels, goal = project(points, intrinsics), project(labels, intrinsics)
    seen = (
        in_front
        & (points[..., 2] > NEAREST) & in_view(pixels, side, settings.view)
        & (depth > NEAREST) & in_view(goal, side, settings.labels_view)
    )  # fmt: skip
    relative = (_centred(points, known) - _centred(labels, known)).abs().mean(dim=-1)
    off = (points - labels).abs()
    nearness = (settings.far / depth.abs().clamp(min=settings.far))[..., None]
    absolute = torch.cat([off[..., :2], off[..., 2:] * nearness], dim=-1).mean(dim=-1)
    return {
        "relative": masked_mean(relative / 1000, known, settings.mean),
        "projection": masked_mean(_metres_apart(pixels, goal, side, settings), seen, settings.mean),
        "absolute": masked_mean(absolute / 1000, in_front, settings.mean),
    }


def loss_2d(
    points: Tensor, labels: Tensor, names: Tensor, intrinsics: Tensor, side: int, settings: LossSettings
) -> Tensor:
    """The error in the picture, in metres, of points (B, J, 3) mm against labels (B, N, 2) pixels, NaN where unknown.

    names: (N, J), which averages the projections of the joints that a label may mean, see `names2d`; labels whose
    row is zero are not compared, nor those of which a joint lies behind the camera.
    """
    known = labels.isfinite().all(dim=-1) & (names.sum(dim=1) > 0)
    labels = torch.where(known[..., None], labels, labels.new_zeros(()))
    names = names.to(points.dtype)
    pixels = names @ project(points, intrinsics)
    behind = (points[..., 2] <= NEAREST).to(names) @ names.T > 0
    seen = known & ~behind & in_view(pixels, side, settings.view) & in_view(labels, side, settings.labels_view)
    return masked_mean(_metres_apart(pixels, labels, side, settings), seen, settings.mean)


def _centred(points: Tensor, known: Tensor) -> Tensor:
    """Points (B, J, 3) about the mean of the known (B, J) ones of each example."""
    total = torch.where(known[..., None], points, points.new_zeros(())).sum(dim=1, keepdim=True)
    return points - total / known.sum(dim=1).clamp(min=1)[:, None, None]


def _metres_apart(pixels: Tensor, goal: Tensor, side: int, settings: LossSettings) -> Tensor:
    """The mean distance in x and y (B, J) of pixels (B, J, 2) from others, in metres at the scale of the box."""
    return (pixels - goal).abs().mean(dim=-1) * (settings.box / side / 1000)
