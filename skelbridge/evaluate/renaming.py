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
        sources = (name,) if name in source.names else MIDDLES.get(name, ())
        if sources and all(s in source.names for s in sources):
            row[:] = 0
            row[[source.index(s) for s in sources]] = 1 / len(sources)
    return weights


def rename(points: NDArray, source: Skeleton, target: Skeleton) -> NDArray:
    """Convert by renaming: (..., S, D) -> (..., T, D), NaN where the table has no rule or a source is missing."""
    result = np.full((*points.shape[:-2], len(target), points.shape[-1]), np.nan, dtype=points.dtype)
    for t, row in enumerate(renaming_weights(source, target)):
        if not np.isnan(row[0]):
            used = np.flatnonzero(row)
            result[..., t, :] = np.einsum("s,...sd->...d", row[used], points[..., used, :])
    return result
