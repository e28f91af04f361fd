"""Keeping filters small: before a batch normalisation they can grow without end, until half precision overflows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skelbridge.estimator.network import PoseNetwork

#: The largest L2 norm of a filter (method, section 5).
LIMIT = 20.0


@torch.no_grad()
def constrain_norms(network: PoseNetwork, limit: float = LIMIT) -> None:
    """Scale filters of the backbone's convolutions whose L2 norm is more than `limit` down to it, after a step.

    A filter is what makes one output channel, of depthwise convolutions too. The convolutions of squeeze-and-excitation
    and of the prediction head are left alone.
    """
    for weight in filters(network):
        weight.renorm_(2, 0, limit)


def filters(network: PoseNetwork) -> list[Tensor]:
    """The weights that `constrain_norms` watches, (C_out, C_in / groups, h, w) each."""
    return [
        module.weight
        for path, module in network.backbone.named_modules()
        if isinstance(module, nn.Conv2d) and "se" not in path.split(".")
    ]
