"""Learning the relation of two formats from paired poses of the same bodies, with the bridge as prior.

The bridge and the placements give the joints' second moments J0, with the weight of n0 poses (the mean of an inverse
Wishart distribution); N pairs have the moments J. What is known after both is (n0 J0 + N J) / (n0 + N): the bridge
where pairs are few, least squares where they are many. How much the bridge is worth, n0, is chosen by how well parts of
the pairs are foretold by the others, and those errors correct what the new relation expects of its own.

What is missing in a pair is filled in with its expectation, first of the bridge, then of what was learned (EM), and the
doubt of it is added to the moments. So a joint that never appears stays related to the others as the bridge says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.bridge.apply import group_rows, missing_bits
from skelbridge.bridge.relation import JointMoments, Relation
from skelbridge.errors import InputError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: What the bridge may be worth, in poses; infinitely many: the pairs change nothing.
PRIOR_POSES = (np.inf, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
#: Parts of the pairs that are foretold by the others: whole people where there are several, else stretches of time.
PARTS = 5
#: Poses that the relation's own expectation of its errors is worth beside the measured ones.
EXPECTATION_POSES = 30
#: Rounds of filling in what is missing, and what the bridge is worth in them.
FILLINGS, FILLING_POSES = 8, 10.0
#: Fewer pairs than this are refused.
LEAST_PAIRS = 10
#: How far targets may lie from where the bridge has them: in size (a factor), in place (mm on a body of 1.7 m), and
#: when centred (a share of their size).
_SIZE, _FAR, _TURNED = 1.6, 300.0, 0.7


@dataclass(frozen=True)
class _Parts:
    """The pairs in parts: the sums of their moments (P, S + T, S + T), how many pairs each has (P,)."""

    bridge: Array
    placement: Array
    count: NDArray[np.intp]

    def posterior(self, relation: Relation, used: Mask, prior_poses: float, factor: Array | float = 1.0) -> Relation:
        """The relation after the `used` parts."""
        prior, count = relation.joint_moments, self.count[used].sum()
        share = count / (count + prior_poses)
        bridge, placement = (
            (1 - share) * before + share * sums[used].sum(axis=0) / count
            for before, sums in ((prior.bridge, self.bridge), (prior.placement, self.placement))
        )
        return relation.updated(JointMoments(bridge, placement), (1 - share) * relation.simplicity, factor)


def learn(relation: Relation, poses: Array, people: ArrayLike | None, variance: Array) -> Relation:
    """The relation after paired poses.

    Parameters: poses (N, S + T, 3), sources then targets, on a body of 1.7 m, NaN = missing; people (N,), labels;
    variance (S,), mm², of the noise that the sources have: it is taken out of the moments, as the solver adds it.
    Raises InputError for too few poses, poses that are all the same, or not in one unit and frame of reference.
    """
    if len(poses) < LEAST_PAIRS:
        raise InputError(
            "pairs of poses to learn from",
            expected=f"at least {LEAST_PAIRS} in which most of the source joints and a target joint are known",
            got=len(poses),
        )
    known = np.isfinite(poses[:, : len(variance)]).all(axis=-1).mean(axis=0)
    common = known >= min(0.5, known.max())
    _check_motion(poses[:, : len(variance)][:, common], 2 * np.sqrt(variance.max()))
    _check_frame(relation, poses, common, variance)
    part = _split(len(poses), people)
    parts = _filled_sums(relation, poses, part, variance)
    every = np.arange(len(parts.count))
    measured = np.array(
        [
            [_measure(parts.posterior(relation, every != p, worth), poses[part == p], common, variance) for p in every]
            for worth in PRIOR_POSES
        ]
    )
    scores = measured[:, :, 1].sum(axis=-1) / np.maximum(measured[:, :, 0].sum(axis=-1), 1)
    chosen = _most_cautious(scores)
    return parts.posterior(relation, every >= 0, PRIOR_POSES[chosen], _correction(measured[chosen]))


def _most_cautious(scores: Array) -> int:
    """The first row of squared errors (rows, parts) that is not worse than the best by more than chance."""
    excess = scores - scores[scores.mean(axis=1).argmin()]
    chance = excess.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    return int(np.flatnonzero(excess.mean(axis=1) <= chance)[0])


def _measure(relation: Relation, poses: Array, common: Mask, variance: Array) -> tuple[Array, ...]:
    """Of each target, (T,): poses that can be judged, and the sums of squared error, expected error, its noise.

    The estimates are from the `common` sources, (S,).
    """
    solution = relation.solve(common[None], variance[None])[0]
    off = poses[:, len(variance) :] - _apply(solution.weights, poses[:, : len(variance)])
    squared = np.sum(off**2, axis=-1)
    count = np.isfinite(squared).sum(axis=0)
    return count, np.nansum(squared, axis=0), count * solution.total**2, count * solution.noise**2


def _correction(measured: Array) -> Array:
    """Factor (T,) on the squared bridge and placement error, so that expected errors are as the measured ones.

    Of what _measure gives for each part, (P, 4, T). To the mean squared error comes one standard error of it, as the
    parts differ; the expectation itself is worth EXPECTATION_POSES, for a few lucky poses prove nothing.
    """
    count, squared, expected, noise = measured.sum(axis=0)
    spread = measured[:, 1] - measured[:, 0] * squared / np.maximum(count, 1)
    chance = np.sqrt(np.sum(spread**2, axis=0) * len(measured) / (len(measured) - 1))
    known = np.maximum(expected - noise, 1e-6 + count)  # below 1 mm nothing is measured
    ratio = np.maximum(squared + chance - noise, 0) / known
    return (count * ratio + EXPECTATION_POSES) / (count + EXPECTATION_POSES)


def _apply(weights: Array, points: Array) -> Array:
    """Points (N, S, 3) -> (N, T, 3); NaN where a point that carries weight is missing."""
    missing = np.isnan(points).any(axis=-1)
    made: Array = np.einsum("ts,nsd->ntd", weights, np.nan_to_num(points), optimize=True)
    made[missing.astype(float) @ (weights != 0).T > 0] = np.nan
    return made


def _split(count: int, people: ArrayLike | None) -> NDArray[np.intp]:
    """The part that each pair belongs to, (N,)."""
    if people is not None:
        person = np.unique(np.asarray(people), return_inverse=True)[1].reshape(-1)
        if person.max() > 0:
            return person % PARTS
    return np.arange(count) * PARTS // count


def _filled_sums(relation: Relation, poses: Array, part: NDArray[np.intp], variance: Array) -> _Parts:
    """The moments of the parts; where points are missing, filled in once more with what was learned (EM)."""
    parts = _sums(relation.joint_moments, poses, part, variance)
    for _ in range(FILLINGS if np.isnan(poses).any() else 0):
        learned = parts.posterior(relation, parts.count > 0, FILLING_POSES)
        parts = _sums(learned.joint_moments, poses, part, variance)
    return parts


def _sums(prior: JointMoments, poses: Array, part: NDArray[np.intp], variance: Array) -> _Parts:
    """Moments of the pairs, each part's summed up; what is missing is filled in as the prior has it."""
    joints, sources = poses.shape[1], len(variance)
    count = np.bincount(part)
    bridge, placement = np.zeros((2, len(count), joints, joints))
    filled, precision = poses.copy(), _precision(prior.bridge + prior.placement, variance)
    examples, group = group_rows(missing_bits(poses))
    for code, example in enumerate(examples):
        members, seen = np.flatnonzero(group == code), np.isfinite(poses[example]).all(axis=-1)
        many = np.bincount(part[members], minlength=len(count))[:, None, None]
        noisy = np.flatnonzero(seen[:sources])
        bridge[:, noisy, noisy] -= many[:, 0] * variance[noisy]
        if not seen.all():
            off = np.linalg.solve(precision[np.ix_(~seen, ~seen)], precision[~seen])
            filled[np.ix_(members, ~seen)] = np.einsum("ms,nsd->nmd", -off[:, seen], poses[np.ix_(members, seen)])
            both = np.ix_(range(len(count)), ~seen, ~seen)
            bridge[both] += many * (off @ prior.bridge @ off.T)
            placement[both] += many * (off @ prior.placement @ off.T)
    filled -= filled.mean(axis=1, keepdims=True)
    for p in range(len(count)):
        rows = filled[part == p].transpose(1, 0, 2).reshape(joints, -1)
        bridge[p] += rows @ rows.T
    return _Parts(bridge, placement, count)


def _precision(joint: Array, variance: Array) -> Array:
    """Inverse of the joint moments among rows that sum to zero, (S + T, S + T).

    With P its result, P_mm⁻¹ P_m. are rows that are one at a missing joint m, and minus the best affine weights, for
    noisy sources, at the seen ones.
    """
    system = np.ones((len(joint) + 1, len(joint) + 1))
    noise = np.concatenate([variance, np.zeros(len(joint) - len(variance))]) + 1.0  # keeps it regular
    system[:-1, :-1], system[-1, -1] = joint + np.diag(noise), 0
    inverse = np.asarray(np.linalg.inv(system)[:-1, :-1], dtype=np.float64)
    return inverse


def _check_motion(sources: Array, least: float) -> None:
    """Refuse poses (N, S, 3) in which no distance between joints changes by more than `least` mm (rms)."""
    some = sources[:: len(sources) // 100 + 1, :: sources.shape[1] // 60 + 1]
    distance = np.linalg.norm(some[:, :, None] - some[:, None], axis=-1)
    often = np.isfinite(distance).sum(axis=0) > len(some) / 4
    change = np.nanstd(distance[:, often], axis=0).max(initial=0)
    if not change > max(least, 1.0):
        raise InputError(
            "the paired poses are all the same",
            expected=f"poses in which distances of joints change by more than {max(least, 1.0):.0f} mm (rms)",
            got=f"{change:.1f} mm",
        )


def _check_frame(relation: Relation, poses: Array, common: Mask, variance: Array) -> None:
    """Refuse targets that lie, on the whole, quite otherwise than the sources say before anything was learned."""
    solution = relation.solve(common[None], variance[None])[0]
    sure = solution.total <= max(75.0, np.median(solution.total))
    guess = _apply(solution.weights[sure], poses[:, : len(variance)])
    given = poses[:, len(variance) :][:, sure]
    off = given - guess
    known = np.isfinite(off).any(axis=(1, 2))
    if not known.any():
        return
    guess, given = (np.where(np.isfinite(off), points, np.nan)[known] for points in (guess, given))
    centre, other = (np.nanmean(points, axis=1, keepdims=True) for points in (guess, given))
    guess, given = guess - centre, given - other
    size, theirs, turned = (np.median(np.sqrt(np.nansum(v**2, axis=(1, 2)))) for v in (guess, given, given - guess))
    far = np.median(np.linalg.norm(other - centre, axis=-1))
    mend = "Give sources and targets in the same frame of reference and unit."
    if not size / _SIZE <= theirs <= size * _SIZE:
        got = f"{theirs / size:.3g} times the size that the sources say"
        raise InputError("the sizes of paired poses", expected="one unit for both", got=got, mend=mend)
    if far > _FAR:
        got = f"targets {far:.0f} mm (on a body of 1.7 m) from where the sources say"
        raise InputError("the places of paired poses", expected="one frame of reference", got=got, mend=mend)
    if turned > _TURNED * size:
        got = "targets in other directions than the sources say"
        raise InputError("the directions of paired poses", expected="the same axes for both", got=got, mend=mend)
