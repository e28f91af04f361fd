"""What recordings say about a format's places, beside what its card said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skelbridge.bridge import rest_body
from skelbridge.plot.ink import (
    COLOURS,
    INK,
    QUIET,
    VIEWS,
    body_box,
    canvas,
    draw_body,
    draw_rings,
    heading,
    joint_sides,
    panel,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from skelbridge.body.calibrate import Calibration

#: Millimetres of the body an inch of the picture.
_SCALE = 260.0


@styled
def plot_calibration(calibration: Calibration) -> Figure:
    """A calibration on the rest body: an arrow from each joint's own place to the learned one, and a ring of the
    learned uncertainty, from the front and the left; beside them the uncertainties before and after."""
    card, prior = calibration.learned, calibration.learned.prior()
    body = rest_body().landmarks
    before, after = prior.placement @ body, card.placement @ body
    shades = [COLOURS[side] for side in joint_sides(card)]
    low, high = body_box(after)
    widths = [(high - low)[0] / _SCALE, (high - low)[2] / _SCALE]
    height = (high - low)[1] / _SCALE + 1.0
    figure = canvas(sum(widths) + 5.4, height)
    left = 0.2
    for name, width in zip(("front", "side"), widths, strict=True):
        view = VIEWS[name]
        seen = body_box(after @ view.T)[0], body_box(after @ view.T)[1]
        vertices = rest_body().vertices @ view.T
        seen = np.minimum(seen[0], vertices.min(axis=0) - 30), np.maximum(seen[1], vertices.max(axis=0) + 30)
        axes = panel(figure, (left, 0.2), seen[0][:2], seen[1][:2], _SCALE)
        draw_body(axes, view)
        start, end = (before @ view.T)[:, :2], (after @ view.T)[:, :2]
        draw_rings(axes, end, calibration.card.placement_uncertainty, shades)
        axes.scatter(start[:, 0], start[:, 1], s=7, c=QUIET, zorder=3, linewidths=0)
        for a, b, shade in zip(start, end, shades, strict=True):
            axes.annotate(
                "", b, a, arrowprops={"arrowstyle": "-|>", "color": shade, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
            )
        left += width + 0.2
    _bars(figure, calibration, left)
    taken = "the card takes them" if calibration.improved else "the card keeps its own"
    heading(
        figure,
        f"{card.id}: places learned from {calibration.fit.people} people",
        f"grey dots: the card's own; arrows: to the learned ones; rings: learned uncertainty; {taken}",
    )
    return figure


def _bars(figure: Figure, calibration: Calibration, left: float) -> None:
    """Uncertainties of the joints, own and learned; left and right ones are the same and shown once."""
    card, prior = calibration.card, calibration.learned.prior()
    rows = [row for row, partner in enumerate(card.mirror_index) if row <= partner]
    width, height = figure.get_size_inches()
    axes = figure.add_axes(((left + 1.7) / width, 0.55 / height, (width - left - 1.9) / width, (height - 1.5) / height))
    places = np.arange(len(rows))
    axes.scatter(prior.placement_uncertainty[rows], places, s=16, c=QUIET, label="the card's own", zorder=3)
    axes.scatter(card.placement_uncertainty[rows], places, s=22, c=COLOURS["left"], label="learned", zorder=3)
    axes.scatter(calibration.moved[rows], places, s=18, c=INK, marker="|", label="moved by", zorder=3)
    axes.set_yticks(places, [card.names[row].removeprefix("left_") for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("uncertainty of the place, mm on a body of 1.7 m", fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=7, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
