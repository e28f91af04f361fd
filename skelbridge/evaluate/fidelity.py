"""Fidelity of conversions: errors on bodies and people that the bridge has not seen, beside renaming and the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import affine_weights
from skelbridge.convert import Converter
from skelbridge.evaluate.renaming import rename, renaming_weights

Array = NDArray[np.float64]


def rms(errors: Array) -> float:
    """Root mean square of the known values; NaN if there are none."""
    known = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else float("nan")


@dataclass(frozen=True)
class PairFidelity:
    """Errors of one conversion, rms for each target joint (T,); NaN where a method does not answer.

    ours, renaming: measured. ours_shared: ours on what renaming answers. floor: of the least-squares optimum, of the
    very bodies that are tested or, for real people, of others. expected: what the converter said beforehand, and the
    bridge part of it.
    """

    source: str
    target: str
    ours: Array
    renaming: Array
    ours_shared: Array
    floor: Array
    expected: Array
    expected_bridge: Array


def on_moments(converter: Converter, moments: Array) -> PairFidelity:
    """Fidelity on bodies given by their moment matrix (L, L): the exact rms errors, mm on a body of 1.7 m."""
    source, target = converter.source, converter.target
    A, B = source.placement, target.placement
    answered = converter.expected_error <= converter.max_error
    unknown = np.where(answered, 1, np.nan)

    def errors(weights: Array) -> Array:
        off = B - weights @ A
        return np.sqrt(np.maximum(np.einsum("tl,tl->t", off @ moments, off), 0))

    ours, renaming = errors(converter.solution.weights) * unknown, errors(renaming_weights(source, target))
    return PairFidelity(
        str(source),
        str(target),
        ours,
        renaming + 0 * ours,
        ours + 0 * renaming,
        errors(affine_weights(A @ moments @ A.T, A @ moments @ B.T)) * unknown,
        converter.expected_error * unknown,
        converter.bridge_error * unknown,
    )


def on_hidden_joints(
    converter: Converter, poses: Array, visible: list[str], others: Array | None = None
) -> PairFidelity:
    """Fidelity on real poses (N, J, 3) in mm of one format: some joints are shown, all others are asked for.

    The converter is from the format into itself; others, poses of other people, give the least-squares floor.
    Joints that are shown are NaN in the result.
    """
    card = converter.source
    shown = np.isin(card.names, visible)
    seen = np.where(shown[:, None], poses, np.nan)
    out, guess = converter(seen), rename(seen, card, card)

    def errors(estimate: Array) -> Array:
        squared = np.sum((estimate - poses) ** 2, axis=-1)
        known = np.isfinite(squared) & ~shown
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.where(known, squared, 0).sum(axis=0) / known.sum(axis=0))

    floor = np.full(len(card), np.nan)
    if others is not None:
        X = others - others[:, shown].mean(axis=1, keepdims=True)
        rows = X.transpose(1, 0, 2).reshape(len(card), -1)
        weights = affine_weights(rows[shown] @ rows[shown].T, rows[shown] @ rows.T)
        floor = errors(np.einsum("ts,nsd->ntd", weights, poses[:, shown]))
    ours = errors(out.points)
    expected = np.sqrt(np.nanmean(out.expected_error**2, axis=0)) + 0 * ours
    shared = errors(np.where(np.isfinite(guess), out.points, np.nan))
    return PairFidelity(str(card), str(card), ours, errors(guess), shared, floor, expected, expected)
