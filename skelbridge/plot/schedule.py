"""The learning rates of a training, after Fig. S1 of the paper's supplement."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from skelbridge.plot.ink import QUIET, canvas, heading, styled
from skelbridge.train.schedule import Rates, Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEAD, _BACKBONE, _BOTH = "#D55E00", "#0072B2", "#4A5260"


@styled
def plot_schedule(
    initial: Schedule | None = None, steps: int = 400_000, fine: Schedule | None = None, fine_steps: int = 40_000
) -> Figure:
    """Learning rates of initial training and of fine-tuning, where head and backbone have their own; log axis.

    steps and fine_steps are shown at different scales. Without schedules, those of the paper.
    """
    initial = initial or Schedule()
    fine = fine or initial
    figure = canvas(8.0, 3.6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.6, 1))
    figure.subplots_adjust(left=0.085, right=0.975, bottom=0.135, top=0.76, wspace=0.1)
    _curve(left, lambda step: initial.initial(step, steps).head, steps, _BOTH, "the whole network")
    _curve(right, lambda step: fine.fine_tuning(step, fine_steps).head, fine_steps, _HEAD, "head")
    _curve(right, lambda step: fine.fine_tuning(step, fine_steps).backbone, fine_steps, _BACKBONE, "backbone")
    _values(left, initial.initial, steps, initial.drop_at)
    _values(right, fine.fine_tuning, fine_steps, fine.head_drop_at)
    for axes, title, count in ((left, "initial training", steps), (right, "fine-tuning", fine_steps)):
        axes.set(yscale="log", xlim=(0, count), xlabel="step", title=title)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x >= 1000 else f"{x:g}")
        axes.grid(True)
    left.set_ylabel("learning rate")
    low, high = left.get_ylim()
    left.set_ylim(low / 1.15, high * 1.3)
    right.legend(loc="upper right", handlelength=1.4)
    heading(figure, "Learning rates", "a decay, a drop, a decay; fine-tuning restarts the head alone")
    return figure


def _curve(axes: Axes, rate: Callable[[float], float], steps: int, colour: str, label: str) -> None:
    """One rate against the step, through every step there is or a few thousand of them."""
    at = np.linspace(0, steps, min(steps, 4000) + 1)
    axes.plot(at, [rate(step) for step in at], color=colour, linewidth=2, label=label)


def _values(axes: Axes, rates: Callable[[float, int], Rates], steps: int, drop_at: float) -> None:
    """The head's rates at the corners of its curve."""
    drop = drop_at * steps
    corners = [(0.0, (5, 5), "left"), (np.nextafter(drop, 0), (4, 4), "left"), (drop, (4, 2), "left"),
               (float(steps), (-4, -10), "right")]  # fmt: skip
    for step, offset, side in corners:
        rate = rates(step, steps).head
        axes.annotate(
            f"{rate:.2e}".replace("e-0", "e-"), (step, rate), offset, textcoords="offset points", ha=side, fontsize=7,
            color=QUIET, annotation_clip=False, gid="value",
        )  # fmt: skip
