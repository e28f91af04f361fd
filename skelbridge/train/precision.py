"""Mixed precision: convolutions in 16 bits, cameras and points in 32."""

from __future__ import annotations

from typing import Any

import torch
from lightning_fabric.plugins.precision import MixedPrecision

from skelbridge.train.config import Machine


class Autocast(MixedPrecision):
    """Fabric's mixed precision, which leaves the inputs as they are: 16 bits are too few for a camera's matrix."""

    @classmethod
    def of(cls, machine: Machine) -> Autocast:
        cuda = machine.accelerator != "cpu" and torch.cuda.is_available()
        precision: Any = machine.precision
        return cls(precision, "cuda" if cuda else "cpu")

    def convert_input(self, data: Any) -> Any:
        return data
