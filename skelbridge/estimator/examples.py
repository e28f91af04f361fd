"""What a network is trained on at one step: crops of people, their cameras and labels, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Examples:
    """B crops, the first B3 of them with 3D labels, the others with labels in the picture only.

    images: (B, 3, side, side) uint8 RGB. intrinsics: (B, 3, 3) float32, of the crops' virtual cameras, in pixels,
    (0, 0) the centre of the first pixel. points: (B3, J, 3) float32, mm in the axes of the crops' cameras, a column for
    each joint that the network knows, NaN where an example does not label it. points2d: (B - B3, N, 2) float32, pixels
    of the crop, a column for each name of weak supervision, NaN where missing. numbers: (B,) int64, the places of the
    examples in the whole batch, of which these may be one process's part.
    """

    images: Tensor
    intrinsics: Tensor
    points: Tensor
    points2d: Tensor
    numbers: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def deep(self) -> int:
        """How many examples have 3D labels, B3."""
        return len(self.points)

    @property
    def side(self) -> int:
        """Pixels of a crop's side."""
        return int(self.images.shape[-1])

    def to(self, device: torch.device | str) -> Examples:
        """The same on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Examples:
        """The same in memory that a GPU reads directly; the name is the one that torch's loader calls."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: object) -> Examples:
        return replace(self, **{name: change(tensor) for name, tensor in self.__dict__.items()})  # type: ignore[operator]
