"""Checkpoints: all that changes from step to step, in one safetensors file, written whole or not at all.

A folder of checkpoints keeps the newest few. Loading executes nothing; a damaged one gives way to the one before.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from skelbridge.errors import FileFormatError, InputError, SkelbridgeError
from skelbridge.io.files import replacing

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state after `step` steps. tensors: by name, those of the parts under "part/"; about: plain values."""

    step: int
    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors of one part, by their own names."""
        return {
            key.removeprefix(f"{name}/"): value for key, value in self.tensors.items() if key.startswith(f"{name}/")
        }


class Checkpoints:
    """The checkpoints of one stage.

    identity: what the stage trains on what with which settings; a folder of another identity is refused.
    """

    def __init__(self, folder: Path, identity: str, keep: int = 2):
        self.folder, self.identity, self.keep = folder, identity, keep

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint and drop the oldest; SkelbridgeError where the disk does not take it, the others stay."""
        from safetensors.torch import save_file

        path = self.folder / f"step-{checkpoint.step:08}.safetensors"
        about = {"schema": SCHEMA, "identity": self.identity, "step": checkpoint.step, "about": dict(checkpoint.about)}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
        try:
            with replacing(path) as temporary:
                save_file(tensors, temporary, metadata={"checkpoint": json.dumps(about)})
        except Exception as error:  # safetensors has an error of its own for a full disk
            left = self._paths()
            raise SkelbridgeError(
                f"the checkpoint {path} cannot be written", got=error,
                mend=f"Make room; the same command goes on from {left[-1].stem if left else 'the beginning'}.",
            ) from error  # fmt: skip
        for old in self._paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def newest(self) -> Checkpoint | None:
        """The newest that can be read; None where there is none.

        Raises InputError where it is of a training with other settings or data.
        """
        for path in reversed(self._paths()):
            try:
                return self._read(path)
            except FileFormatError as error:
                warnings.warn(f"{error} The one before is taken.", UserWarning, stacklevel=2)
        return None

    def clear(self) -> None:
        """Remove all: the stage is done."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.safetensors"))

    def _read(self, path: Path) -> Checkpoint:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                said = json.loads((file.metadata() or {})["checkpoint"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step, schema, identity, about = (said[name] for name in ("step", "schema", "identity", "about"))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"the checkpoint {path} cannot be read", got=error) from error
        if schema != SCHEMA:
            raise FileFormatError(f"the checkpoint {path}", expected=f"schema {SCHEMA}", got=schema)
        if identity != self.identity:
            raise InputError(
                f"{self.folder} holds checkpoints of a training with other settings or data",
                mend="Name another folder with out, or remove this one.",
            )
        return Checkpoint(step, tensors, about)
