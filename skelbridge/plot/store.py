"""What is in a store: samples, joints, sizes of people in pictures, and how much poses differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from skelbridge.errors import InputError
from skelbridge.plot.ink import CYCLE, ERROR_MAP, QUIET, canvas, figure_of, heading, styled
from skelbridge.store.description import BOX_SIDES, Contents, describe
from skelbridge.store.reader import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Joint names that the heat map has room for.
MOST_JOINTS = 40


@styled
def plot_store(store: Store | Mapping[str, Contents]) -> Figure:
    """Samples of each dataset, the joints they give, the sizes of their boxes and the diversity of their poses.

    store: a store, or what `describe` found in one. The heat map has the joint names that most datasets share.
    Raises InputError for a store without samples.
    """
    found = describe(store) if isinstance(store, Store) else store
    if not found:
        raise InputError("a store to be drawn", expected="samples", got="none")
    rows = max(0.8, 0.18 * len(found))
    figure = canvas(11.0, 2 * rows + 5.35)

    def place(above: float, left: float, width: float, high: float) -> Axes:
        """Axes by the inches above them, from the left, and their size."""
        wide, tall = figure.get_size_inches()
        return figure.add_axes((left / wide, 1 - (above + high) / tall, width / wide, high / tall))

    _samples(place(1.0, 1.6, 4.0, rows), found)
    _diversity(place(1.0, 7.0, 3.5, rows), found)
    _joints(place(1.85 + rows, 1.6, 8.4, rows), place(1.85 + rows, 10.15, 0.12, rows), found)
    _boxes(place(3.05 + 2 * rows, 1.6, 7.2, 1.7), found)
    total = sum(each.total for each in found.values())
    size, packed = (_size(sum(getattr(each, part) for each in found.values())) for part in ("bytes", "packed"))
    words = f"{total:,} samples of {len(found)} datasets, {size}, of which {packed} packed pictures"
    heading(figure, "What the store holds", words)
    return figure


def _size(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e9:,.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def _samples(axes: Axes, found: Mapping[str, Contents]) -> None:
    splits = list(dict.fromkeys(split for each in found.values() for split in each.samples))
    start = np.zeros(len(found))
    for number, split in enumerate(splits):
        width = np.array([each.samples[split] for each in found.values()], float)
        label = split or "no split"
        axes.barh(range(len(found)), width, left=start, color=CYCLE[number % len(CYCLE)], height=0.7, label=label)
        start += width
    _rows(axes, found)
    axes.set_title("Samples")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.locator_params(axis="x", nbins=5)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=6, handlelength=0.8, handletextpad=0.4,
                columnspacing=0.8, borderpad=0, fontsize=7)  # fmt: skip


def _diversity(axes: Axes, found: Mapping[str, Contents]) -> None:
    for row, each in enumerate(found.values()):
        if np.isfinite(each.spread):
            axes.barh(row, each.spread, color=CYCLE[2], height=0.7)
            axes.text(each.spread, row, f" {each.dimensions:.1f}", va="center", fontsize=7)
        else:
            axes.text(0, row, " 2D labels", va="center", fontsize=7, color=QUIET)
    _rows(axes, found)
    axes.margins(x=0.12)
    axes.set_title("Diversity of poses")
    axes.set_xlabel("mm from the mean pose; beside it the effective dimensions")


def _joints(axes: Axes, scale: Axes, found: Mapping[str, Contents]) -> None:
    often = Counter(name for each in found.values() for name in each.joints)
    names = [name for name, _ in often.most_common(MOST_JOINTS)]
    share = np.array([[100 * each.joints.get(name, np.nan) for name in names] for each in found.values()])
    image = axes.imshow(share, aspect="auto", cmap=ERROR_MAP, vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, rotation=55, ha="right", rotation_mode="anchor", fontsize=6)
    axes.set_yticks(range(len(found)), list(found))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    rest = len(often) - len(names)
    axes.set_title("Joints given, % of samples" + (f" ({rest} rarer names are left out)" if rest else ""))
    bar = figure_of(axes).colorbar(image, cax=scale)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _boxes(axes: Axes, found: Mapping[str, Contents]) -> None:
    labels = [f"{low:g}-{high:g}" for low, high in pairwise(BOX_SIDES[:-1])]
    labels.append(f"> {BOX_SIDES[-2]:g}")
    places = np.arange(len(labels))
    bottom = np.zeros(len(labels))
    large = sorted(found, key=lambda name: -found[name].total)[: len(CYCLE) - 1]
    rest = sum((each.boxes for name, each in found.items() if name not in large), np.zeros(len(labels), int))
    shown = [(name, found[name].boxes, CYCLE[n]) for n, name in enumerate(large)] + [("others", rest, QUIET)]
    for name, counts, colour in shown:
        if counts.any():
            axes.bar(places, counts, bottom=bottom, color=colour, width=0.8, label=name)
            bottom += counts
    axes.set_xticks(places, labels, fontsize=6.5)
    axes.set_xlabel("pixels")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.locator_params(axis="y", nbins=4)
    missing = sum(each.no_box for each in found.values())
    axes.set_title("Longer side of the box" + (f" ({missing:,} samples have none)" if missing else ""))
    if bottom.any():
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), handlelength=1)


def _rows(axes: Axes, found: Mapping[str, Contents]) -> None:
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
