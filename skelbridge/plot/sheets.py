"""A sheet per format: its joints on the body at rest, from all sides, with close-ups of face, hand and foot."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import rest_body
from skelbridge.errors import need
from skelbridge.landmarks import landmarks, mirrored_name
from skelbridge.plot.ink import (
    COLOURS,
    KIND_MARKS,
    QUIET,
    VIEWS,
    Floats,
    body_box,
    box,
    canvas,
    draw_body,
    draw_rings,
    draw_skeleton,
    figure_of,
    heading,
    joint_sides,
    panel,
    save_small,
    styled,
)  # fmt: skip
from skelbridge.skeletons import Joint, Skeleton, formats, skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Flags = NDArray[np.bool_]

#: Millimetres an inch in the views of the whole body; inches left of the drawings, above them and between them.
_BODY_SCALE, _LEFT, _TOP, _GAP = 335.0, 0.3, 0.95, 0.3
#: Regions with close-ups, and how many joints make one worth while.
_CLOSE_UPS = {"head": 4, "left hand": 4, "left foot": 3}
#: In a head with more joints than this they are numbered in close-ups of eye, ear and mouth.
_CROWD = 100
_DETAILS = {
    "left eye": ("front", r"left_(?!.*lip)(upper_l|lower_l|upper_crease|iris|pupil|eye)"),
    "nose": ("front", r".*(nose|nostril)"),
    "mouth": ("front", r".*(lip|mouth|labio|chin|pogonion)"),
    "left ear": ("side", r"left_(ear_|tragus)"),
}
#: Names in the list of joints beyond which they are counted instead; inches from name to name, and to a next column.
_MOST_NAMES, _LINE, _COLUMN = 64, 0.168, 1.85
_KIND_WORDS = {
    "joint_center": "joint centre", "surface": "point on the skin", "fingertip": "tip", "marker": "marker",
    "virtual": "made up of others",
}  # fmt: skip


class _View(NamedTuple):
    """What a close-up shows: title, directions (3, 3), joints, and those whose numbers are written."""

    title: str
    axes: Floats
    shown: Flags
    numbered: Flags


class _Panel(NamedTuple):
    """One drawing: joints that it shows and numbers, the box (3,) that it shows in mm as seen, and its place.

    `place` is the upper left corner, inches from the left and from the top of the sheet; `scale` is mm an inch.
    """

    title: str
    view: Floats
    shown: Flags
    numbered: Flags
    low: Floats
    high: Floats
    scale: float
    place: tuple[float, float]
    close: bool = False

    @property
    def right(self) -> float:
        return self.place[0] + float((self.high - self.low)[0]) / self.scale

    @property
    def bottom(self) -> float:
        return self.place[1] + float((self.high - self.low)[1]) / self.scale


@styled
def plot_skeleton(format: str | Skeleton) -> Figure:
    """A format on the rest body: from front, side and above, and close-ups of face, hand and foot.

    Rings show how surely each place is known (standard uncertainty, mm on the body), marks the joint's kind, colours
    its side; numbers are positions in the format. A format of one hand is drawn on that hand. Raises
    UnknownNameError for an unknown format and InputError for one without placements or a hand without a side.
    """
    card = skeleton(format)
    points = card.placement @ rest_body().landmarks
    regions = np.array(_regions(card))
    alone = len(set(regions)) == 1 and regions[0] != "body"
    close = [regions[0]] if alone else [r for r, least in _CLOSE_UPS.items() if np.sum(regions == r) >= least]
    bodies = [] if alone else _body_panels(points, ~np.isin(regions, [s for r in close for s in _both(r)]))
    left = max((panel.right + _GAP for panel in bodies), default=_LEFT)
    close_ups = _close_up_panels(_close_up_rows(card, points, regions, close), points, left, alone)
    panels = bodies + close_ups
    key = (bodies[1].place[0], bodies[2].place[1]) if bodies else (_LEFT, close_ups[0].bottom)
    height = max([panel.bottom for panel in panels] + [key[1] + 0.2 + 0.16 * len(_key(card))]) + 0.15
    names = _names(card) if len(_names(card)) <= _MOST_NAMES else _census(regions)
    lines = int((height - _TOP) / _LINE)
    left = max(panel.right for panel in panels) + _GAP
    figure = canvas(left + _COLUMN * -(-len(names) // lines), height)
    for drawing in panels:
        _draw(figure, drawing, card, points)
    _list_names(figure, left, names, lines)
    _draw_key(figure, key, card)
    heading(figure, f"{card}: {len(card)} joints", card.title)
    return figure


def save_sheets(folder: str | Path, cards: Iterable[Skeleton] | None = None) -> list[Path]:
    """Write `folder`/ID.png for each format (none given: all), small enough to keep; hands as left ones."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for card in formats() if cards is None else cards:
        path = folder / f"{card.id}.png"
        save_small(plot_skeleton(card.with_side("left") if card.one_hand and card.side is None else card), path)
        written.append(path)
    return written


def _regions(card: Skeleton) -> list[str]:
    """For each joint the region of the body it lies in: "head", "left hand", "right foot", ... or "body"."""
    parts = {landmark.name: landmark.part for landmark in landmarks().listed}
    ends = {"wrist": "hand", "ankle": "foot"}
    regions = []
    for joint in card.joints:
        main = _main(joint)
        side, _, word = main.partition("_")
        part = ends.get(word) or parts.get(main) or parts[mirrored_name(main)]
        if mirrored_name(main) in joint.at and mirrored_name(main) != main and part in ("hand", "foot"):
            regions.append("body")  # between left and right
        elif part in ("head", "face"):
            regions.append("head")
        elif part in ("hand", "foot") and side in ("left", "right"):
            regions.append(f"{side} {part}")
        else:
            regions.append("body")
    return regions


def _main(joint: Joint) -> str:
    """The landmark that tells most of where a joint lies."""
    return max(joint.at, key=lambda name: abs(joint.at[name]))


def _both(region: str) -> tuple[str, str]:
    return region, region.replace("left", "right")


def _body_panels(points: Floats, numbered: Flags) -> list[_Panel]:
    """The whole body: from the front, from its left, and from above below the first."""
    panels: list[_Panel] = []
    corners = np.stack(body_box(points))
    everything = np.ones(len(points), dtype=bool)
    for name in ("front", "side", "top"):
        low, high = np.sort(corners @ VIEWS[name].T, axis=0)
        place = {
            "front": lambda: (_LEFT, _TOP),
            "side": lambda: (panels[0].right + _GAP, _TOP),
            "top": lambda: (_LEFT, panels[0].bottom + _GAP),
        }[name]()
        near = {"front": numbered, "side": numbered & (points[:, 0] > -1), "top": np.zeros_like(numbered)}[name]
        title = {"front": "front", "side": "left side", "top": "from above"}[name]
        panels.append(_Panel(title, VIEWS[name], everything, near, low, high, _BODY_SCALE, place))
    return panels


def _close_up_rows(card: Skeleton, points: Floats, regions: NDArray, close: Sequence[str]) -> list[list[_View]]:
    """Two views of each region in a row; details of a crowded head in a row of their own."""
    rows: list[list[_View]] = []
    for region in close:
        inside = regions == region
        details = _details(card) if region == "head" and inside.sum() > _CROWD else []
        elsewhere = np.zeros_like(inside)
        for detail in details:
            elsewhere |= detail.shown | detail.shown[card.mirror_index]
        row = []
        for title, axes in _close_up_views(region).items():
            # From the side the far half of a head is out of sight.
            near = inside & (points[:, 0] > -1) if title == "left side" else inside
            row.append(_View(f"{region}, {title}", axes, near, near & ~elsewhere))
        rows += [row, details] if details else [row]
    return rows


def _details(card: Skeleton) -> list[_View]:
    """Views of eye, mouth and ear."""
    mains = [_main(joint) for joint in card.joints]
    views = []
    for title, (view, pattern) in _DETAILS.items():
        shown = np.array([re.match(pattern, main) is not None for main in mains])
        if shown.any():
            views.append(_View(title, VIEWS[view], shown, shown))
    return views


def _close_up_panels(rows: Sequence[Sequence[_View]], points: Floats, left: float, alone: bool) -> list[_Panel]:
    """The rows below each other, the larger the more joints they show; a region that is `alone` is large."""
    panels: list[_Panel] = []
    top = _TOP
    for row in rows:
        boxes = [_close_up_box(points[view.shown] @ view.axes.T, detail=view.title in _DETAILS) for view in row]
        spans = [float((high - low)[:2].max()) for low, high in boxes]
        sides = [4.5 if alone else float(np.clip(0.5 * np.sqrt(view.shown.sum()), 1.9, 4.6)) for view in row]
        scales = [span / side for span, side in zip(spans, sides, strict=True)]
        if row[0].title not in _DETAILS:  # two views of one thing share a scale
            scales = [max(spans) / max(sides)] * len(row)
        x = left
        for view, ends, scale in zip(row, boxes, scales, strict=True):
            panels.append(_Panel(view.title, view.axes, view.shown, view.numbered, *ends, scale, (x, top), close=True))
            x = panels[-1].right + _GAP
        top = max(panel.bottom for panel in panels[-len(row) :]) + _GAP
    return panels


def _close_up_box(seen: Floats, detail: bool) -> tuple[Floats, Floats]:
    """The box of the points as seen, with a margin, and never so narrow that nothing can be recognised in it."""
    low, high = box(seen, 10.0 if detail else 30.0)
    narrow = np.clip((0.0 if detail else 55.0) - (high - low) / 2, 0, None)
    return low - narrow, high + narrow


def _close_up_views(region: str) -> dict[str, Floats]:
    if region == "head":
        return {"front": VIEWS["front"], "left side": VIEWS["side"]}
    side, _, part = region.partition(" ")
    if part == "foot":
        inner = np.diag([-1.0, 1.0, -1.0]) if side == "right" else np.eye(3)
        return {"outer side": inner @ VIEWS["side"], "from above": VIEWS["top"]}
    return _hand_views(side)


def _hand_views(side: str) -> dict[str, Floats]:
    """Fingers up, onto the palm and onto the side of the thumb."""
    known, places = landmarks(), rest_body().landmarks

    def way(start: str, end: str) -> Floats:
        return places[known.index(f"{side}_{end}")] - places[known.index(f"{side}_{start}")]

    up = way("wrist", "middle_mcp")
    up /= np.linalg.norm(up)
    palm = way("hand_back", "palm")
    palm -= (palm @ up) * up
    palm /= np.linalg.norm(palm)
    thumb = np.cross(up, palm)
    thumb *= np.sign(thumb @ way("pinky_mcp", "index_mcp"))
    return {
        name: np.stack([np.cross(up, toward), up, toward]) for name, toward in (("palm", palm), ("thumb side", thumb))
    }


def _draw(figure: Figure, drawing: _Panel, card: Skeleton, points: Floats) -> None:
    """One panel: body, rings of uncertainty, bones and joints, numbers."""
    corner = (drawing.place[0], float(figure.get_figheight()) - drawing.bottom)
    axes = panel(figure, corner, drawing.low[:2], drawing.high[:2], drawing.scale)
    axes.set_title(drawing.title, fontsize=7.5, fontweight="normal", color=QUIET, pad=2)
    seen = np.where(drawing.shown[:, None], points @ drawing.view.T, np.nan)
    # Limbs and trunk that lie before or behind a hand or a foot are not of interest.
    limb = " hand," in drawing.title or " foot," in drawing.title
    margin = 10.0 if drawing.title.endswith("above") else 45.0
    depths = (-np.inf, drawing.high[2] + margin) if limb else (-np.inf, np.inf)
    draw_body(axes, drawing.view, depths, relief=1.8 if drawing.close else 1.0)
    colours = [COLOURS[side] for side in joint_sides(card)]
    draw_rings(axes, seen[:, :2], card.placement_uncertainty, colours)
    crowded = drawing.shown.sum() > 60
    draw_skeleton(axes, seen[:, :2], card, depth=seen[:, 2], size=0.55 if crowded else 0.85, kinds=True)
    numbers = {int(i): str(i) for i in np.flatnonzero(drawing.numbered)}
    _write_beside(axes, seen[:, :2], numbers, card, 4.5 if len(numbers) > 60 else 6.0)


def _names(card: Skeleton) -> list[tuple[list[tuple[str, str]], str]]:
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


def _census(regions: NDArray) -> list[tuple[list[tuple[str, str]], str]]:
    """In place of the names of a large format: how many joints lie where."""
    return [
        ([(str(np.sum(regions == region)), COLOURS["centre"])], f"in the {region}") for region in dict.fromkeys(regions)
    ]


def _list_names(figure: Figure, left: float, rows: Sequence[tuple[list[tuple[str, str]], str]], lines: int) -> None:
    width, height = figure.get_size_inches()
    slots = max(len(numbers) for numbers, _ in rows)
    for place, (numbers, name) in enumerate(rows):
        column, line = divmod(place, lines)
        x, y = left + _COLUMN * column, height - _TOP - 0.1 - _LINE * line
        for slot, (number, colour) in enumerate(numbers):
            where = {"x": (x + 0.2 + 0.24 * slot) / width, "y": y / height}
            figure.text(s=number, color=colour, ha="right", fontsize=7, fontweight="bold", **where)
        figure.text((x + 0.04 + 0.24 * slots) / width, y / height, name, fontsize=7)


def _key(card: Skeleton) -> list[tuple[str, str, float, str]]:
    """What marks, colours and rings mean: mark, colour, size, word."""
    grey = COLOURS["centre"]
    kinds = [kind for kind in KIND_MARKS if any(joint.kind == kind for joint in card.joints)]
    rows = [(KIND_MARKS[kind], grey, 5.0, _KIND_WORDS[kind]) for kind in kinds]
    rows += [("_", COLOURS[side], 8.0, side) for side in dict.fromkeys(joint_sides(card))]
    least, most = (f"{mm:g}" for mm in (card.placement_uncertainty.min(), card.placement_uncertainty.max()))
    return [*rows, ("o", "#C9CCD1", 9.0, f"place uncertain by {least if least == most else f'{least} to {most}'} mm")]


def _draw_key(figure: Figure, place: tuple[float, float], card: Skeleton) -> None:
    """The key; `place` is its upper left corner, inches from the left and the top."""
    marker = need("matplotlib.lines", "plot").Line2D
    handles = [
        marker([], [], linestyle="", marker=mark, color=colour, markersize=size, markeredgewidth=2.2 * (mark == "_"))
        for mark, colour, size, _ in _key(card)
    ]
    width, height = figure.get_size_inches()
    figure.legend(
        handles, [word for *_, word in _key(card)], loc="upper left",
        bbox_to_anchor=(place[0] / width - 0.005, 1 - (place[1] + 0.1) / height),
        fontsize=7, handlelength=1.2, borderpad=0, labelspacing=0.35, handletextpad=0.5,
    )  # fmt: skip


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
