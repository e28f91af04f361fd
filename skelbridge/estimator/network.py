"""The pose network: a crop of a person and its camera in, absolute points of all formats out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skelbridge.errors import InputError
from skelbridge.estimator.absolute import reconstruct
from skelbridge.estimator.backbone import STRIDE, Backbone
from skelbridge.estimator.design import Design
from skelbridge.estimator.ghost import to_ghost
from skelbridge.estimator.heatmaps import HeatmapHead, soft_argmax_2d, soft_argmax_3d, to_metric, to_pixels


@dataclass(frozen=True, eq=False)
class Prediction:
    """Absolute points in the axes of the crop's camera, mm: joints (B, J, 3) and latents (B, L, 3), where put out."""

    joints: Tensor | None
    latents: Tensor | None


class PoseNetwork(nn.Module):
    """Backbone and metric heatmaps of J joints, L latent keypoints, or both, and where they stand before the camera.

    Of both, the latents come first in the head, and each set is placed on its own. Raises InputError for a head with
    latents without their number, and what `Backbone` raises.
    """

    def __init__(self, design: Design, joints: int, latents: int = 0) -> None:
        super().__init__()
        if joints < 1 or (latents < 1 and design.head != "joints"):
            raise InputError("a pose network", expected=f"joints, and latents for the head {design.head!r}",
                             got=f"{joints} joints, {latents} latents")  # fmt: skip
        self.design, self.joints, self.latents = design, joints, latents
        self.backbone = Backbone(design)
        if design.ghost:
            to_ghost(self.backbone, design.ghost, design.ghost_update)
        self.head = HeatmapHead(self.backbone.channels, sum(self.points), design.depth_bins)
        self.frozen = False

    @property
    def points(self) -> tuple[int, int]:
        """How many latents and how many joints the head puts out."""
        return (
            0 if self.design.head == "joints" else self.latents,
            0 if self.design.head == "latents" else self.joints,
        )

    def forward(
        self, images: Tensor, intrinsics: Tensor, *, weak_perspective: bool = False, mix: Tensor | None = None
    ) -> Prediction:
        """Points of crops.

        images: (B, 3, s, s) float in [0, 1] or uint8, s a multiple of 32. intrinsics: (B, 3, 3) of the crops' cameras.
        weak_perspective, mix: see `absolute.reconstruct`. Points are float32, also under autocast.
        """
        side = _side(images)
        if images.dtype == torch.uint8:
            images = images.float().div_(255)
        flat, deep = self.head(self.backbone(images))
        centred = self.design.centred_stride
        pixels = to_pixels(soft_argmax_2d(flat), side, centred)
        relative = to_metric(soft_argmax_3d(deep), side, self.design.box, centred)
        placed = [
            reconstruct(u, r, intrinsics, side, centred=centred, weak_perspective=weak_perspective, mix=mix)
            if u.shape[1] else None
            for u, r in zip(pixels.split(self.points, dim=1), relative.split(self.points, dim=1), strict=True)
        ]  # fmt: skip
        return Prediction(joints=placed[1], latents=placed[0])

    # -- training ----------------------------------------------------------------------------------------------------

    def set_inference_mode(self) -> None:
        """From now on compute as in evaluation, also after `train()`: batch normalisation with the running statistics,
        which stay as they are, and no stochastic depth. All weights still have gradients.
        """
        self.frozen = True
        self.eval()

    def train(self, mode: bool = True) -> PoseNetwork:
        """As every module's, but for a network in inference mode, which stays in it."""
        return super().train(mode and not self.frozen)

    def parameters_of_head(self) -> list[nn.Parameter]:
        """Weights of the 1x1 convolution to the heatmaps."""
        return list(self.head.parameters())

    def parameters_of_backbone(self) -> list[nn.Parameter]:
        """All other weights."""
        return list(self.backbone.parameters())

    @torch.no_grad()
    def take_over(self, initial: PoseNetwork) -> None:
        """Start from a network that was trained before: its backbone, and its head as far as the points are the same.

        A head of the same kind is copied; the joints of a head of joints go into one of both, whose latents stay as
        they are; a head of latents stays as it is. Raises InputError for networks that do not fit together.
        """
        same = initial.design.head == self.design.head
        sizes = [(n.design.backbone, n.design.depth_bins, n.joints) + ((n.latents,) if same else ())
                 for n in (self, initial)]  # fmt: skip
        if sizes[0] != sizes[1] or not (same or initial.design.head == "joints"):
            raise InputError("a network to start from", expected=f"{sizes[0]} and a head of joints or the same kind",
                             got=f"{sizes[1]} and a head of {initial.design.head}")  # fmt: skip
        self.backbone.load_state_dict(initial.backbone.state_dict())
        if same:
            self.head.load_state_dict(initial.head.state_dict())
        elif self.design.head == "both":
            for own, given in zip(self.parameters_of_head(), initial.parameters_of_head(), strict=True):
                shape = (1 + self.design.depth_bins, -1)  # the map in the picture, then the depths of the box
                own.unflatten(0, shape)[:, self.latents :] = given.unflatten(0, shape)


def _side(images: Tensor) -> int:
    height, width = images.shape[-2:]
    if images.ndim != 4 or height != width or height % STRIDE or not height:
        raise InputError("images", expected=f"shape (B, 3, s, s), s a multiple of {STRIDE}", got=tuple(images.shape))
    return height
