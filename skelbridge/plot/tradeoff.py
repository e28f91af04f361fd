"""What near-convexity and few latents cost: error and negative weights against the price and the number of latents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skelbridge.errors import InputError
from skelbridge.plot.ink import CYCLE, canvas, heading, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]

_NEEDED = ("l1", "latents", "error_mm", "negative_encoder", "negative_decoder")
_MARK = "#D55E00"
#: Colours of lines, which a small picture keeps.
_SHADES = [colour for colour in CYCLE if colour != _MARK]


@styled
def plot_tradeoff(table: Sequence[Row]) -> Figure:
    """Held-out error and negative share of the absolute weights, against their price and the number of latents.

    table: a row for each fit, with `l1`, the price of weights (a number, or those of encoder and decoder); `latents`,
    how many (a number, or sided and central ones); `error_mm`, held out; `negative_encoder` and `negative_decoder`,
    shares of the absolute weights from 0 to 1; and, where known, `floor_mm`, the least error of any affine map of that
    rank, and `chosen`, whether it is that fit. Raises InputError for an empty table or a row without one of these.
    """
    missing = [name for name in _NEEDED if any(name not in row for row in table)]
    if not table or missing:
        raise InputError("a table of fits", expected=f"rows with {', '.join(_NEEDED)}", got=missing or "no rows")
    figure = canvas(9.6, 6.4)
    axes = figure.subplots(2, 2, sharex="col", sharey="row")
    figure.subplots_adjust(left=0.075, right=0.985, bottom=0.085, top=0.82, wspace=0.08, hspace=0.12)
    _lines(axes[:, 0], table, _price, _count, "{:g} latents")
    _lines(axes[:, 1], table, _count, _price, "price {:g}")
    axes[0, 0].set_ylabel("held-out error, mm")
    axes[1, 0].set_ylabel("negative share of weights, %")
    _scale(axes[1, 0], [_price(row) for row in table], "price of absolute weights, λ")
    _scale(axes[1, 1], [_count(row) for row in table], "number of latents, L")
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 0].margins(y=0.12)
    shares = [100 * row[f"negative_{half}"] for row in table for half in ("encoder", "decoder")]
    least, most = max(min(shares), 0.01), max([*shares, 0.1])
    axes[1, 0].set_yscale("symlog", linthresh=least)
    marks = [mark for mark in (0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30) if 0.75 * least <= mark <= 1.4 * most or not mark]
    axes[1, 0].set_yticks(marks, [f"{mark:g}" for mark in marks])
    axes[1, 0].set_ylim(0 if min(shares) < least else 0.75 * least, 1.4 * most)
    axes[1, 0].minorticks_off()
    for each in axes.flat:
        each.grid(True)
    heading(figure, "What near-convexity and few latents cost", _words(table))
    return figure


def _price(row: Row) -> float:
    """The price of weights; of two, that of the encoder."""
    return float(np.ravel(row["l1"])[0])


def _count(row: Row) -> float:
    return float(np.sum(row["latents"]))


def _lines(
    axes: Sequence[Axes], table: Sequence[Row], across: Callable[[Row], float], along: Callable[[Row], float], word: str
) -> None:
    """One line for each value of `along`; floors dashed, encoders' negative share full, decoders' dotted."""
    values = sorted({along(row) for row in table})
    for number, value in enumerate(values):
        shade = _SHADES[number % len(_SHADES)]
        rows = sorted((row for row in table if along(row) == value), key=across)
        x = [across(row) for row in rows]
        style: dict[str, Any] = {"color": shade, "markersize": 4, "linewidth": 1.5}
        axes[0].plot(x, [row["error_mm"] for row in rows], "o-", label=word.format(value), **style)
        axes[0].plot(x, [row.get("floor_mm", np.nan) for row in rows], "--", color=shade, linewidth=0.9)
        axes[1].plot(x, [100 * row["negative_encoder"] for row in rows], "o-", **style)
        axes[1].plot(x, [100 * row["negative_decoder"] for row in rows], "s:", **style)
        for row in rows:
            if row.get("chosen"):
                _ring(axes, across(row), row)
    axes[0].legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=6, handlelength=1.4, columnspacing=1.2, fontsize=7
    )


def _ring(axes: Sequence[Axes], x: float, row: Row) -> None:
    """A ring about each value of the fit that was chosen."""
    for each, values in ((axes[0], [row["error_mm"]]),
                         (axes[1], [100 * row["negative_encoder"], 100 * row["negative_decoder"]])):  # fmt: skip
        ring = each.scatter(
            [x] * len(values), values, s=110, facecolors="none", edgecolors=_MARK, linewidths=1.8, zorder=5
        )
        ring.set_gid("chosen")


def _scale(axes: Axes, values: Sequence[float], label: str) -> None:
    """A logarithmic axis with a tick for each value, zero included."""
    ticks = sorted(set(values))
    least = min((value for value in ticks if value > 0), default=1.0)
    if ticks[0] > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=least, linscale=0.5)
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
    axes.minorticks_off()
    axes.set_xlabel(label)


def _words(table: Sequence[Row]) -> str:
    words = ["below: the encoder's share, dotted the decoder's"]
    if any("floor_mm" in row for row in table):
        words.insert(0, "dashed: the least error of any affine map of that rank")
    words += [f"ring: chosen, {row['error_mm']:.1f} mm" for row in table if row.get("chosen")]
    return "; ".join(words)
