"""How fast a network is trained: python -m benchmarks.train [--config NAME] [--batch N] [--set KEY=VALUE] [--write]

Three things in turn, several rounds of each, in one process: the whole training step (loader, crops, augmentation,
forward, losses, backward, AdamW, norms), the loader alone, and the same network's bare forward and backward pass on a
batch that lies in memory. --write puts the table into docs/speed.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import ROOT, printed, write_block
from skelbridge.train.command import let_threads_sleep

if TYPE_CHECKING:
    from benchmarks.train_rig import Rig

#: What is wanted of the whole step, as a share of the bare network.
WANTED = 0.85
#: The paper's EfficientNetV2-S on crops of 256 pixels: 400,000 steps of 128 examples in two days of an A40.
PAPER = 400_000 * 128 / (48 * 3600)


def report(rig: Rig, name: str) -> Iterator[str]:
    design, spent = rig.config.design, rig.spent
    rig.run()
    yield (
        f"`{name}`: {design.backbone}, crops of {design.side} pixels, batches of {rig.batch}, ghost batches of "
        f"{' + '.join(map(str, design.ghost))}, {rig.config.machine.precision}; processes of the loader: "
        f"{rig.config.data.workers}. {rig.where}; medians of {len(spent['bare'])} rounds of {rig.steps} steps."
    )
    yield from ("", "| what | images/s | share of the bare network | wanted |", "|---|---|---|---|")
    for part, what, wanted in (("bare", "the bare network, forward and backward", ""),
                               ("whole", "the whole training step", f"{WANTED} or more"),
                               ("loader", "the loader alone", "")):  # fmt: skip
        rate = statistics.median(rig.steps * rig.batch / one.wall for one in spent[part])
        yield f"| {what} | {rate:,.1f} | {_ratio(rig, part, 'wall'):.2f} | {wanted} |"
    if rig.fabric.device.type == "cpu":
        yield f"| the whole training step, by time of the CPU | | {_ratio(rig, 'whole', 'cpu'):.2f} | |"
    if rig.busy:
        yield f"| the GPU is busy in the whole training step | | {statistics.mean(rig.busy):.2f} | |"
    if design.backbone == "tf_efficientnetv2_s" and design.side == 256:
        yield f"| the paper's training on an A40: 400,000 steps of 128 in two days | {PAPER:,.0f} | | |"


def _ratio(rig: Rig, part: str, spent: str) -> float:
    """How much less the bare network spends than a part does, the median over the rounds."""
    pairs = zip(rig.spent["bare"], rig.spent[part], strict=True)
    return statistics.median(getattr(bare, spent) / getattr(other, spent) for bare, other in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="tiny-cpu", choices=["tiny-cpu", "virtual-gpu", "paper-s"])
    parser.add_argument("--batch", type=int, help="examples a batch, if not as configured")
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE",
                        help="change a field of the configuration, such as data.workers=1")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="steps that are timed in each round")
    parser.add_argument("--write", action="store_true", help="write docs/speed.md")
    options = parser.parse_args()
    let_threads_sleep()
    from benchmarks.train_rig import Rig, configuration

    with tempfile.TemporaryDirectory() as folder:
        config = configuration(options.config, Path(folder), options.batch, options.changes)
        lines = printed(report(Rig(config, Path(folder), options.rounds, options.steps), options.config))
    if options.write:
        write_block(ROOT / "docs" / "speed.md", f"training {options.config}", lines)


if __name__ == "__main__":
    main()
