"""A contact sheet of a store's pictures, a row for each dataset, with the joints drawn over some of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skelbridge.errors import InputError, need
from skelbridge.io.images import read_image
from skelbridge.plot.ink import INK, QUIET, Floats, canvas, draw_skeleton, styled
from skelbridge.skeletons import Skeleton
from skelbridge.store import Store, open_store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches: a picture's side, the gap between two, the words above a dataset's rows.
_SIDE, _GAP, _WORDS = 1.15, 0.05, 0.24
#: Every so many pictures have the joints drawn.
_DRAWN = 3


@styled
def plot_virtual(store: Store | str | Path, rows: int = 2, columns: int = 9, seed: int = 0) -> Figure:
    """Draw `rows` of `columns` packed pictures of each dataset, chosen at random; every third with its joints.

    store: with packed pictures, as virtual datasets have them. Raises InputError where it has none.
    """
    store = store if isinstance(store, Store) else open_store(store)
    if not store.datasets:
        raise InputError("a store to be drawn", expected="samples with packed pictures", got="no samples")
    width = columns * (_SIDE + _GAP) + _GAP
    block = _WORDS + rows * (_SIDE + _GAP)
    height = len(store.datasets) * block + _GAP
    figure = canvas(width, height)
    for number, name in enumerate(store.datasets):
        top = height - number * block
        held = store.select(dataset=name)
        card = held.skeleton
        figure.text(_GAP / width, (top - 0.05) / height, name, fontsize=8, fontweight="bold", color=INK, va="top")
        figure.text((_GAP + 1.3) / width, (top - 0.07) / height, str(card), fontsize=6.5, color=QUIET, va="top")
        for place, row in enumerate(_spread(len(held), rows * columns, seed)):
            across, down = place % columns, place // columns
            left, upper = _GAP + across * (_SIDE + _GAP), top - _WORDS - down * (_SIDE + _GAP)
            axes = figure.add_axes((left / width, (upper - _SIDE) / height, _SIDE / width, _SIDE / height))
            _packed(axes, held, int(row), card if place % _DRAWN == _DRAWN - 1 else None)
    return figure


def save_sheet(figure: Figure, path: str | Path, dpi: float = 100.0) -> None:
    """Save a sheet of pictures as a PNG of 256 colours chosen for it, a third of the usual size."""
    image, drawn = need("PIL.Image", "plot"), io.BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    image.open(drawn).convert("RGB").quantize(256, dither=image.Dither.NONE).save(path, optimize=True)


def _spread(count: int, wanted: int, seed: int) -> Floats:
    """Rows from everywhere in a dataset, in order."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:wanted])


def _packed(axes: Axes, store: Store, row: int, card: Skeleton | None) -> None:
    """A packed picture, filling a square; with the joints where a card is given."""
    sample = store[row]
    if sample.picture is None:
        raise InputError("a store to be drawn", expected="packed pictures", got=f"none in {sample!r}")
    image = read_image(io.BytesIO(sample.picture), "a packed picture")
    side = max(image.shape[:2])
    axes.imshow(image)
    axes.set(facecolor="black", xticks=[], yticks=[])
    middle = np.array(image.shape[1::-1]) / 2 - 0.5
    axes.set(xlim=(middle[0] - side / 2, middle[0] + side / 2), ylim=(middle[1] + side / 2, middle[1] - side / 2))
    if card is not None:
        left, top, scale = sample.crop
        points = store[[row]].projected()[0] if sample.points2d is None else sample.points2d.astype(float)
        draw_skeleton(axes, (points - [left, top]) * scale, card, size=0.45, halo=True)
