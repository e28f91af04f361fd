"""A batch to look at: the packed picture of every sample, with its joints drawn on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets.boxes import box_of, expanded
from skelbridge.errors import InputError
from skelbridge.plot.ink import FAINT, INK, QUIET, Floats, canvas, draw_skeleton, styled
from skelbridge.skeletons import skeleton
from skelbridge.store.batch import Batch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches: a picture's side, the gap between two, and the height of the words above one.
_SIDE, _GAP, _WORDS = 1.7, 0.12, 0.4
#: By how much the square to show is larger than the box.
_AROUND = 1.25


@styled
def plot_batch(batch: Batch, columns: int = 6) -> Figure:
    """Draw every sample of a batch in its picture, each in its own skeleton format, below the name of its dataset.

    batch: with pictures, and the columns points2d, box and crop, as `store.batches(..., pictures=True)` gives it. Where
    there is no picture it is grey. Raises InputError where the batch lacks any of these, and UnknownNameError for a
    format that the registry does not have.
    """
    missing = [name for name in ("points2d", "box", "crop") if name not in batch.numbers]
    if missing or not len(batch):
        raise InputError("a batch to be drawn", expected="samples with points2d, box and crop",
                         got=f"no {', '.join(missing) or 'samples'}")  # fmt: skip
    cards = [skeleton(name) for name in batch.skeletons]
    columns = min(columns, len(batch))
    rows = -(-len(batch) // columns)
    width, height = columns * (_SIDE + _GAP) + _GAP, rows * (_SIDE + _WORDS + _GAP)
    figure = canvas(width, height)
    for place, image in enumerate(batch.images()):
        row, column = divmod(place, columns)
        left, top = _GAP + column * (_SIDE + _GAP), height - row * (_SIDE + _WORDS + _GAP)
        card = cards[batch.skeleton[place]]
        axes = figure.add_axes((left / width, (top - _WORDS - _SIDE) / height, _SIDE / width, _SIDE / height))
        points = batch.numbers["points2d"][place, : len(card)].astype(float)
        _picture(axes, image, batch.numbers["crop"][place], _square(batch.numbers["box"][place], points))
        draw_skeleton(axes, points, card, size=0.7, halo=True)
        dataset = batch.datasets[batch.dataset[place]]
        figure.text(left / width, (top - 0.12) / height, dataset, fontsize=8, fontweight="bold", color=INK, va="top")
        figure.text(left / width, (top - 0.26) / height, str(card), fontsize=6.5, color=QUIET, va="top")
    return figure


def _square(box: Floats, points: Floats) -> Floats:
    """Left, top, right, bottom of the square to show, pixels: about the box, or the points where there is none."""
    box = np.asarray(box if np.isfinite(box).all() else expanded(box_of(points), 1.0), float)
    box = box if np.isfinite(box).all() else np.array([0.0, 0.0, 1.0, 1.0])
    middle, half = box[:2] + box[2:] / 2, _AROUND * max(box[2:].max(), 1.0) / 2
    return np.concatenate([middle - half, middle + half])


def _picture(axes: Axes, image: NDArray[np.uint8] | None, crop: Floats, square: Floats) -> None:
    """The packed picture where it was in the whole one, and the part of it to show."""
    if image is not None:
        left, top, scale = crop.astype(float)
        height, width = np.array(image.shape[:2]) / scale
        left, top = np.array([left, top]) - 0.5 / scale  # the edges of the first pixel; the crop says its middle
        extent = (left, left + width, top + height, top)
        axes.imshow(image, extent=extent, alpha=0.85)
    axes.set(facecolor=FAINT, xlim=square[[0, 2]], ylim=square[[3, 1]], xticks=[], yticks=[])
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set(visible=True, color=FAINT)
