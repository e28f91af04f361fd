"""How fast a network is trained: python -m benchmarks.train [--config NAME] [--batch N] [--write]

Three things in turn, several rounds of each, in one process: the whole training step (loader, crops, augmentation,
forward, losses, backward, AdamW, norms), the loader alone, and the same network's bare forward and backward pass on a
batch that lies in memory. --write puts the table into docs/speed.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch

from benchmarks.report import ROOT, printed, write_block
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

#: What is wanted of the whole step, as a share of the bare network.
WANTED = 0.85
#: The paper's EfficientNetV2-S on crops of 256 pixels: 400,000 steps of 128 examples in two days of an A40.
PAPER = 400_000 * 128 / (48 * 3600)


@dataclass
class Rig:
    """A configuration's network and data, and images a second of its parts; `steps` are timed in each round."""

    config: Config
    folder: Path
    steps: int
    round: int = 0
    busy: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fabric = launched(self.config.machine)
        self.sources = open_sources(self.config.data)
        torch.manual_seed(0)
        form = torch.channels_last if self.config.machine.channels_last else torch.contiguous_format
        self.network = PoseNetwork(self.config.design, len(self.sources.joints))
        self.network.to(self.fabric.device, memory_format=form)  # type: ignore[call-overload]
        self.objective = Objective(self.config.losses, names2d_matrix(self.sources.joints))
        self.batch = self.sources.mixture.size
        #: Steps until the loader's processes are as far ahead as they stay; as many follow those that are timed.
        self.ahead = AHEAD * self.config.data.workers + 2
        examples = self._data()[0][0].to(self.fabric.device)
        self.images, self.intrinsics = examples.images.contiguous(memory_format=form), examples.intrinsics

    def whole(self) -> float:
        """Training as it is, timed where steps begin."""
        begun = []

        def rates(step: int) -> Rates:
            begun.append(time.perf_counter())
            return self.config.initial.schedule.initial(step, 1000)

        self.round += 1
        never, data = 10**9, self._data()
        plan = Plan(
            folder=self.folder / f"round-{self.round}", identity="measured", seed=self.round, steps=never,
            frozen_steps=0, rates=rates, weight_decay=0.02, weak_perspective_steps=0, max_norm=self.config.max_norm,
            ema=self.config.ema, workers=self.config.data.workers, checkpoint_every=never, checkpoints=1,
            log_every=self.config.keeping.log_every, validate_every=never, precision=self.config.machine.precision,
            channels_last=self.config.machine.channels_last,
        )  # fmt: skip
        loop = Loop(
            self.fabric, plan, self.network, self.objective, data,
            validate=lambda network: {}, before_frozen=lambda network: None, progress=False,
        )  # fmt: skip
        with _watched(self.fabric.device, self.busy):
            loop.run()
        return self._rate(begun[self.ahead + self.steps] - begun[self.ahead])

    def loader(self) -> float:
        """The loader alone, as nothing else waits for it."""
        steps = loader(self._data(), self.config.data.workers)
        for _ in islice(steps, self.ahead):
            pass
        start = time.perf_counter()
        for _ in islice(steps, self.steps):
            pass
        took = time.perf_counter() - start
        steps.close()  # type: ignore[attr-defined]
        return self._rate(took)

    def bare(self) -> float:
        """The network forward and backward on one batch, the mean of what it puts out as its loss."""
        for _ in range(2):
            self._forward_backward()
        _finish(self.fabric.device)
        start = time.perf_counter()
        for _ in range(self.steps):
            self._forward_backward()
        _finish(self.fabric.device)
        return self._rate(time.perf_counter() - start)

    def _forward_backward(self) -> None:
        self.network.zero_grad()
        with self.fabric.autocast():
            joints = self.network.train()(self.images, self.intrinsics).joints
        joints.mean().backward()

    def _data(self) -> TrainingData:
        return TrainingData(
            self.sources.store, self.sources.joints, self.config.design.side, self.sources.mixture,
            steps=self.steps + 2 * self.ahead, seed=self.round, augmentation=self.config.augmentation,
        )  # fmt: skip

    def _rate(self, seconds: float) -> float:
        return self.steps * self.batch / seconds


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _watched:
    """Notes while it is open how busy a GPU is, in per cent; on a CPU nothing."""

    def __init__(self, device: torch.device, busy: list[float]):
        self.busy, self.stop = busy, threading.Event()
        self.thread = threading.Thread(target=self._watch) if device.type == "cuda" else None

    def __enter__(self) -> None:
        if self.thread:
            self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        if self.thread:
            self.thread.join()

    def _watch(self) -> None:
        while not self.stop.wait(0.2):
            try:
                self.busy.append(torch.cuda.utilization())
            except ModuleNotFoundError:  # nvidia-ml-py is not installed
                return


def configuration(name: str, folder: Path, batch: int | None, workers: int | None) -> Config:
    """A ready configuration on a store of our own, its backbone not downloaded; changed in size where that is said."""
    config = read_config(name, ["design.pretrained=false"])
    own = mixture(config.data.mixture)
    size = batch or own.size
    data = config.data.model_copy(
        update={
            "store": write_training_store(folder, config.design.side), "judged": ("test",), "formats": (),
            "mixture": as_mixture(size, size * own.batch_2d // own.size), "truth": None,
            "workers": config.data.workers if workers is None else workers,
        }
    )  # fmt: skip
    return config.model_copy(update={"data": data})


def measured(rig: Rig, rounds: int) -> dict[str, list[float]]:
    """Images a second of the three, round after round."""
    tasks: dict[str, Callable[[], float]] = {"bare": rig.bare, "whole": rig.whole, "loader": rig.loader}
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            found[name].append(task())
    return found


def report(rig: Rig, name: str, rounds: int) -> Iterator[str]:
    config, machine = rig.config, rig.config.machine
    cuda = rig.fabric.device.type == "cuda"
    where = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads, load {_load():.1f}"
    yield (
        f"`{name}`: {config.design.backbone}, crops of {config.design.side} pixels, batches of {rig.batch}, ghost "
        f"batches of {' + '.join(map(str, config.design.ghost))}, {machine.precision}, {config.data.workers} processes "
        f"that prepare examples. {where}; medians of {rounds} rounds of {rig.steps} steps each."
    )
    found = measured(rig, rounds)
    ratio = {n: statistics.median(a / b for a, b in zip(rates, found["bare"], strict=True))
             for n, rates in found.items()}  # fmt: skip
    yield from ("", "| what | images/s | share of the bare network | wanted |", "|---|---|---|---|")
    for part, what, wanted in (("bare", "the bare network, forward and backward", ""),
                               ("whole", "the whole training step", f"{WANTED} or more"),
                               ("loader", "the loader alone", "")):  # fmt: skip
        yield f"| {what} | {statistics.median(found[part]):,.1f} | {ratio[part]:.2f} | {wanted} |"
    if rig.busy:
        yield f"| the GPU is busy during training, of the time | {statistics.mean(rig.busy):.0f} % | | |"
    if config.design.backbone == "tf_efficientnetv2_s" and config.design.side == 256:
        yield f"| the paper's training on an A40: 400,000 steps of 128 in two days | {PAPER:,.0f} | | |"


def _load() -> float:
    return os.getloadavg()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="tiny-cpu", choices=["tiny-cpu", "virtual-gpu", "paper-s"])
    parser.add_argument("--batch", type=int, help="examples a batch, if not as configured")
    parser.add_argument("--workers", type=int, help="processes that prepare examples, if not as configured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="steps that are timed in each round")
    parser.add_argument("--write", action="store_true", help="write docs/speed.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(options.config, Path(folder), options.batch, options.workers)
        lines = printed(report(Rig(config, Path(folder), options.steps), options.config, options.rounds))
    if options.write:
        write_block(ROOT / "docs" / "speed.md", f"training {options.config}", lines)


if __name__ == "__main__":
    main()
