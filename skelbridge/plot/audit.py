"""Contact sheets of what cleaning left out of a store, rule by rule: the worst that went and the worst that stayed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets.boxes import expanded, picture_points
from skelbridge.datasets.checks import place_of
from skelbridge.datasets.clean import Rules, strains, usual_lengths
from skelbridge.datasets.packing import each_picture
from skelbridge.errors import SkelbridgeError
from skelbridge.io.images import read_image
from skelbridge.io.tree import Tree
from skelbridge.plot.ink import FAINT, INK, QUIET, canvas, draw_skeleton, heading, styled
from skelbridge.skeletons import Skeleton
from skelbridge.store import Samples, open_store
from skelbridge.store.reader import Piece, Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.floating]
Image = NDArray[np.uint8]

#: Samples in a row, and among how many of the worst they are chosen so that tracks differ.
_SHOWN, _AMONG = 6, 200
#: Inches: a picture's side, the side view's height, gaps, the margin at the left, a row's title, a caption.
_SIDE, _DEEP, _GAP, _LEFT, _TITLE, _WORDS = 1.75, 1.2, 0.14, 0.3, 0.3, 0.45


@dataclass(frozen=True, eq=False)
class _Seen:
    """One sample of a sheet: how much it strains the rule, and where it is."""

    strain: float
    piece: Piece
    row: int

    def samples(self) -> Samples:
        return self.piece.samples(slice(self.row, self.row + 1))


def audit(path: str | Path, out: str | Path) -> list[Path]:
    """Draw a contact sheet (PNG) for each dataset and rule of a store's cleaning into a folder; their paths.

    Of each, the worst samples that the rule left out and the worst that stayed, in their picture where it is packed or
    can be found, and seen from the camera's right. Raises FileFormatError where the store is damaged.
    """
    store, out = open_store(path, dropped=True), Path(out)
    rules = Rules.of_store(store)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for (dataset, rule), (gone, stayed, counts) in _worst(store, rules).items():
        sheet = out / f"{dataset}_{re.sub(r'[^a-z0-9]+', '_', rule.lower())}.png"
        _sheet(dataset, rule, gone, stayed, counts).savefig(sheet)
        written.append(sheet)
    return written


def _worst(store: Store, rules: Rules) -> dict[tuple[str, str], tuple[list[_Seen], list[_Seen], tuple[int, int]]]:
    """For each dataset and rule the worst samples that went and that stayed, and how many went and there are."""
    usual = usual_lengths(store)
    found: dict[tuple[str, str], tuple[list[_Seen], list[_Seen], tuple[int, int]]] = {}
    for piece in store.pieces:
        by_rule = strains(piece, rules, usual)
        out = np.any([strain > 1 for strain in by_rule.values()], axis=0) if by_rule else np.zeros(len(piece), bool)
        for rule, strain in by_rule.items():
            gone, stayed, (many, all_of_it) = found.get((piece.shard.dataset, rule), ([], [], (0, 0)))
            found[piece.shard.dataset, rule] = (
                _top([*gone, *_seen(piece, strain, strain > 1)]),
                _top([*stayed, *_seen(piece, strain, ~out & np.isfinite(strain))]),
                (many + int((strain > 1).sum()), all_of_it + len(piece)),
            )
    return {key: (_unlike(gone), _unlike(stayed), counts) for key, (gone, stayed, counts) in found.items()}


def _seen(piece: Piece, strain: Floats, mask: NDArray[np.bool_]) -> Iterable[_Seen]:
    rows = np.flatnonzero(mask)
    for row in rows[np.argsort(-strain[rows], kind="stable")[:_AMONG]]:
        yield _Seen(float(strain[row]), piece, int(row))


def _top(items: list[_Seen]) -> list[_Seen]:
    return sorted(items, key=lambda item: -item.strain)[:_AMONG]


def _unlike(items: list[_Seen]) -> list[_Seen]:
    """The worst few, one of each track as far as there are tracks."""
    tracks: dict[Any, list[_Seen]] = {}
    for item in items:
        samples = item.samples()
        key = (samples.text["sequence"][0], samples.text["view"][0], int(samples.person[0]))
        tracks.setdefault(key, []).append(item)
    turns = [(turn, item) for each in tracks.values() for turn, item in enumerate(each)]
    chosen = sorted(turns, key=lambda pair: (pair[0], -pair[1].strain))[:_SHOWN]
    return sorted((item for _, item in chosen), key=lambda item: -item.strain)


@styled
def _sheet(dataset: str, rule: str, gone: list[_Seen], stayed: list[_Seen], counts: tuple[int, int]) -> Figure:
    rows = [("the worst that went", gone), ("the worst that stayed", stayed)]
    below = _DEEP + _GAP if any(item.samples().points is not None for item in (*gone, *stayed)) else 0.0
    heights = [_TITLE + (_SIDE + below + _WORDS + _GAP if items else 0) for _, items in rows]
    width, height = _LEFT * 2 + _SHOWN * (_SIDE + _GAP) - _GAP, 0.75 + sum(heights)
    figure = canvas(width, height)
    words = "Strain is in parts of what the rule allows."
    words += " Above: in the picture; below: seen from the camera's right." if below else ""
    heading(figure, f"{dataset}: {rule}", f"{counts[0]:,} of {counts[1]:,} samples went. {words}")
    top = height - 0.75
    for (title, items), tall in zip(rows, heights, strict=True):
        text = title if items else f"{title}: none"
        figure.text(_LEFT / width, (top - 0.02) / height, text, fontsize=9, fontweight="bold", va="top", color=INK)
        for place, item in enumerate(items):
            _tile(figure, item, _LEFT + place * (_SIDE + _GAP), top - _TITLE, (width, height))
        top -= tall
    return figure


def _tile(figure: Figure, item: _Seen, left: float, top: float, size: tuple[float, float]) -> None:
    """A sample in its picture, from its right, and where it comes from."""
    width, height = size
    samples, low = item.samples(), top - _SIDE
    _in_picture(figure.add_axes((left / width, low / height, _SIDE / width, _SIDE / height)), samples, item.piece)
    if samples.points is not None:
        low -= _GAP + _DEEP
        side_view = figure.add_axes((left / width, low / height, _SIDE / width, _DEEP / height))
        _from_the_right(side_view, samples.points[0].astype(float), samples.skeleton)
    file, _, place = place_of(samples, 0).partition(", ")
    lines = [f"strain {item.strain:.3g}", *(text if len(text) <= 40 else f"... {text[-36:]}" for text in (file, place))]
    figure.text(left / width, (low - 0.04) / height, "\n".join(lines), fontsize=5.5, va="top", color=QUIET)


def _in_picture(axes: Axes, samples: Samples, piece: Piece) -> None:
    points = picture_points(samples)[0].astype(float)
    box = samples.box[0].astype(float)
    image, corner, scale = _picture(samples, piece)
    middle, side = _window(box, points)
    if image is not None:
        right, low = corner + np.array(image.shape[1::-1]) / scale
        edge = 0.5 / scale  # a corner is the centre of its pixel
        axes.imshow(image, extent=(corner[0] - edge, right - edge, low - edge, corner[1] - edge), alpha=0.85)
    if np.isfinite(box).all():
        x, y, w, h = box
        axes.plot([x, x + w, x + w, x, x], [y, y, y + h, y + h, y], color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    draw_skeleton(axes, points, samples.skeleton, size=0.6, halo=True)
    axes.set(xlim=(middle[0] - side / 2, middle[0] + side / 2), ylim=(middle[1] + side / 2, middle[1] - side / 2))
    _frame(axes)
    if image is None:
        axes.text(0.03, 0.97, "no picture", transform=axes.transAxes, fontsize=5.5, color=QUIET, va="top")
        edge = samples.image_size[0] - 0.5
        axes.plot(
            [-0.5, edge[0], edge[0], -0.5, -0.5], [-0.5, -0.5, edge[1], edge[1], -0.5], color=QUIET, linewidth=0.6
        )


def _window(box: Floats, points: Floats) -> tuple[Floats, float]:
    """Middle and side of the square to show: the box and the joints, no farther out than three boxes."""
    known = points[np.isfinite(points).all(axis=1)]
    if np.isfinite(box).all():
        shown = expanded(box, 3.0)
        inside = known[((known >= shown[:2]) & (known <= shown[:2] + shown[2:])).all(axis=1)]
        known = np.concatenate([inside, [box[:2], box[:2] + box[2:]]])
    if not len(known):
        return np.zeros(2), 1.0
    low, high = known.min(axis=0), known.max(axis=0)
    return (low + high) / 2, float(max(1.3 * (high - low).max(), 8.0))


def _picture(samples: Samples, piece: Piece) -> tuple[Image | None, Floats, float]:
    """The sample's picture, packed or from its file, the image point of its corner, and its scale; None: not found."""
    packed = samples.pictures[0]
    if packed is not None:
        return read_image(io.BytesIO(packed), "a packed picture"), samples.crop[0, :2], float(samples.crop[0, 2])
    try:
        for _, image in each_picture(samples, Tree(piece.root), lambda *_: None):
            return image, np.zeros(2), 1.0
    except SkelbridgeError:  # the dataset's folder is gone
        pass
    return None, np.zeros(2), 1.0


def _from_the_right(axes: Axes, points: Floats, card: Skeleton) -> None:
    """A pose (J, 3) as seen from the camera's right, far from the camera at the right, up up; lines 0.5 m apart."""
    _frame(axes)
    flat = points[:, [2, 1]] * [1, -1]
    known = flat[np.isfinite(flat).all(axis=1)]
    if not len(known):
        return
    low, high = known.min(axis=0), known.max(axis=0)
    tall = max(1.12 * max(high[1] - low[1], (high[0] - low[0]) * _DEEP / _SIDE), 200.0)
    middle, wide = (low + high) / 2, tall * _SIDE / _DEEP
    axes.set(xlim=(middle[0] - wide / 2, middle[0] + wide / 2), ylim=(middle[1] - tall / 2, middle[1] + tall / 2))
    step = 500.0 if tall < 10_000 else 5000.0
    for at in np.arange(np.floor((middle[0] - wide / 2) / step), (middle[0] + wide / 2) / step + 1) * step:
        axes.axvline(at, color=FAINT, linewidth=0.6, zorder=0)
    for at in np.arange(np.floor((middle[1] - tall / 2) / step), (middle[1] + tall / 2) / step + 1) * step:
        axes.axhline(at, color=FAINT, linewidth=0.6, zorder=0)
    if step > 500:
        axes.text(0.97, 0.03, "lines 5 m apart", transform=axes.transAxes, fontsize=5, color=QUIET, ha="right")
    draw_skeleton(axes, flat, card, depth=points[:, 0], size=0.6)


def _frame(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set(visible=True, color=FAINT)
