"""Training that is interrupted to time what it is made of; see `benchmarks.train`."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from benchmarks.train_store import as_mixture, write_training_store
from skelbridge.estimator.consistency import Objective
from skelbridge.estimator.names2d import names2d_matrix
from skelbridge.estimator.network import PoseNetwork
from skelbridge.store import mixture
from skelbridge.train.config import Config, read_config
from skelbridge.train.data import AHEAD, TrainingData, loader
from skelbridge.train.loop import Loop, Plan
from skelbridge.train.schedule import Rates
from skelbridge.train.sources import open_sources
from skelbridge.train.stages import launched

#: Seconds in which the processes that prepare examples for training are done with those that wait for it.
SETTLED = 1.0


def configuration(name: str, folder: Path, batch: int | None = None, changes: Sequence[str] = ()) -> Config:
    """A ready configuration on a store of our own, its backbone not downloaded; with another batch and other changes
    where they are said."""
    config = read_config(name, ["design.pretrained=false", *changes])
    own = mixture(config.data.mixture)
    size = batch or own.size
    update = {
        "store": write_training_store(folder, config.design.side), "judged": ("test",), "formats": (), "truth": None,
        "mixture": as_mixture(size, size * own.batch_2d // own.size),
    }  # fmt: skip
    return config.model_copy(update={"data": config.data.model_copy(update=update)})


@dataclass
class Spent:
    """Seconds on the clock and of the CPU, the latter by this process and those that prepare examples for it."""

    wall: float
    cpu: float

    @classmethod
    def so_far(cls) -> Spent:
        processes = [f"/proc/{process.pid}/stat" for process in multiprocessing.active_children()]
        figures = [Path(path).read_text().rpartition(")")[2].split()[11:13] for path in processes]
        ticks = sum(int(ticks) for user_and_system in figures for ticks in user_and_system)
        return cls(time.perf_counter(), time.process_time() + ticks / os.sysconf("SC_CLK_TCK"))

    def since(self, start: Spent) -> Spent:
        return Spent(self.wall - start.wall, self.cpu - start.cpu)


class Rig:
    """A configuration's training, which is interrupted to time the bare network and the loader alone.

    steps: are timed of each in every round. spent: what these steps took, round after round.
    """

    def __init__(self, config: Config, folder: Path, rounds: int, steps: int):
        self.config, self.folder, self.steps = config, folder, steps
        self.fabric, self.sources = launched(config.machine), open_sources(config.data)
        self.batch = self.sources.mixture.size
        #: Steps of training until its loader is as far ahead as it stays.
        self.settle = AHEAD * config.data.workers + 2
        self.all_steps = rounds * (self.settle + steps) + 1
        self.spent: dict[str, list[Spent]] = {"whole": [], "bare": [], "loader": []}
        self.busy: list[float] = []
        self._begun = Spent(0, 0)
        form = torch.channels_last if config.machine.channels_last else torch.contiguous_format
        torch.manual_seed(0)
        self.network = PoseNetwork(config.design, len(self.sources.joints))
        self.network.to(self.fabric.device, memory_format=form)  # type: ignore[call-overload]
        examples = self._data(1)[0][0].to(self.fabric.device)
        self._images, self._intrinsics = examples.images.contiguous(memory_format=form), examples.intrinsics

    @property
    def where(self) -> str:
        """The device, in words."""
        if self.fabric.device.type == "cuda":
            return torch.cuda.get_device_name(self.fabric.device)
        return f"CPU, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"

    def run(self) -> None:
        """Train, and interrupt it."""
        config, never, objective = self.config, 10**9, names2d_matrix(self.sources.joints)
        plan = Plan(
            folder=self.folder / "stage", identity="measured", seed=0, steps=never, frozen_steps=0, rates=self._rates,
            weight_decay=0.02, weak_perspective_steps=0, max_norm=config.max_norm, ema=config.ema,
            workers=config.data.workers, checkpoint_every=never, checkpoints=1, log_every=config.keeping.log_every,
            validate_every=never, precision=config.machine.precision, channels_last=config.machine.channels_last,
        )  # fmt: skip
        loop = Loop(
            self.fabric, plan, self.network, Objective(config.losses, objective),
            self._data(self.all_steps + self.settle),  # to the end of what is timed, more is prepared
            validate=lambda network: {}, before_frozen=lambda network: None, progress=False,
        )  # fmt: skip
        loop.run()

    def _rates(self, step: int) -> Rates:
        """What a step asks for as it begins: here it is timed, and training is interrupted."""
        number, place = divmod(step, self.settle + self.steps)
        if number and place == 0 and step < self.all_steps:
            self.spent["whole"].append(Spent.so_far().since(self._begun))
            self._look_at_gpu()
            self._time_bare()
            self._time_loader(number)
        if place == self.settle:
            self._begun = Spent.so_far()
        return self.config.initial.schedule.initial(0, 1)

    def _look_at_gpu(self) -> None:
        """Note the share of the last moments that the GPU was busy, where there is one and nvidia-ml-py."""
        if self.fabric.device.type == "cuda":
            with suppress(ModuleNotFoundError):
                self.busy.append(torch.cuda.utilization(self.fabric.device) / 100)

    def _time_bare(self) -> None:
        """The network forward and backward on one batch, as soon as nothing is prepared for training any more."""
        until = time.perf_counter() + SETTLED
        while time.perf_counter() < until:
            self._forward_backward()
        self._finish()
        start = Spent.so_far()
        for _ in range(self.steps):
            self._forward_backward()
        self._finish()
        self.spent["bare"].append(Spent.so_far().since(start))

    def _forward_backward(self) -> None:
        self.network.zero_grad()
        with self.fabric.autocast():
            joints = self.network(self._images, self._intrinsics).joints
        joints.mean().backward()

    def _time_loader(self, number: int) -> None:
        """The loader alone, which nothing waits for."""
        steps = loader(self._data(2 * self.settle + self.steps, number), self.config.data.workers)
        for _ in islice(steps, self.settle):
            pass
        start = Spent.so_far()
        for _ in islice(steps, self.steps):
            pass
        self.spent["loader"].append(Spent.so_far().since(start))
        steps.close()  # type: ignore[attr-defined]

    def _data(self, steps: int, seed: int = 0) -> TrainingData:
        return TrainingData(
            self.sources.store, self.sources.joints, self.config.design.side, self.sources.mixture,
            steps=steps, seed=seed, augmentation=self.config.augmentation,
        )  # fmt: skip

    def _finish(self) -> None:
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize(self.fabric.device)
