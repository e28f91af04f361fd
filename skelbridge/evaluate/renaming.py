"""The baseline: renaming, what people do by hand today, as one frozen table of rules.

A target joint is the source joint of the same name; a pelvis or a neck that the source lacks is the middle of the
hips or of the shoulders; everything else is missing. The table is frozen so that numbers stay comparable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skelbridge.skeletons import Skeleton

#: Target joint -> the two source joints whose middle it is, if no source joint has its name.
MIDDLES = {
    "pelvis": ("left_hip", "right_hip"),
    "mid_hip": ("left_hip", "right_hip"),
    "neck": ("left_shoulder", "right_shoulder"),
}


def renaming_weights(source: Skeleton, target: Skeleton) -> NDArray[np.float64]:
    """The table as weights, (T, S); rows of joints that renaming does not answer are NaN."""
    weights = np.full((len(target), len(source)), np.nan)
    for row, name in zip(weights, target.names, strict=True):
        rules = _rules(source, name)
        if rules:
            row[:] = 0
            row[rules[0]] = 1 / len(rules[0])
    return weights


def rename(points: NDArray, source: Skeleton, target: Skeleton) -> NDArray:
    """Convert by renaming: (..., S, D) -> (..., T, D), NaN where no rule answers with the joints that are there."""
    result = np.full((*points.shape[:-2], len(target), points.shape[-1]), np.nan, dtype=points.dtype)
    for t, name in enumerate(target.names):
        for used in reversed(_rules(source, name)):
            answer = points[..., used, :].mean(axis=-2)
            result[..., t, :] = np.where(np.isnan(answer), result[..., t, :], answer)
    return result


def _rules(source: Skeleton, name: str) -> list[list[int]]:
    """The source joints whose mean a target joint is: its namesake, then the table's middle."""
    rules = [(name,), MIDDLES.get(name, ())]
    return [[source.index(s) for s in rule] for rule in rules if rule and set(rule) <= set(source.names)]
