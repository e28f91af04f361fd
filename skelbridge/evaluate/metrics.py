"""How good predicted poses are, in the field's own measures, each with its uncertainty.

>>> from skelbridge.evaluate.metrics import evaluate
>>> found = evaluate(predicted, truth, "h36m_17")       # (N, 17, 3) mm
>>> found["mpjpe"], print(found)

Measures go by name:
    mpjpe        mean distance of joints, mm, both poses moved so that their roots coincide
    pmpjpe       the same after the similarity (rotation, translation, scale; no reflection) that fits best, of poses
                 with three joints or more: Umeyama 1991
    nmpjpe       mpjpe after the predicted pose is scaled about its root to fit best: Rhodin et al. 2018
    abs_mpjpe    mean distance of joints as they are, mm
    pckT         percentage of joints nearer than T mm (strictly), roots coinciding, such as pck100
    cpsT         percentage of poses of which every joint is nearer than T mm, roots coinciding
    aucT         100 · mean of max(0, 1 - d / T): the area below pck from 0 to T
    auc_3dhp     the official one of MPI-INF-3DHP and MuPoTS: mean of pck at 0, 5, ..., 150 mm
    auc_3dpw     that of the 3DPW challenge: mean of 1 - (bin + 1/2) / 50, of 50 bins up to 199 mm
Means are over all joints of all poses. Joints that are missing (NaN) in the prediction or the truth do not count; how
many do is part of the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.errors import InputError, UnknownNameError
from skelbridge.skeletons import Skeleton, skeleton

Array = NDArray[np.float64]
#: A joint, or several, whose mean it is; "card": as the format's card says; None: poses stay where they are.
Root = str | int | Sequence[str] | Sequence[int] | None
Average = Literal["poses", "groups"]

#: The measures of the paper's tables S2 to S4.
MAIN = ("mpjpe", "pmpjpe", "pck100", "cps200")
#: Joints that a pose must have for a best similarity to say something: two always fit.
LEAST_JOINTS = 3


# -- poses ------------------------------------------------------------------------------------------------------------


def distances(predicted: Array, truth: Array) -> Array:
    """Distances of joints, (..., J) mm, of poses (..., J, 3); NaN where one of them is missing."""
    return np.asarray(np.linalg.norm(predicted - truth, axis=-1))


def rooted(points: Array, root: int | Sequence[int]) -> Array:
    """Poses (..., J, 3) moved so that the root, a joint or the mean of several, is at zero; NaN where it is missing."""
    origin = points[..., np.atleast_1d(root), :].mean(axis=-2, keepdims=True)
    return points - origin


def aligned(predicted: Array, truth: Array, *, scale: bool = True) -> Array:
    """Predicted poses (..., J, 3) after the rotation, translation and, if asked, scale that fit them best to the truth.

    By the joints that both have; Kabsch 1976 for the rotation, Umeyama 1991 for the scale. No reflection.
    """
    known = np.isfinite(predicted + truth).all(axis=-1, keepdims=True)
    counts = np.maximum(known.sum(axis=-2, keepdims=True), 1)

    def centred(points: Array) -> tuple[Array, Array]:
        middle = np.where(known, points, 0).sum(axis=-2, keepdims=True) / counts
        return np.where(known, points - middle, 0), middle

    (P, from_), (T, to) = centred(predicted), centred(truth)
    U, s, Vt = np.linalg.svd(np.swapaxes(P, -1, -2) @ T)
    flip = np.where(np.linalg.det(U @ Vt) < 0, -1.0, 1.0)
    U[..., -1] *= flip[..., None]
    s[..., -1] *= flip
    factor = s.sum(axis=-1) / np.maximum((P**2).sum(axis=(-2, -1)), 1e-12) if scale else np.ones(P.shape[:-2])
    return np.asarray(factor[..., None, None] * ((predicted - from_) @ U @ Vt) + to)


def scaled(predicted: Array, truth: Array) -> Array:
    """Predicted poses (..., J, 3) times the factor about zero, one for each pose, that fits them best to the truth."""
    known = np.isfinite(predicted + truth)
    P, T = np.where(known, predicted, 0), np.where(known, truth, 0)
    factor = (P * T).sum(axis=(-2, -1)) / np.maximum((P**2).sum(axis=(-2, -1)), 1e-12)
    return np.asarray(factor[..., None, None] * predicted)


# -- measures of distances -------------------------------------------------------------------------------------------


def pck(distance: Array, threshold: float) -> float:
    """Percentage of known joints nearer than the threshold; distances (..., J) mm; NaN if none is known."""
    return _mean(100.0 * (distance < threshold), distance)


def cps(distance: Array, threshold: float) -> float:
    """Percentage of poses whose worst known joint is nearer than the threshold; distances (..., J) mm."""
    worst = np.where(np.isfinite(distance), distance, -np.inf).max(axis=-1)
    return _mean(100.0 * (worst < threshold), worst)


def auc(distance: Array, kind: float | Literal["3dhp", "3dpw"] = 150.0) -> float:
    """Area below the curve of pck in percent, up to a threshold in mm, or as a benchmark computes it."""
    return _mean(100.0 * _area(distance, kind), distance)


def _area(distance: Array, kind: float | str) -> Array:
    with np.errstate(invalid="ignore"):
        if kind == "3dhp":
            area = 1 - np.floor(30 * distance / 150 + 1) / 31
        elif kind == "3dpw":
            area = 1 - (np.floor(50 * distance / 199) + 0.5) / 50
        else:
            area = 1 - distance / float(kind)
        return np.asarray(np.maximum(area, 0))


def _mean(values: NDArray, known: NDArray) -> float:
    there = np.isfinite(known)
    return float(values[there].mean()) if there.any() else float("nan")


# -- evaluation --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """One measure: its value, its standard error (NaN from one pose or group), and what it was measured on."""

    value: float
    error: float
    unit: Literal["mm", "%"]
    poses: int
    joints: int


@dataclass(frozen=True)
class PoseMetrics:
    """Measures of predicted poses; `metrics["mpjpe"]` is a value, `metrics.scores["mpjpe"]` all that is known of it.

    Standard errors take poses, or where groups were given whole groups, for independent of each other.
    """

    format: str
    root: str
    scores: dict[str, Score]
    groups: int
    average: Average = "poses"

    def __getitem__(self, name: str) -> float:
        return self.scores[name].value

    def __or__(self, other: PoseMetrics) -> PoseMetrics:
        """These and other measures of the same poses."""
        return PoseMetrics(self.format, self.root, self.scores | other.scores, self.groups, self.average)

    def __str__(self) -> str:
        over = "mean over groups" if self.average == "groups" else "mean over poses"
        lines = [f"{self.format}, root {self.root}, {over}, {self.groups} independent"]
        for name, score in self.scores.items():
            spread = "" if np.isnan(score.error) else f" ± {score.error:.2f}"
            lines.append(
                f"  {name:<10}{score.value:8.2f}{spread} {score.unit}, {score.poses} poses, {score.joints} joints"
            )
        return "\n".join(lines)


def evaluate(
    predicted: ArrayLike,
    truth: ArrayLike,
    format: str | Path | Skeleton,
    metrics: Sequence[str] = MAIN,
    *,
    root: Root = "card",
    joints: Iterable[str] | None = None,
    groups: ArrayLike | None = None,
    average: Average = "poses",
) -> PoseMetrics:
    """Measures of predicted poses (N, J, 3) beside the true ones, both in mm and in the format's joints.

    root: see `Root`. joints: those that count, all by default; a root may be another. groups: (N,), which poses belong
    together, such as those of a person or sequence; standard errors then take whole groups for independent, and with
    average="groups" a measure is the mean of those of the groups.

    Raises InputError for arrays that do not fit or are infinite, UnknownNameError for another joint or measure.
    """
    card = skeleton(format)
    P, T = _checked(predicted, card, "predicted"), _checked(truth, card, "truth")
    if len(P) != len(T):
        raise InputError("predicted and true poses", expected="as many of each", got=f"{len(P)} and {len(T)}")
    members = members_of(groups, len(P), average)
    chosen = [_index(card, name) for name in (card.names if joints is None else joints)]
    origin = _root_of(card, root)
    pair = P[:, chosen], T[:, chosen]
    together = (rooted(P, origin)[:, chosen], rooted(T, origin)[:, chosen]) if origin else pair
    scores = {}
    for name in metrics:
        sums, unit = _measured(name, pair, together)
        score = pooled(sums.totals, sums.counts, members, unit, average)
        scores[name] = replace(score, joints=sums.joints)
    about = " + ".join(card.names[i] for i in origin) or "none"
    return PoseMetrics(str(card), about, scores, int(members.max(initial=-1)) + 1, average)


@dataclass(frozen=True)
class _Sums:
    """Of each pose: the sum of a measure (N,) and of how many things it is the sum (N,)."""

    totals: Array
    counts: Array
    joints: int


def _measured(name: str, pair: tuple[Array, Array], together: tuple[Array, Array]) -> tuple[_Sums, Literal["mm", "%"]]:
    """One measure of each pose, of poses as they are and with their roots together; and its unit."""
    placed: Mapping[str, Callable[[], Array]] = {
        "mpjpe": lambda: distances(*together),
        "nmpjpe": lambda: distances(scaled(*together), together[1]),
        "abs_mpjpe": lambda: distances(*pair),
        "pmpjpe": lambda: _enough(distances(aligned(*pair), pair[1])),
    }
    if name in placed:
        return _sums(placed[name](), lambda d: d), "mm"
    if name in ("auc_3dhp", "auc_3dpw"):
        return _sums(distances(*together), lambda d: 100 * _area(d, name[4:])), "%"
    found = re.fullmatch(r"(pck|cps|auc)(\d+(?:\.\d+)?)", name)
    if found is None or not float(found[2]) > 0:
        names = f"{', '.join(placed)}, auc_3dhp, auc_3dpw, or pck, cps or auc with a threshold, as pck100"
        raise UnknownNameError(f"there is no measure {name!r}", expected=names)
    kind, limit, distance = found[1], float(found[2]), distances(*together)
    if kind == "cps":
        known = np.isfinite(distance)
        good = np.where(known, distance, -np.inf).max(axis=1, initial=-np.inf) < limit
        some = known.any(axis=1)
        return _Sums(100.0 * (good & some), some.astype(float), int(known.sum())), "%"
    of = (lambda d: 100.0 * (d < limit)) if kind == "pck" else (lambda d: 100 * _area(d, limit))
    return _sums(distance, of), "%"


def _enough(distance: Array) -> Array:
    """Distances of poses with enough joints, else NaN."""
    few = np.isfinite(distance).sum(axis=1, keepdims=True) < LEAST_JOINTS
    return np.where(few, np.nan, distance)


def _sums(distance: Array, of: Callable[[Array], Array]) -> _Sums:
    known = np.isfinite(distance)
    totals = np.where(known, of(distance), 0).sum(axis=1)
    return _Sums(totals, known.sum(axis=1).astype(float), int(known.sum()))


def pooled(
    totals: Array, counts: Array, members: NDArray[np.intp], unit: Literal["mm", "%"], average: Average = "poses"
) -> Score:
    """A mean over all poses, a ratio of sums, or the mean of those of groups; with its standard error.

    That of a ratio is linearised (Cochran, "Sampling Techniques", 1977).

    totals (N,): of each pose the sum of something; counts (N,): over how many joints, or 1 for a pose as a whole;
    members (N,): the number of its group, which is its own where poses are independent.
    """
    poses, things = int((counts > 0).sum()), int(counts.sum())
    sums, numbers = np.bincount(members, weights=totals), np.bincount(members, weights=counts)
    totals, counts = np.asarray(sums[numbers > 0]), np.asarray(numbers[numbers > 0])
    many = len(counts)
    if not many:
        return Score(float("nan"), float("nan"), unit, 0, 0)
    if average == "groups":
        value = float(np.mean(totals / counts))
        off = (totals / counts - value) / many
    else:
        value = float(totals.sum() / counts.sum())
        off = (totals - value * counts) / counts.sum()
    error = np.sqrt(many / (many - 1) * (off**2).sum()) if many > 1 else np.nan
    return Score(value, float(error), unit, poses, things)


# -- arguments --------------------------------------------------------------------------------------------------------


def _checked(points: ArrayLike, card: Skeleton, what: str) -> Array:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 3 or array.shape[1:] != (len(card), 3):
        raise InputError(f"{what} poses", expected=f"shape (N, {len(card)}, 3) for {card}", got=f"shape {array.shape}")
    if np.isinf(array).any():
        raise InputError(f"{what} poses", expected="finite numbers, NaN where missing", got="an infinity")
    return array


def members_of(groups: ArrayLike | None, count: int, average: Average = "poses") -> NDArray[np.intp]:
    """For each pose the number of its group; every pose its own where there are none."""
    if groups is None:
        if average == "groups":
            raise InputError("the mean over groups", expected="groups, (N,)", got="none")
        return np.arange(count)
    names = np.asarray(groups)
    if names.shape != (count,):
        raise InputError("groups", expected=f"shape ({count},)", got=f"shape {names.shape}")
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.intp).reshape(count)


def _root_of(card: Skeleton, root: Root) -> list[int]:
    """The joints whose mean is the root; none for None."""
    if root is None:
        return []
    if isinstance(root, str) and root == "card":
        if not card.root:
            raise InputError(f"{card} names no root", expected="root=a joint, joints, or None")
        return [card.index(name) for name in card.root]
    return [_index(card, each) for each in ([root] if isinstance(root, str | int) else root)]


def _index(card: Skeleton, joint: str | int) -> int:
    if isinstance(joint, str):
        return card.index(joint)
    if not 0 <= joint < len(card):
        raise InputError(f"a joint of {card}", expected=f"0 to {len(card) - 1}", got=joint)
    return int(joint)
