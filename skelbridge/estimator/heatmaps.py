"""Metric heatmaps: from a map of features to points in the picture and to points in millimetres (method, 2.2).

A point has a heatmap in the plane of the picture, (H, W) cells, and one in a box of D x H x W cells that is 2.2 m on
each side; a point's place is the mean of the cells' places, weighted by the softmax of the map (soft-argmax).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skelbridge.estimator.backbone import STRIDE


class HeatmapHead(nn.Module):
    """Features (B, channels, H, W) to the maps of n points, by a 1x1 convolution with bias.

    The first n channels are maps in the picture, the other D·n maps in the box, depth after depth: n + d·n + j.
    """

    def __init__(self, channels: int, points: int, depth_bins: int) -> None:
        super().__init__()
        self.points, self.depth_bins = points, depth_bins
        self.conv = nn.Conv2d(channels, points * (1 + depth_bins), kernel_size=1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits in the picture (B, n, H, W) and in the box (B, D, n, H, W)."""
        flat, deep = self.conv(features).split([self.points, self.points * self.depth_bins], dim=1)
        return flat, deep.unflatten(1, (self.depth_bins, self.points))


def soft_argmax_2d(logits: Tensor) -> Tensor:
    """Points (B, n, 2), x and y in [0, 1] from the first cell to the last, of maps (B, n, H, W)."""
    return _mean_place(logits).flip(-1)


def soft_argmax_3d(logits: Tensor) -> Tensor:
    """Points (B, n, 3), x, y and z in [0, 1], of maps (B, D, n, H, W), with one softmax over all D·H·W cells."""
    return _mean_place(logits.transpose(1, 2)).flip(-1)


def to_pixels(places: Tensor, side: int, centred: bool) -> Tensor:
    """Pixels of places in [0, 1] on the grid of features: from 16 on if the stride is centred, else from 0."""
    return places * (side - STRIDE) + (STRIDE // 2 if centred else 0)


def to_metric(places: Tensor, side: int, box: float, centred: bool) -> Tensor:
    """mm (B, n, 3) of places (B, n, 3) in [0, 1] in the box; the origin means nothing, translation is found later."""
    across = to_pixels(places[..., :2], side, centred) * (box / side)
    return torch.cat([across, places[..., 2:] * box], dim=-1)


def in_view(pixels: Tensor, side: int, border: float) -> Tensor:
    """Which pixels (..., 2) lie in the crop, `border` cells off its edges; a negative border reaches beyond them."""
    return ((pixels >= border * STRIDE) & (pixels <= side - border * STRIDE)).all(dim=-1)


def full_precision(tensor: Tensor) -> Tensor:
    """The tensor in float32, or as it is if it is more precise."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _mean_place(logits: Tensor) -> Tensor:
    """The mean place (B, n, axes), each in [0, 1], of maps (B, n, cells, ...).

    Never in half precision, in which a place has three digits; for the same reason no matrix product, which GPUs may
    compute as coarsely.
    """
    places = []
    with torch.autocast(logits.device.type, enabled=False):
        weights = full_precision(logits).flatten(2).softmax(dim=-1).view(logits.shape)
        while weights.ndim > 2:  # the mean along the first axis; then the axis is summed away
            along = weights.flatten(3).sum(dim=-1) if weights.ndim > 3 else weights
            cells = torch.linspace(0, 1, along.shape[-1], dtype=along.dtype, device=along.device)
            places.append((along * cells).sum(dim=-1))
            weights = weights.sum(dim=2)
    return torch.stack(places, dim=-1)
