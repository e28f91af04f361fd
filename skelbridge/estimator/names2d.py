"""Weak supervision in the picture: which joints of all formats a 2D label speaks of.

A 2D label has a name only; the joints of that name, in whatever format, are averaged. The reference takes every joint
whose name begins with it, and so catches markers beside the joint; here it is the exact name that the cards give.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skelbridge.bridge.acae import Joints

#: The names of 2D labels, in COCO's order.
NAMES_2D = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip


def names2d_matrix(joints: Joints) -> Tensor:
    """(N, J) float32: row n averages the joints called NAMES_2D[n] over the formats; zero where no format has one."""
    names = [name for card in joints.formats for name in card.names]
    same = torch.tensor([[float(name == wanted) for name in names] for wanted in NAMES_2D])
    return same / same.sum(dim=1, keepdim=True).clamp(min=1)
