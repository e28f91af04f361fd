"""Where the triangulated points lie on the virtual body, beside the places that the cards give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.body_measures import Points, foot_axes, leg, of_format, trunk_axes
from skelbridge.bridge import rest_body
from skelbridge.plot.ink import INK, VIEWS, canvas, draw_body, heading, panel, styled
from skelbridge.skeletons import Skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

COLOURS = ("#D55E00", "#0072B2")
#: Panel -> view, joints, lowest and highest corner of what is shown (view axes), mm.
PANELS: dict[str, tuple[str, tuple[str, ...], Array, Array]] = {
    "foot, from its left": (
        "side",
        ("left_ankle", "left_heel", "left_big_toe", "left_small_toe"),
        np.array([-265.0, -925.0]),
        np.array([110.0, -730.0]),
    ),
    "trunk, from the front": (
        "front",
        ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
        np.array([-260.0, -120.0]),
        np.array([260.0, 560.0]),
    ),
}


def placed(points: Points, card: Points, joint: str) -> Array:
    """A person's joint on the rest body, (3,): its median offset in the axes of foot or trunk, put onto the card's.

    Feet hang on the ankle, the trunk on the middle of the hips; the person is scaled to the card's legs.
    """
    foot = joint.removeprefix("left_") in ("ankle", "heel", "big_toe", "small_toe")
    (origin, axes), (rest_origin, rest_axes) = (foot_axes(p, "left") if foot else trunk_axes(p) for p in (points, card))
    if foot:
        origin, rest_origin = points("left_ankle"), card("left_ankle")
    local = np.nanmedian(np.einsum("kni,ni->nk", axes, points(joint) - origin), axis=0) * leg(card) / leg(points)
    return np.asarray(rest_origin[0] + np.einsum("k,ki->i", local, rest_axes[:, 0]))


@styled
def plot_evidence(people: Sequence[tuple[str, Skeleton, Array]]) -> Figure:
    """The places of people (who, card, points (frames, joints, 3)) and of the cards, on the rest body."""
    figure = canvas(7.9, 4.3)
    heading(figure, "Detected points beside the cards' places", "circles: the cards; dots: medians of one person each")
    for row, ((who, card, _), colour) in enumerate(zip(people, COLOURS, strict=False)):
        figure.text(0.3 / 7.9, 0.8 - 0.05 * row, f"● {who} ({card})", color=colour, fontsize=8)
    left = 0.3
    for title, (view, joints, low, high) in PANELS.items():
        scale = max((high - low)[1] / 3.7, (high - low)[0] / 4.3)
        axes = panel(figure, (left, 0.3), low, high, scale)
        axes.set_title(title, fontsize=8, fontweight="normal")
        draw_body(axes, VIEWS[view])
        for (_, card, points), colour in zip(people, COLOURS, strict=False):
            _draw(axes, card, points, joints, VIEWS[view], colour)
        left += (high - low)[0] / scale + 0.3
    return figure


def _draw(axes: Axes, card: Skeleton, points: Array, joints: Sequence[str], view: NDArray, colour: str) -> None:
    rest = of_format((card.placement @ rest_body().landmarks)[None], card)
    for joint in joints:
        start, end = (view @ at for at in (rest(joint)[0], placed(of_format(points, card), rest, joint)))
        axes.plot(*np.stack([start, end])[:, :2].T, color=colour, linewidth=1.2, zorder=5)
        axes.scatter(start[0], start[1], s=40, facecolors="none", edgecolors=INK, linewidths=1.0, zorder=4)
        axes.scatter(end[0], end[1], s=18, color=colour, edgecolors="white", linewidths=0.5, zorder=6)
