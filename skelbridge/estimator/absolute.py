"""Where a person stands: absolute points from points in the picture and points in a box whose place is unknown.

After section 2.3 of the method. The points of the box R_j = (X, Y, Z)_j, moved by one t, shall project onto the points
of the picture. With x = K⁻¹ (u, v, 1) that says (X + t_x, Y + t_y) = x (Z + t_z), which is linear in t:
t_xy - x_j t_z = b_j with b_j = x_j Z_j - (X, Y)_j.

Every example is solved on its own, scaled by its own camera, so its result does not depend on its batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skelbridge.errors import InputError
from skelbridge.estimator.backbone import STRIDE
from skelbridge.estimator.heatmaps import full_precision, in_view

#: Points less than this part of a cell from the edge of the picture are not believed: heatmaps end there.
BORDER = 0.75
#: With fewer points than this in the field of view, all points decide where a person stands.
FEWEST = 4
#: Points whose root mean square spread is less than this part of half the crop (0.4 of 128 pixels) tell no depth: the
#: one that is found, and its gradient, are bounded.
LEAST_SPREAD = 0.003


def reconstruct(
    pixels: Tensor,
    relative: Tensor,
    intrinsics: Tensor,
    side: int,
    *,
    centred: bool = True,
    weak_perspective: bool = False,
    mix: Tensor | None = None,
) -> Tensor:
    """Points (B, n, 3) mm in the axes of the camera.

    pixels: (B, n, 2), points in the picture. relative: (B, n, 3) mm, points of the box. intrinsics: (B, 3, 3) of a
    pinhole camera without distortion. side: of the crop, pixels. centred: whether heatmaps begin at 16 pixels or at 0.
    weak_perspective: find t by the sizes in picture and box alone, for early training, when the two disagree.
    mix: (B,) in [0, 1]; points in view are `mix` of the moved box and 1 - `mix` of the picture at the box's depth, half
    and half by default. Points out of view come from the box alone.
    """
    with torch.autocast(pixels.device.type, enabled=False):
        pixels, relative, intrinsics = (full_precision(tensor) for tensor in (pixels, relative, intrinsics))
        seen = within_reach(pixels, side, centred)
        believed = (seen | (seen.sum(dim=1, keepdim=True) < FEWEST)).to(pixels.dtype)
        rays = normalised(pixels, intrinsics)
        least = LEAST_SPREAD * side / 2 / _focal_length(intrinsics)
        find = translation_weak if weak_perspective else translation
        moved = relative + find(rays, relative, believed, least)[:, None]
        share = 0.5 if mix is None else _column(mix, moved)
        mixed = share * moved + (1 - share) * _homogeneous(rays) * moved[..., 2:]
        return torch.where(seen[..., None], mixed, moved)


def within_reach(pixels: Tensor, side: int, centred: bool = True) -> Tensor:
    """Whether points (..., 2) are in the picture and not near its edge, where heatmaps cannot reach further; (...)."""
    return in_view(pixels if centred else pixels + STRIDE // 2, side, BORDER)


def normalised(pixels: Tensor, intrinsics: Tensor) -> Tensor:
    """The first two of K⁻¹ (u, v, 1), (B, n, 2), for intrinsics with last row (0, 0, 1) and no skew of y."""
    fx, skew, cx, fy, cy = (intrinsics[:, i, j, None] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2)))
    y = (pixels[..., 1] - cy) / fy
    return torch.stack([(pixels[..., 0] - cx - skew * y) / fx, y], dim=-1)


def translation(rays: Tensor, relative: Tensor, weights: Tensor, least: Tensor) -> Tensor:
    """t (B, 3) by least squares under full perspective.

    rays: (B, n, 2) normalised image coordinates. relative: (B, n, 3). weights: (B, n), not all zero. least: (B,), the
    smallest spread of rays that is divided by. From the normal equations, with weighted means taken off:
    t_z = -Σ x'·b' / Σ x'·x'.
    """
    share = (weights / weights.sum(dim=1, keepdim=True))[..., None]
    b = rays * relative[..., 2:] - relative[..., :2]
    mean_b, mean_x = (share * b).sum(dim=1), (share * rays).sum(dim=1)
    x = rays - mean_x[:, None]
    together = (share * x * (b - mean_b[:, None])).sum(dim=(1, 2))
    z = -(together / torch.maximum(_spread(share, x), least.square()))[:, None]
    return torch.cat([mean_b + z * mean_x, z], dim=1)


def translation_weak(rays: Tensor, relative: Tensor, weights: Tensor, least: Tensor) -> Tensor:
    """t (B, 3) under weak perspective: the depth is the ratio of the sizes in space and in the picture."""
    share = (weights / weights.sum(dim=1, keepdim=True))[..., None]
    mean_x, mean = (share * rays).sum(dim=1), (share * relative).sum(dim=1)
    size = (_spread(share, relative[..., :2] - mean[:, None, :2]) + 1e-10).sqrt()  # a root has no gradient at 0
    seen = torch.maximum(_spread(share, rays - mean_x[:, None]), least.square()).sqrt()
    depth = (size / seen)[:, None]
    return torch.cat([depth * mean_x, depth], dim=1) - mean


def _spread(share: Tensor, offsets: Tensor) -> Tensor:
    """Mean square (B,) of offsets (B, n, 2)."""
    return (share * offsets.square()).sum(dim=(1, 2))


def _homogeneous(rays: Tensor) -> Tensor:
    return torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1)


def _focal_length(intrinsics: Tensor) -> Tensor:
    return (intrinsics[:, 0, 0] + intrinsics[:, 1, 1]) / 2


def _column(mix: Tensor, points: Tensor) -> Tensor:
    if mix.shape != points.shape[:1]:
        raise InputError("mix", expected=f"one number an example, shape ({len(points)},)", got=tuple(mix.shape))
    return mix.to(points.dtype)[:, None, None]
