"""A skeleton format on the body at rest, and formats side by side on one body."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skelbridge.bridge import rest_body
from skelbridge.errors import InputError, need
from skelbridge.landmarks import landmarks, mirrored_name
from skelbridge.plot.ink import (
    COLOURS,
    QUIET,
    VIEWS,
    Floats,
    body_box,
    box,
    canvas,
    draw_body,
    draw_skeleton,
    figure_of,
    heading,
    joint_sides,
    panel,
    styled,
)  # fmt: skip
from skelbridge.skeletons import Skeleton, skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Distinct colours for formats that are drawn on one body, then the same with another mark.
CYCLE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B",
    "#56B4E9", "#7F3FBF", "#444B55", "#8FB339", "#A0522D",
)  # fmt: skip
MARKS = [(colour, *mark) for mark in (("o", "●"), ("s", "■"), ("D", "◆")) for colour in CYCLE]

#: Millimetres an inch in the views of the whole body.
_BODY_SCALE = 310.0
_REGIONS = ("head", "left hand", "left foot")
#: Joints from which on a region gets a close-up; names in a column; names beyond which they are left out.
_CLOSE_UP, _COLUMN, _MOST_ROWS = 4, 32, 64


@styled
def plot_skeleton(format: str | Skeleton) -> Figure:
    """A format on the rest body: from the front, from its left, and close-ups of head, hand and foot.

    Numbers are the joints' positions in the format. A format of one hand is drawn on that hand. Raises
    InputError for a format without placements.
    """
    card = skeleton(format)
    points = card.placement @ rest_body().landmarks
    regions = _regions(card)
    alone = len(set(regions)) == 1 and regions[0] != "body"
    close_ups = regions[:1] if alone else [r for r in _REGIONS if regions.count(r) >= _CLOSE_UP]
    rows = _legend_rows(card)
    numbered = len(rows) <= _MOST_ROWS
    if not numbered:
        rows = _census(regions)
    body_width = 0.0 if alone else _body_width(points)
    room = (4.6, 5.4) if alone else (2.2, 5.7 / max(len(close_ups), 2))
    legend_left = 0.5 + body_width + (room[0] + 0.2) * bool(close_ups)
    figure = canvas(max(legend_left + 1.85 * -(-len(rows) // _COLUMN), 5.0), 6.4)
    if not alone:
        zoomed = {r for c in close_ups for r in (c, c.replace("left", "right"))}
        _body_views(figure, card, points, [i for i, r in enumerate(regions) if numbered and r not in zoomed])
    for place, region in enumerate(close_ups):
        corner = (0.35 + body_width, 5.75 - (place + 1) * room[1])
        _close_up(figure, corner, room, card, points, regions, region, numbered)
    _legend(figure, legend_left, rows)
    heading(figure, str(card), card.title)
    return figure


def _regions(card: Skeleton) -> list[str]:
    """For each joint the region of the body it lies in: "head", "left hand", "right foot", ... or "body"."""
    parts = {landmark.name: landmark.part for landmark in landmarks().listed}
    regions = []
    for joint in card.joints:
        main = max(joint.at, key=lambda name: abs(joint.at[name]))
        part = "hand" if main.endswith("_wrist") else parts.get(main) or parts[mirrored_name(main)]
        side = main.partition("_")[0]
        if part in ("head", "face"):
            regions.append("head")
        elif part in ("hand", "foot") and side in ("left", "right"):
            regions.append(f"{side} {part}")
        else:
            regions.append("body")
    return regions


def _hand_view(points: Floats) -> Floats:
    """The view onto the back of a hand at rest, fingers up."""
    centre = points.mean(axis=0)
    side = float(np.sign(centre[0])) or 1.0
    normal = np.linalg.svd(points - centre)[2][2]
    toward = normal * (np.sign(normal @ [side, 0.3, 0.3]) or 1.0)
    along = np.array([0.4 * side, -0.7, 0.9])  # about the forearm's direction at rest
    up = along - (along @ toward) * toward
    up /= np.linalg.norm(up)
    return np.stack([np.cross(up, toward), up, toward])


def _close_up_view(region: str, points: Floats) -> Floats:
    if region.endswith("hand"):
        return _hand_view(points)
    if region.endswith("foot"):  # from the front and above
        return np.array([[1.0, 0.0, 0.0], [0.0, 0.6, -0.8], [0.0, 0.8, 0.6]])
    return VIEWS["front"]


def _body_width(points: Floats) -> float:
    """Width of the front and the side view together, inches."""
    low, high = body_box(points)
    return float((high - low)[[0, 2]].sum() / _BODY_SCALE) + 0.15


def _body_views(figure: Figure, card: Skeleton, points: Floats, numbered: Sequence[int]) -> None:
    """The format on the whole body, from the front and from its left."""
    left, sides = 0.2, joint_sides(card)
    for name in ("front", "side"):
        low, high = np.sort(np.stack(body_box(points)) @ VIEWS[name].T, axis=0)[:, :2]
        axes = panel(figure, (left, 0.05), low, high, _BODY_SCALE)
        draw_body(axes, VIEWS[name])
        near = [i for i in numbered if name == "front" or sides[i] != "right"]
        _draw_numbered(axes, card, points @ VIEWS[name].T, near, 1.0)
        left += (high - low)[0] / _BODY_SCALE + 0.15


def _close_up(
    figure: Figure,
    corner: tuple[float, float],
    room: tuple[float, float],
    card: Skeleton,
    points: Floats,
    regions: Sequence[str],
    region: str,
    numbered: bool,
) -> None:
    """The joints of one region, as large as `room` (inches) allows."""
    inside = np.array([r == region for r in regions])
    view = _close_up_view(region, points[inside])
    seen = np.where(inside[:, None], points @ view.T, np.nan)
    low, high = box(seen[inside], 35.0)
    size = np.array(room) - [0.0, 0.3]  # less the title
    scale = float(((high - low)[:2] / size).max())
    middle, half = (low + high)[:2] / 2, size * scale / 2
    axes = panel(figure, corner, middle - half, middle + half, scale)
    axes.set_title(region, fontsize=8, fontweight="normal", color=QUIET, pad=3)
    thick = 40.0 if region.endswith("hand") else np.inf  # the leg behind a hand is not of interest
    draw_body(axes, view, (low[2] - thick, high[2] + thick))
    _draw_numbered(axes, card, seen, np.flatnonzero(inside & numbered).tolist(), 0.85)


def _draw_numbered(axes: Axes, card: Skeleton, seen: Floats, numbered: Sequence[int], size: float) -> None:
    """A format's joints (joints, 3) as seen, with the positions of some of them written beside."""
    draw_skeleton(axes, seen[:, :2], card, depth=seen[:, 2], size=size)
    _write_beside(axes, seen[:, :2], {i: str(i) for i in numbered}, card, 6.5)


def _legend_rows(card: Skeleton) -> list[tuple[list[tuple[str, str]], str]]:
    """Rows of the list of names: positions with their colours, and the name that a pair shares."""
    partner, rows = card.mirror_index, []
    sides = joint_sides(card)
    lefts = {left for left, _ in card.mirror}
    for i, name in enumerate(card.names):
        if partner[i] == i:
            rows.append(([(str(i), COLOURS[sides[i]])], name))
        elif name in lefts:
            both = [(str(i), COLOURS["left"]), (str(partner[i]), COLOURS["right"])]
            rows.append((both, name.removeprefix("left_")))
    return rows


def _census(regions: Sequence[str]) -> list[tuple[list[tuple[str, str]], str]]:
    """In place of the names of a large format: how many joints lie where."""
    counts = {region: regions.count(region) for region in dict.fromkeys(regions)}
    return [([(str(count), COLOURS["centre"])], region) for region, count in counts.items()]


def _legend(figure: Figure, left: float, rows: Sequence[tuple[list[tuple[str, str]], str]]) -> None:
    width, height = figure.get_size_inches()
    slots = max(len(numbers) for numbers, _ in rows)
    for place, (numbers, name) in enumerate(rows):
        column, line = divmod(place, _COLUMN)
        x, y = left + 1.85 * column, height - 0.85 - 0.168 * line
        for slot, (number, colour) in enumerate(numbers):
            where = {"x": (x + 0.2 + 0.24 * slot) / width, "y": y / height}
            figure.text(s=number, color=colour, ha="right", fontsize=7, fontweight="bold", **where)
        figure.text((x + 0.04 + 0.24 * slots) / width, y / height, name, fontsize=7)


def _write_beside(axes: Axes, dots: Floats, texts: Mapping[int, str], card: Skeleton, size: float) -> None:
    """Write `texts` beside the joints `dots` (joints, 2), where they hide the least of joints and edges."""
    effects = need("matplotlib.patheffects", "plot")
    points_wide = axes.get_position().width * figure_of(axes).get_size_inches()[0] * 72
    per_unit = points_wide / np.ptp(axes.get_xlim())
    colours = [COLOURS[side] for side in joint_sides(card)]
    steps = np.linspace(0, 1, 9)[:, None, None]
    start, end = dots[card.edge_index[:, 0]], dots[card.edge_index[:, 1]]
    along = (start * steps + end * (1 - steps)).reshape(-1, 2)
    places = np.concatenate([dots, along]) * per_unit
    halves = np.repeat([2.2, 0.8], [len(dots), len(along)])
    taken = [(p, np.full(2, h)) for p, h in zip(places, halves, strict=True) if np.isfinite(p).all()]
    middle = float(np.mean(axes.get_xlim()) * per_unit)
    for i, text in texts.items():
        half = np.array([0.32 * size * len(text), 0.4 * size])
        place = _free_place(dots[i] * per_unit, half, taken, middle)
        taken.append((place, half))
        axes.text(
            place[0] / per_unit, place[1] / per_unit, text, fontsize=size, color=colours[i], ha="center",
            va="center_baseline", zorder=6,
            path_effects=[effects.withStroke(linewidth=1.8, foreground="white", alpha=0.9)],
        )  # fmt: skip


def _free_place(dot: Floats, half: Floats, taken: Sequence[tuple[Floats, Floats]], middle: float) -> Floats:
    """Beside a dot, rather away from `middle`, the place where a box of half size `half` hides the least."""
    others, halves = (np.array(column) for column in zip(*taken, strict=True))
    angles = np.deg2rad([0, 45, -45, 90, -90, 135, -135, 180])
    outward = np.array([1.0 if dot[0] >= middle - 1 else -1.0, 1.0])
    best, least = dot, np.inf
    for ring, angle in itertools.product((1.0, 1.6, 2.4), angles):
        place = dot + outward * [np.cos(angle), np.sin(angle)] * (half + 2.6) * ring
        overlap = np.clip(half + halves - np.abs(place - others), 0, None).prod(axis=1).sum() + 4 * (ring - 1)
        if overlap < least - 1e-9:
            best, least = place, overlap
    return best


@styled
def plot_namesakes(word: str, formats: Sequence[str | Skeleton]) -> Figure:
    """Where formats put the joints that they call by the same name: `word`, or left_`word` and right_`word`.

    The rest body from the front and from its left; formats that share a place share a colour and a line of
    the key, with the distance from left to right. Formats without such a joint, or that do not say where it
    lies, are left out; InputError if none is left.
    """
    places = _places(word, formats)
    if not places:
        raise InputError(f"the joint {word!r}", expected="a joint of one of the formats", got="none so named")
    spots = [np.reshape(place, (-1, 3)) for place in places]
    low, high = box(np.concatenate(spots), 80.0)
    half = max((high - low).max() / 2, 150.0)
    figure = canvas(9.8, 3.9)
    for left, name in ((0.3, "front"), (3.5, "side")):
        middle = (VIEWS[name] @ (low + high))[:2] / 2
        axes = panel(figure, (left, 0.15), middle - half, middle + half, 2 * half / 3.1)
        draw_body(axes, VIEWS[name])
        for order, (points, (colour, mark, _)) in enumerate(zip(spots, itertools.cycle(MARKS), strict=False)):
            seen = points @ VIEWS[name].T
            style: dict[str, Any] = {
                "color": colour,
                "edgecolors": "white",
                "linewidths": 0.8,
                "zorder": 5 + order / 99,
            }
            size = 30 + 70 * (1 - order / len(spots)) ** 2
            axes.scatter(seen[:, 0], seen[:, 1], s=size, marker=mark, **style)
    _key(figure, 6.8, [_in_words(place, users) for place, users in places.items()])
    count = sum(map(len, places.values()))
    heading(figure, f"“{word}” in {count} formats", f"{len(places)} different places on one body of 1.7 m")
    return figure


def _places(word: str, formats: Sequence[str | Skeleton]) -> dict[tuple[float, ...], list[str]]:
    """Place of the joint or the pair of joints, whole mm, -> the formats that put it there; widest first."""
    places: dict[tuple[float, ...], list[str]] = {}
    for card in map(skeleton, formats):
        rows = [card.index(name) for name in (word, f"left_{word}", f"right_{word}") if name in card.names]
        if rows and all(joint.at for joint in card.joints) and card.one_hand == bool(card.side):
            points = card.placement[rows] @ rest_body().landmarks
            places.setdefault(tuple((np.round(points) + 0.0).ravel()), []).append(str(card))
    return dict(sorted(places.items(), key=lambda item: -_apart(item[0])))


def _apart(place: tuple[float, ...]) -> float:
    """Distance from the first to the last of the points of a place."""
    return float(np.linalg.norm(np.array(place[-3:]) - place[:3]))


def _in_words(place: tuple[float, ...], users: Sequence[str]) -> str:
    """How far apart left and right are, and the formats that share the place."""
    width = f"{_apart(place):.0f} mm   " if len(place) > 3 else ""
    others = f" and {len(users) - 1} more" if len(users) > 1 else ""
    return f"{width}{users[0]}{others}"


def _key(figure: Figure, left: float, lines: Sequence[str]) -> None:
    width, height = figure.get_size_inches()
    for place, (text, (colour, _, mark)) in enumerate(zip(lines, itertools.cycle(MARKS), strict=False)):
        y = (height - 0.8 - 0.2 * place) / height
        figure.text(left / width, y, mark, color=colour, fontsize=9, va="center")
        figure.text((left + 0.18) / width, y, text, fontsize=7.5, va="center")
