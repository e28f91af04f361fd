"""Where a format's joints lie, learned from recordings of people.

Body poses, body shapes and the places of the joints are fitted together (`skelbridge.body.fit`). A place is an affine
combination of the landmarks around the one that the card names; it is pulled there with the card's uncertainty, tied
left to right, and in the end written with few, near-convex weights. Uncertainties are then learned from the errors of
estimating joints from each other (`skelbridge.body.uncertainty`), on people or, if there is but one, frames that the
places were not learned from. The same errors decide whether the card takes the learned places or keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skelbridge.body.articulated import articulated_body
from skelbridge.body.fit import Fit, Freedom
from skelbridge.body.rotations import Floats
from skelbridge.body.uncertainty import Trial, learned_uncertainty, trial
from skelbridge.bridge import near_convex_weights, shipped_bridge
from skelbridge.errors import InputError, need
from skelbridge.landmarks import landmarks
from skelbridge.poses import check_points
from skelbridge.skeletons import Skeleton, skeleton, write_card

#: Landmarks that a place may use beside its own: the nearest ones that lie this far from each other, mm.
NEIGHBOURS, SPACING = 24, 10.0
#: Standard deviation of the change of a weight, whatever place it leads to.
WEIGHT_CHANGE = 0.3
#: The virtual body and people differ by about this, mm: no joint is believed to be seen more exactly.
LEAST_SCATTER = 10.0
#: Rounds of fitting and of taking each joint's scatter from its residuals; steps a round.
ROUNDS, STEPS = 3, 8
#: A place is written with as few weights as say it within this share of its uncertainty; price of negative ones, mm²,
#: which is raised until the weights' absolute sum is within bounds.
SIMPLER, NEAR_CONVEX, MOST_WEIGHT = 0.4, 60.0, 2.9
#: Joints whose card is less sure than this, mm, have no common place: wands, and markers that tell left from right, are
#: stuck on as one likes. What a recording says of them holds for it alone, so they keep what the card says.
AT_WILL = 40.0
#: Poses that differ by less, mm at every joint, count as one; with fewer different poses than this nothing is learned.
SAME_POSE, FEWEST_POSES = 50.0, 8
#: A body that fits its points no better than this, rms mm, is no body of that format.
WORST_FIT = 80.0


@dataclass(frozen=True)
class Calibration:
    """What recordings say about a format's places. Arrays are (joints,) and mm on a body of 1.7 m.

    card: the format as it should be used: with the learned places if they estimate held-out joints better than its own
    ones (`improved`), and with learned uncertainties. learned: the learned places in any case. moved: how far they lie
    from the card's. posterior: how surely the fit knows them, poses and shapes of the bodies averaged over (both are 0
    for joints that keep their card's place in any case: see AT_WILL). before,
    after: the errors on what was held out. held_out: what that was. fit: the bodies.
    """

    card: Skeleton
    learned: Skeleton
    improved: bool
    moved: Floats
    posterior: Floats
    before: Trial
    after: Trial
    held_out: str
    fit: Fit

    @property
    def gain(self) -> float:
        """The errors of the learned places over those of the card's own, geometric mean over held-out estimates."""
        return float(np.exp(np.mean(np.log(self.after.measured / self.before.measured))))

    def report(self) -> str:
        """A table of joints in words."""
        prior = self.learned.prior()
        lines = [
            f"{self.card.id}: {self.fit.people} people, {len(self.fit.points)} frames; held out: {self.held_out}",
            f"held-out errors, learned places / the card's own: {self.gain:.3f}"
            + ("; the learned ones are taken" if self.improved else "; the card keeps its own"),
            f"{'joint':<24} {'own ±':>6} {'moved':>6} {'fit ±':>6} {'learned ±':>9}   place",
        ]
        for row, joint in enumerate(self.card.joints):
            place = " ".join(f"{weight:+.2f} {name}" for name, weight in joint.at.items())
            lines.append(
                f"{joint.name:<24} {prior.placement_uncertainty[row]:6.1f} {self.moved[row]:6.1f}"
                f" {self.posterior[row]:6.1f} {joint.placement_uncertainty:9.1f}   {place}"
            )
        return "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Write the card as a TOML file, to be used by its path or put into a registry."""
        write_card(self.card, path)


def calibrate(
    card: str | Skeleton,
    people: Mapping[str, NDArray[Any]],
    *,
    frames: int = 50,
    scatter: float = LEAST_SCATTER,
    source: str = "",
    progress: bool = False,
) -> Calibration:
    """Learn where the joints of a format lie, and how surely, from recorded poses of people.

    Parameters: card, a format; its own placements and uncertainties are the starting point, and what is not seen stays
    near them. people: for each person the recorded poses (frames, joints, 3) in mm, NaN where a joint is missing;
    frames: how many a person are used, spread over the recording by the way its joints travel; scatter: by how
    much, mm an axis, bodies of the model differ from the recorded ones at least; source: what the recordings are.

    Raises InputError for poses that are too few or too alike to learn from, that are not in mm, or that do not look
    like the format; MissingExtraError without [body].
    """
    card = skeleton(card).prior()
    chosen = {name: _spread(_checked(points, card, name), frames) for name, points in people.items()}
    if not chosen:
        raise InputError("people", expected="poses of at least one person", got="none")
    splits, held_out = _splits(chosen)
    before, after = [], []
    # The systems are many and small: threads would wait for each other.
    one_thread = need("threadpoolctl", "body").threadpool_limits(1)
    with one_thread, tqdm(total=len(splits) + 1, unit="fit", disable=None if progress else True) as bar:
        fit = _fitted(card, chosen, scatter)
        bar.update()
        learned, moved, posterior = _placed(card, fit, source)
        sizes = dict(zip(chosen, np.exp(fit.state.size), strict=True))
        for known, tested in splits:
            places = _placed(card, _fitted(card, known, scatter), source)[0]
            poses = {name: points / sizes[name] for name, points in tested.items()}
            before += [trial(card, points) for points in poses.values()]
            after += [trial(places, points) for points in poses.values()]
            bar.update()
    old, new = Trial.joined(before), Trial.joined(after)
    improved = bool(np.mean(np.log(new.measured / old.measured)) < 0)
    own = card.placement_uncertainty
    if improved:
        start = np.where(own >= AT_WILL, own, np.minimum(np.hypot(posterior, fit.scatter), own))
        uncertainty = learned_uncertainty(learned, start, new, len(before))
    else:
        uncertainty = learned_uncertainty(card, own, old, len(before))
    uncertainty = np.where(own >= AT_WILL, own, uncertainty)
    best = _with(card, learned.placement if improved else card.placement, uncertainty, source)
    return Calibration(best, learned, improved, moved, posterior, old, new, held_out, fit)


def _checked(points: NDArray[Any], card: Skeleton, name: str) -> Floats:
    points = np.asarray(points, dtype=np.float64)
    check_points(points, card)
    if points.ndim != 3 or points.shape[-1] != 3:
        raise InputError(f"the poses of {name}", expected=f"shape (frames, {len(card)}, 3)", got=points.shape)
    usable = points[np.isfinite(points).all(axis=-1).sum(axis=1) >= 3]
    _check_count(len(usable))
    return usable


def _spread(points: Floats, count: int) -> Floats:
    """At most `count` frames at equal steps of the way that the joints travel about their middle."""
    if len(points) <= count:
        return points
    relative = points - np.nanmean(points, axis=1, keepdims=True)
    steps = np.nan_to_num(np.nanmean(np.linalg.norm(np.diff(relative, axis=0), axis=-1), axis=1))
    way = np.concatenate([[0], np.cumsum(np.minimum(steps, 20 * np.median(steps) + 1e-9))])
    return points[np.unique(np.searchsorted(way, np.linspace(0, way[-1], count)))]


def _splits(people: Mapping[str, Floats]) -> tuple[list[tuple[dict[str, Floats], dict[str, Floats]]], str]:
    """What to learn from and what to test on: each person in turn, or the halves of the only one's recording."""
    if len(people) > 1:
        without = [
            ({other: x for other, x in people.items() if other != name}, {name: people[name]}) for name in people
        ]
        return without, "each person in turn"
    ((name, points),) = people.items()
    halves = points[: len(points) // 2], points[len(points) // 2 :]
    return [({name: a}, {name: b}) for a, b in (halves, halves[::-1])], "the halves of the one recording in turn"


def _fitted(card: Skeleton, people: Mapping[str, Floats], least: float) -> Fit:
    """Bodies fitted to the poses, the joints' places free, each joint's scatter taken from its residuals."""
    points = np.concatenate([*people.values()])
    person = np.repeat(np.arange(len(people)), [len(poses) for poses in people.values()])
    scatter = np.full(len(card), 1.5 * least)
    fit = Fit(articulated_body(), card.placement, points, person, scatter, freedoms(card, shipped_bridge().moments))
    fit.align()
    _check_variety(fit)
    fit.fit_poses(20)
    fit.restart_poor()
    for _ in range(ROUNDS):
        fit.fit_all(STEPS)
        fit.scatter = np.maximum(_scatter(fit, card.mirror_index), least)
    _check_fit(fit, card)
    return fit


def _check_variety(fit: Fit) -> None:
    different: list[Floats] = []
    for pose in fit.in_root():
        if all(np.nanmax(np.linalg.norm(pose - other, axis=-1), initial=0) > SAME_POSE for other in different):
            different.append(pose)
    _check_count(len(different))


def _check_count(different: int) -> None:
    if different < FEWEST_POSES:
        raise InputError(
            "the poses are too few or too alike to tell where joints lie",
            expected=f"at least {FEWEST_POSES} poses that differ by {SAME_POSE:g} mm at some joint",
            got=different,
            mend="Record people who bend all their joints.",
        )


def _check_fit(fit: Fit, card: Skeleton) -> None:
    factor = np.exp(fit.state.size)
    if factor.min() < 0.4 or factor.max() > 1.6:
        got = f"people {factor.min():.2g} to {factor.max():.2g} times as large as 1.7 m"
        raise InputError("the poses are not of human size", expected="millimetres", got=got)
    rms = np.sqrt(np.nanmedian(np.sum(fit.residuals() ** 2, axis=-1)))
    if rms > WORST_FIT:
        raise InputError(
            f"no body fits the poses as {card.id}",
            expected=f"points within {WORST_FIT:g} mm of a body's",
            got=f"{rms:.0f} mm",
            mend="Look whether the joints' order is that of the format, and left is left.",
        )


def _scatter(fit: Fit, mirror: NDArray[np.intp]) -> Floats:
    """Scatter of each joint about its place, per axis, left and right as one, (J,) mm."""
    residuals = fit.residuals()
    squared = fit.weights(residuals) * np.where(fit.known, np.sum(residuals**2, axis=-1), 0)
    sums, counts = squared.sum(axis=0), 3 * fit.known.sum(axis=0)
    return np.sqrt((sums + sums[mirror]) / np.maximum(counts + counts[mirror], 1))


def freedoms(card: Skeleton, moments: Floats) -> list[Freedom]:
    """How each joint's place may move; left and right as one."""
    mirror, found = landmarks().mirror, []
    for row, partner in enumerate(card.mirror_index):
        if partner < row:
            continue
        central = partner == row and card.names[row] not in card.asymmetric
        directions = _directions(card.placement[row], moments, mirror if central else None)
        u = card.placement_uncertainty[row]
        precision = 3 / u**2 * directions @ moments @ directions.T + np.eye(len(directions)) / WEIGHT_CHANGE**2
        both = (row,) if partner == row else (row, int(partner))
        found.append(Freedom(both, (directions, directions[:, mirror])[: len(both)], precision))
    return found


def _near(placement: Floats, moments: Floats, mirror: NDArray[np.intp] | None) -> NDArray[np.bool_]:
    """The landmarks that a place is made of, and those near it that are well apart, (landmarks,)."""
    size, near = np.diag(moments), placement != 0
    left = np.argsort(size - 2 * placement @ moments)
    for _ in range(NEIGHBOURS):
        squared = size[left, None] + size[near] - 2 * moments[np.ix_(left, np.flatnonzero(near))]
        left = left[squared.min(axis=1) > SPACING**2]
        near[left[0]] = True
    return near if mirror is None else near | near[mirror]


def _directions(placement: Floats, moments: Floats, mirror: NDArray[np.intp] | None) -> Floats:
    """Orthonormal changes of the weights of near landmarks that keep their sum, (changes, landmarks).

    mirror: for a central joint, whose weights stay symmetric.
    """
    vectors = np.eye(len(placement))[_near(placement, moments, mirror)]
    if mirror is not None:
        vectors = np.unique(vectors + vectors[:, mirror], axis=0)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.linalg.svd(vectors.sum(axis=1)[None])[2][1:] @ vectors


def _placed(card: Skeleton, fit: Fit, source: str) -> tuple[Skeleton, Floats, Floats]:
    """The card with the learned places, how far they moved and how surely the fit knows them, (joints,) mm."""
    moments, mirror = shipped_bridge().moments, landmarks().mirror
    found, posterior = card.placement.copy(), np.zeros(len(card))
    placed = fit.placed()
    for freedom, covariance in zip(fit.freedoms, fit.covariances(), strict=True):
        row, directions = freedom.joints[0], freedom.directions[0]
        if card.placement_uncertainty[row] >= AT_WILL:
            continue
        central = len(freedom.joints) == 1 and card.names[row] not in card.asymmetric
        near = _near(card.placement[row], moments, mirror if central else None)
        surely = np.sqrt(np.trace(directions @ moments @ directions.T @ covariance))
        weights = _simplified(placed[row], near, moments, mirror if central else None, SIMPLER * surely)
        for joint, image in zip(freedom.joints, (weights, weights[mirror]), strict=False):
            found[joint], posterior[joint] = image, surely
    off = found - card.placement
    moved = np.sqrt(np.maximum(np.einsum("jl,lm,jm->j", off, moments, off), 0))
    return _with(card, found, card.placement_uncertainty, source), moved, posterior


def _simplified(
    placement: Floats, near: NDArray[np.bool_], moments: Floats, mirror: NDArray[np.intp] | None, tolerance: float
) -> Floats:
    """The fewest near-convex weights that say the same place within a tolerance (mm), to three decimals.

    The price of negative weights is raised until all near landmarks together say the place within bounds; then weights
    leave one by one, each time the one that is missed least.
    """
    partner, price = np.arange(len(placement)) if mirror is None else mirror, NEAR_CONVEX

    def solved(allowed: NDArray[np.bool_]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Weights on the allowed landmarks (n, landmarks), how far they miss the place, mm, and are within bounds."""
        b = np.tile(moments @ placement, (len(allowed), 1))
        found = near_convex_weights(moments, b, np.zeros(allowed.shape), allowed, price)
        found = (found + found[:, partner]) / 2
        off = found - placement
        missed = np.sqrt(np.maximum(np.einsum("nl,lm,nm->n", off, moments, off), 0))
        return found, missed, np.abs(found).sum(axis=1) < MOST_WEIGHT

    found, missed, fine = solved(near[None])
    while not fine[0]:
        price *= 1.5
        found, missed, fine = solved(near[None])
    tolerance += float(missed[0])
    while len(found) and np.where(fine, missed, np.inf).min() <= tolerance:
        best = found[np.where(fine, missed, np.inf).argmin()]
        left = np.flatnonzero((best != 0) & (np.arange(len(best)) <= partner))
        fewer = np.tile(best != 0, (len(left), 1))
        fewer[np.arange(len(left)), left] = fewer[np.arange(len(left)), partner[left]] = False
        found, missed, fine = solved(fewer[fewer.any(axis=1)])
    return _rounded(best, partner)


def _rounded(weights: Floats, partner: NDArray[np.intp]) -> Floats:
    """Weights to three decimals that still sum to one."""
    weights = np.round(weights, 3)
    largest = int(np.argmax(weights))
    both = sorted({largest, int(partner[largest])})
    weights[both] += (1 - weights.sum()) / len(both)
    return np.round(weights, 4)


def _with(card: Skeleton, placement: Floats, uncertainty: Floats, source: str) -> Skeleton:
    """The card with other places and uncertainties; its own are kept as prior."""
    names = landmarks().names
    joints = []
    for row, joint in enumerate(card.joints):
        at = {names[i]: float(placement[row, i]) for i in np.flatnonzero(placement[row])}
        learned = {
            "at": at,
            "uncertainty": round(float(uncertainty[row]), 1),
            "calibrated": source or "recordings of people",
            "prior": joint.at,
            "prior_uncertainty": joint.placement_uncertainty,
        }
        joints.append({**joint.model_dump(), **learned})
    return Skeleton.model_validate({**card.model_dump(), "joints": joints})
