"""Where formats put the joints that they call by the same name, on one body."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from skelbridge.bridge import rest_body
from skelbridge.errors import InputError, need
from skelbridge.plot.ink import CYCLE, INK, QUIET, VIEWS, Floats, box, canvas, draw_body, heading, panel, styled
from skelbridge.skeletons import Skeleton, skeleton

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The formats and the joints of the figure that shows them all.
MAIN_FORMATS = (
    "coco_17", "body_25", "halpe_26", "mpii_16", "mediapipe_pose_33", "h36m_17", "mpi_inf_3dhp_28", "panoptic_19",
    "cmu_mocap_31", "smpl_24", "smplx_55", "mhr_70", "azure_kinect_32", "xsens_23", "mixamo_22",
)  # fmt: skip
MAIN_WORDS = ("hip", "shoulder", "neck", "pelvis", "head", "head_top")

#: A mark for each place.
MARKS = [(colour, mark) for mark in "osD" for colour in CYCLE]
#: Inches: least and largest side of a square panel, width of the labels, height of a line of them, what lies above.
_PANEL, _LABELS, _LINE, _HEAD = (2.6, 4.0), 2.55, 0.165, 0.6
_LETTERS = 36


class _Place(NamedTuple):
    """One place of a joint, or of its left and right, mm (1 or 2, 3), and the formats that put it there."""

    points: Floats
    users: list[str]

    @property
    def measure(self) -> float:
        """Distance from left to right, or the height above the floor, mm."""
        if len(self.points) == 2:
            return float(np.linalg.norm(self.points[1] - self.points[0]))
        return float(self.points[0, 1] - rest_body().vertices[:, 1].min())

    @property
    def label(self) -> list[str]:
        return [f"{self.measure:.0f} mm", *textwrap.wrap(", ".join(self.users), _LETTERS)]


@styled
def plot_namesakes(words: str | Sequence[str] = MAIN_WORDS, formats: Sequence[str | Skeleton] = MAIN_FORMATS) -> Figure:
    """Where formats put the joints of the same name: each word, or left_word and right_word, on the rest body.

    A block a word: from the left side, from the front, and a label for each place with the formats that share it and
    the distance from left to right, or the height of a central joint. Formats without such a joint, or that do not
    say where it lies, are left out; InputError for a word that none has.
    """
    words = [words] if isinstance(words, str) else list(words)
    blocks = {word: _places(word, [skeleton(format) for format in formats]) for word in words}
    columns = min(len(blocks), 2)
    heights = [_LINE * sum(len(place.label) + 0.4 for place in places) for places in blocks.values()]
    side = float(np.clip(0.55 * max(heights), *_PANEL))
    heights = [max(height, side) + _HEAD for height in heights]
    rows = [max(heights[i : i + columns]) for i in range(0, len(heights), columns)]
    width = 2 * side + _LABELS + 0.9
    figure = canvas(columns * width, sum(rows) + 0.65)
    for i, (word, places) in enumerate(blocks.items()):
        row, column = divmod(i, columns)
        corner = (0.3 + column * width, sum(rows[row + 1 :]) + 0.1)
        _block(figure, corner, (side, rows[row] - _HEAD), word, places)
    heading(figure, "One name, many places", "joints of the same name on one body of 1.7 m")
    return figure


def _places(word: str, cards: Sequence[Skeleton]) -> list[_Place]:
    """The different places, to the mm, of a joint or of its left and right, the highest first."""
    places: dict[tuple[float, ...], _Place] = {}
    for card in cards:
        rows = [card.index(name) for name in (word, f"left_{word}", f"right_{word}") if name in card.names]
        if rows and all(joint.at for joint in card.joints) and card.one_hand == bool(card.side):
            points = card.placement[rows] @ rest_body().landmarks
            place = places.setdefault(tuple(np.round(points).ravel() + 0.0), _Place(points, []))
            place.users.append(str(card))
    if not places:
        raise InputError(f"the joint {word!r}", expected="a joint of one of the formats", got="none so named")
    return sorted(places.values(), key=lambda place: -place.points[0, 1])


def _block(
    figure: Figure, corner: tuple[float, float], room: tuple[float, float], word: str, places: Sequence[_Place]
) -> None:
    """The places of one word, from the side and from the front, and their labels.

    `corner` is the lower left one, `room` the side of a panel and the height of the labels, inches.
    """
    low, high = box(np.concatenate([place.points for place in places]), 45.0)
    half = max(float((high - low).max()) / 2, 110.0)
    side, height = room
    scale = 2 * half / side
    left, bottom = corner[0], corner[1] + (height - side) / 2
    for name in ("side", "front"):
        middle = (VIEWS[name] @ (low + high))[:2] / 2
        axes = panel(figure, (left, bottom), middle - half, middle + half, scale)
        draw_body(axes, VIEWS[name])
        for order, (place, (colour, mark)) in enumerate(zip(places, itertools.cycle(MARKS), strict=False)):
            seen = place.points @ VIEWS[name].T
            if len(seen) == 2 and name == "front":
                axes.plot(seen[:, 0], seen[:, 1], color=colour, linewidth=0.8, alpha=0.6, zorder=3)
            axes.scatter(
                seen[:, 0], seen[:, 1], s=42, marker=mark, color=colour, edgecolors="white", linewidths=0.7,
                zorder=5 + order / 99,
            )  # fmt: skip
        left += side + 0.1
    inner = (left - 0.1 - side, bottom)
    ends = [np.array(inner) + (place.points[0, :2] - middle + half) / scale for place in places]
    _labels(figure, left + 0.2, corner[1] + height, height, places, ends)
    _title(figure, (corner[0], corner[1] + height + 0.1), word, places)


def _labels(
    figure: Figure, left: float, top: float, height: float, places: Sequence[_Place], ends: Sequence[Floats]
) -> None:
    """The labels one below the other from `top` (inches), each with a line to its joint at `ends`."""
    line_type = need("matplotlib.lines", "plot").Line2D
    size = figure.get_size_inches()
    spare = height / _LINE - sum(len(place.label) for place in places)
    gap = min(spare / max(len(places), 1), 1.2)
    y = top - _LINE * (spare - gap * (len(places) - 1)) / 2
    for place, end, (colour, _) in zip(places, ends, itertools.cycle(MARKS), strict=False):
        start = (left - 0.05, y - 0.5 * _LINE)
        line = line_type(*np.transpose([end / size, start / size]), color=colour, linewidth=0.7, alpha=0.8)
        figure.add_artist(line)
        for number, text in enumerate(place.label):
            weight, ink = ("bold", colour) if number == 0 else ("normal", INK)
            x, height_of_line = np.array([left, y - (number + 0.5) * _LINE]) / size
            figure.text(x, height_of_line, text, fontsize=8.5, fontweight=weight, color=ink, va="center")
        y -= (len(place.label) + gap) * _LINE


def _title(figure: Figure, corner: tuple[float, float], word: str, places: Sequence[_Place]) -> None:
    """The word, in how many formats, and how far the places differ."""
    size = figure.get_size_inches()
    least, most = min(place.measure for place in places), max(place.measure for place in places)
    what = "left to right" if len(places[0].points) == 2 else "above the floor"
    count = sum(len(place.users) for place in places)
    figure.text(corner[0] / size[0], corner[1] / size[1], f"“{word}”", fontsize=12, fontweight="bold")
    below = f"{count} formats, {len(places)} places, {least:.0f} to {most:.0f} mm {what}"
    figure.text((corner[0] + 1.15) / size[0], corner[1] / size[1], below, fontsize=9, color=QUIET)
