"""The loop: steps of optimisation from wherever a stage was left, with a log, checkpoints and validation.

Step k is a function of the weights before it, the seed and k alone: its batch, its random numbers, its learning rates.
So a run that was stopped anywhere goes on to the same bits. A step whose gradient is not finite leaves no trace.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from skelbridge.errors import SkelbridgeError
from skelbridge.estimator.consistency import Objective
from skelbridge.estimator.examples import Examples
from skelbridge.estimator.ghost import synchronise
from skelbridge.estimator.network import PoseNetwork
from skelbridge.estimator.norms import constrain_norms
from skelbridge.train.checkpoint import Checkpoint, Checkpoints
from skelbridge.train.data import TrainingData, loader
from skelbridge.train.log import Log
from skelbridge.train.optimiser import (
    Ema,
    load_optimiser_state,
    make_optimiser,
    optimiser_state,
    set_rates,
)
from skelbridge.train.schedule import Rates

#: Steps in a row without a finite gradient after which a training stops: with dynamic scaling of losses some are usual.
MOST_SKIPPED = 40

#: What random numbers of a step are for.
_MIX, _LAYERS = 0, 1


@dataclass(frozen=True)
class Plan:
    """How a stage is optimised.

    steps: all; the last `frozen_steps` with batch normalisation in inference mode. rates: learning rates of head and
    backbone at a step. weight_decay: of AdamW. weak_perspective_steps: first steps that place people by size alone.
    channels_last: how pictures, features and filters lie in memory; convolutions are faster so.
    """

    folder: Path
    identity: str
    seed: int
    steps: int
    frozen_steps: int
    rates: Callable[[int], Rates]
    weight_decay: float
    weak_perspective_steps: int
    max_norm: float | None
    ema: float | None
    workers: int
    checkpoint_every: int
    checkpoints: int
    log_every: int
    validate_every: int
    precision: str = "32-true"
    channels_last: bool = True

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


class Step(nn.Module):
    """Network and objective as one module, which is what processes on several devices share."""

    def __init__(self, network: PoseNetwork, objective: Objective, plan: Plan, batch: int):
        super().__init__()
        self.network, self.objective, self.plan, self.batch = network, objective, plan, batch

    def forward(self, examples: Examples, step: int) -> dict[str, Tensor]:
        """The loss at a step and all its terms."""
        frozen = step >= self.plan.steps - self.plan.frozen_steps
        weak = step < self.plan.weak_perspective_steps
        mix = None if frozen else self._mix(examples, step)
        images = examples.images.contiguous(memory_format=self.plan.memory_format)
        prediction = self.network(images, examples.intrinsics, weak_perspective=weak, mix=mix)
        return self.objective(prediction, examples, step)

    def _mix(self, examples: Examples, step: int) -> Tensor:
        """For each example how much its 3D head counts against its 2D head, (B,), drawn for the whole batch."""
        generator = torch.Generator().manual_seed(_key(self.plan.seed, step, _MIX))
        drawn = torch.rand(self.batch, generator=generator)
        return drawn.to(examples.images.device)[examples.numbers]


class Loop:
    """One stage on this process's device.

    validate: the network as it would be used -> figures for the log. before_frozen: called once, as batch
    normalisation is about to freeze, with the network.
    """

    def __init__(
        self,
        fabric: Fabric,
        plan: Plan,
        network: PoseNetwork,
        objective: Objective,
        data: TrainingData,
        *,
        validate: Callable[[PoseNetwork], Mapping[str, float]],
        before_frozen: Callable[[PoseNetwork], None],
        progress: bool = True,
    ):
        self.fabric, self.plan, self.network, self.data = fabric, plan, network, data
        self.validate, self.before_frozen, self.progress = validate, before_frozen, progress
        network.to(fabric.device, memory_format=plan.memory_format)  # type: ignore[call-overload]
        objective.to(fabric.device)
        self._scales = plan.precision == "16-mixed"
        self.optimiser = make_optimiser(network, plan.weight_decay, scaled=self._scales)
        self.step_module, self.stepper = fabric.setup(
            Step(network, objective, plan, data.batch), self.optimiser, move_to_device=False
        )
        self.ema = Ema(network, plan.ema) if plan.ema else None
        self.checkpoints = Checkpoints(plan.folder / "checkpoints", plan.identity, plan.checkpoints)
        self.counts = {"skipped": 0, "in a row": 0, "broken": 0}
        self._statistics = [buffer for buffer in network.buffers() if buffer.is_floating_point()]

    def run(self) -> None:
        """Go on from the newest checkpoint to the end.

        Raises KeyboardInterrupt after SIGINT or SIGTERM, and SkelbridgeError where gradients stay infinite or a
        checkpoint cannot be written; the same call goes on from the last checkpoint.
        """
        start = self._resume()
        first = self.fabric.is_global_zero
        log = Log(self.plan.folder, start) if first else None
        shown = None if self.progress and first else True
        with (
            tqdm(total=self.plan.steps, initial=start, desc=self.plan.folder.name, unit="step", disable=shown) as bar,
            _stop_signal() as stopping,
        ):
            for step, (examples, broken) in enumerate(loader(self.data, self.plan.workers, start), start):
                if step == self.plan.steps - self.plan.frozen_steps and first:
                    with self.in_use():
                        self.before_frozen(self.network)
                terms = self._step(examples.to(self.fabric.device), step)
                told, stop = self._told(terms, broken, stopping.is_set())
                bar.update()
                bar.set_postfix(loss=f"{told['loss']:.4f}", refresh=False)
                if log:
                    log.add(step + 1, told, every=self.plan.log_every)
                self._look_back(step + 1, log, stop)
                if stop:
                    raise KeyboardInterrupt(f"the same command goes on from step {step + 1}")
        if log:
            log.close()

    def in_use(self) -> AbstractContextManager[Any]:
        """Within it the network is as it would be used: with the averaged weights, where there are such."""
        return self.ema.swapped() if self.ema else nullcontext()

    def _step(self, examples: Examples, step: int) -> dict[str, Tensor]:
        """One step of optimisation; the terms of its loss, and the norm of the gradient."""
        if step >= self.plan.steps - self.plan.frozen_steps:
            self.network.set_inference_mode()
        self.network.train()
        set_rates(self.optimiser, self.plan.rates(step))
        torch.manual_seed(_key(self.plan.seed, step, _LAYERS + self.fabric.global_rank))
        before = [statistic.clone() for statistic in self._statistics]
        terms = self.step_module(examples, step)
        self.stepper.zero_grad()
        self.fabric.backward(terms["loss"])
        norm: Any = self.fabric.clip_gradients(  # without a bound: the norm is what is asked for
            self.step_module, self.stepper, max_norm=math.inf, error_if_nonfinite=False
        )
        finite = bool(torch.isfinite(norm))
        if finite or self._scales:  # the scaler of losses skips by itself, and learns from it
            self.stepper.step()
        if finite:
            self._after_update()
        else:
            for statistic, value in zip(self._statistics, before, strict=True):
                statistic.copy_(value)
        self._count_skipped(finite, step)
        return {**{name: term.detach() for name, term in terms.items()}, "gradient": norm.detach()}

    def _after_update(self) -> None:
        synchronise(self.network)
        if self.plan.max_norm:
            constrain_norms(self.network, self.plan.max_norm)
        if self.ema:
            self.ema.update()

    def _count_skipped(self, finite: bool, step: int) -> None:
        """Count steps that were skipped; too many in a row are an error."""
        self.counts["in a row"] = 0 if finite else self.counts["in a row"] + 1
        self.counts["skipped"] += not finite
        if self.counts["in a row"] >= MOST_SKIPPED:
            raise SkelbridgeError(
                f"{self.plan.folder.name}: the gradient was not finite in {MOST_SKIPPED} steps in a row",
                expected="finite losses", got=f"none up to step {step + 1}",
                mend="Lower the learning rate, or set machine.precision to 32-true; the last checkpoint stays.",
            )  # fmt: skip

    def _told(self, terms: Mapping[str, Tensor], broken: int, stop: bool) -> tuple[dict[str, float], bool]:
        """Means over processes of the terms, and whether any process is to stop; counts broken pictures."""
        values = torch.stack([value.float().reshape(()) for value in terms.values()])
        others = values.new_tensor([float(broken), float(stop)])
        shared: Any = self.fabric.all_reduce(torch.cat([values, others]), reduce_op="mean")
        *means, broken_mean, stops = shared.tolist()
        self.counts["broken"] += round(broken_mean * self.fabric.world_size)
        rates = {f"rate/{group['part']}": float(group["lr"]) for group in self.optimiser.param_groups}
        told = dict(zip(terms, means, strict=True)) | rates
        return told | {"skipped": self.counts["skipped"], "broken": self.counts["broken"]}, stops > 0

    def _look_back(self, done: int, log: Log | None, stop: bool) -> None:
        """Checkpoint and validation where they are due, after so many steps."""
        last = done == self.plan.steps
        if stop or last or done % self.plan.checkpoint_every == 0:
            self._save(done)
        if log and not stop and (last or done % self.plan.validate_every == 0):
            with self.in_use():
                log.say(done, {f"validation/{name}": value for name, value in self.validate(self.network).items()})
        self.fabric.barrier()

    def _save(self, done: int) -> None:
        if not self.fabric.is_global_zero:
            return
        moments, settings = optimiser_state(self.optimiser)
        parts: dict[str, Mapping[str, Tensor]] = {
            "network": self.network.state_dict(),
            "optimiser": moments,
            "ema": self.ema.state() if self.ema else {},
        }
        tensors = {f"{part}/{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
        about = {"counts": self.counts, "optimiser": settings, "scaler": self.fabric._precision.state_dict()}
        self.checkpoints.save(Checkpoint(done, tensors, about))

    def _resume(self) -> int:
        """Put back the newest checkpoint; the step that is due."""
        found = self.checkpoints.newest()
        if found is None:
            return 0
        self.network.load_state_dict(found.part("network"))
        load_optimiser_state(self.optimiser, found.part("optimiser"), found.about["optimiser"])
        if self.ema:
            self.ema.load(found.part("ema"))
        self.fabric._precision.load_state_dict(found.about["scaler"])
        self.counts.update(found.about["counts"])
        return found.step


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, in place of stopping at once; a second SIGINT stops at once."""
    stopping = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stopping.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopping.set()

    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _key(seed: int, step: int, purpose: int) -> int:
    """A seed of torch for one purpose at one step."""
    return int(np.random.SeedSequence([seed, step, purpose]).generate_state(1, np.uint64)[0] >> 1)
