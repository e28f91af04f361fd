"""Carrying out the stages of a fit: step by step, with a progress bar, and a checkpoint to go on from."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tqdm import tqdm

from skelbridge.bridge.acae.objective import Objective
from skelbridge.errors import FileFormatError, InputError, need
from skelbridge.io.files import replacing

if TYPE_CHECKING:
    import torch
else:
    torch = need("torch", "fit")

Tensors = dict[str, "torch.Tensor"]

#: Seconds between two checkpoints, and between two looks at the objective for the progress bar.
SAVE_EVERY, LOOK_EVERY = 5.0, 1.0
#: Poses that are looked at for the progress bar.
LOOKED_AT = 512
#: What to do about a checkpoint that does not fit.
MEND = "Remove it to begin anew."


class Stage(Protocol):
    """Some steps of a fit, and what has to be kept to go on from the middle."""

    rounds: int

    def step(self, number: int) -> None:
        """Step `number`, from 0."""

    @property
    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder and decoder as they are now."""

    def state(self) -> Tensors:
        """All that changes from step to step."""

    def restore(self, state: Tensors) -> None:
        """Put a state back."""


class Run:
    """Runs stages one after the other; with a checkpoint, what was done before is not done again."""

    def __init__(self, objective: Objective, settings: Any, checkpoint: str | Path | None, progress: bool):
        self.objective, self.progress = objective, progress
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.identity = _identity(objective, settings)
        self._name, self._number, self._state = self._read()

    def stage(self, name: str, stage: Stage) -> tuple[torch.Tensor, torch.Tensor]:
        """Carry a stage out; its weights at the end, detached."""
        first = 0
        if self._name is not None:
            if self._name != name:
                encoder, decoder = stage.weights  # an earlier stage than the one that was interrupted
                return encoder.detach(), decoder.detach()
            first, self._name = self._number, None
            self._restore(stage)
        saved = looked = time.monotonic()
        with tqdm(total=stage.rounds, initial=first, desc=name, disable=None if self.progress else True) as bar:
            for number in range(first, stage.rounds):
                stage.step(number)
                bar.update()
                now = time.monotonic()
                if self.progress and now - looked > LOOK_EVERY:
                    bar.set_postfix_str(self.look(*stage.weights))
                    looked = now
                if self.checkpoint and now - saved > SAVE_EVERY:
                    self._save(self.checkpoint, name, number + 1, stage.state())
                    saved = now
            encoder, decoder = (weights.detach() for weights in stage.weights)
            if self.progress:
                bar.set_postfix_str(self.look(encoder, decoder))
        if self.checkpoint:
            self._save(self.checkpoint, name, stage.rounds, stage.state())
        return encoder, decoder

    def finish(self) -> None:
        """Remove the checkpoint."""
        if self._name is not None:
            raise FileFormatError(f"the checkpoint {self.checkpoint}", got=f"no stage {self._name!r}", mend=MEND)
        if self.checkpoint:
            self.checkpoint.unlink(missing_ok=True)

    def look(self, encoder: torch.Tensor, decoder: torch.Tensor) -> str:
        """Loss, reconstruction error and negative mass, in words."""
        some = slice(None, None, max(len(self.objective.points) // LOOKED_AT, 1))
        with torch.no_grad():
            points = self.objective.points[some]
            encoder, decoder = encoder.to(points.dtype), decoder.to(points.dtype)
            off = (points @ encoder.T @ decoder.T - points).norm(dim=1).mean(dim=0) @ self.objective.weight
            loss = self.objective.data(encoder, decoder, some) + self.objective.penalty(encoder, decoder)
            negative = [float(-W.clamp(max=0).sum() / W.abs().sum()) for W in (encoder, decoder)]
        return f"loss {1000 * loss:.2f} mm, off {1000 * off:.1f} mm, negative {negative[0]:.1%} / {negative[1]:.1%}"

    def _restore(self, stage: Stage) -> None:
        try:
            stage.restore(self._state)
        except (KeyError, IndexError, ValueError, RuntimeError) as error:
            raise FileFormatError(f"the checkpoint {self.checkpoint} cannot be read", got=error, mend=MEND) from error

    def _save(self, path: Path, name: str, number: int, state: Tensors) -> None:
        from safetensors.torch import save_file

        about = {"identity": self.identity, "stage": name, "number": str(number)}
        kept = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in state.items()}
        with replacing(path) as temporary:
            save_file(kept, temporary, metadata=about)

    def _read(self) -> tuple[str | None, int, Tensors]:
        """The interrupted stage, the next step of it, and its state."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return None, 0, {}
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.checkpoint, framework="pt") as file:
                about = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            name, number, identity = about["stage"], int(about["number"]), about["identity"]
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise FileFormatError(f"the checkpoint {self.checkpoint} cannot be read", got=error, mend=MEND) from error
        if identity != self.identity:
            raise InputError(f"the checkpoint {self.checkpoint} is of a fit with other poses or settings", mend=MEND)
        return name, number, state


def _identity(objective: Objective, settings: Any) -> str:
    """What tells a fit from another: its settings, its poses, and what each joint counts and mirrors."""
    points = objective.points
    digest = hashlib.sha256(json.dumps([str(settings), list(points.shape)]).encode())
    for tensor in (points[:: max(len(points) // 100, 1)], objective.weight, objective.mirror):
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return digest.hexdigest()
