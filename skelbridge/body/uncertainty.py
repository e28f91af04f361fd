"""How surely places are known, learned from the errors of estimating joints from each other.

Hide joints of recorded poses, estimate them from the shown ones, and compare the errors with the foretold ones. The
foretold squared error is bridge² + placement² + noise²; bridge and noise are known, and placement is a quadratic form
of the joints' uncertainties (`skelbridge.bridge.relation`). The uncertainties under which measured and foretold agree
are found by least squares of the logarithms of their ratios, pulled towards the card's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skelbridge.body.rotations import Floats
from skelbridge.bridge import Relation, shipped_bridge
from skelbridge.errors import need
from skelbridge.skeletons import Skeleton

#: Input noise that conversions assume by default, mm: with it the total is to be right.
NOISE = 5.0
#: Patterns of shown joints beside those that hide a single one, and the share that they hide.
PATTERNS, HIDDEN = 12, 0.4
#: One person's error tells the rms over people to this factor (as a logarithm): it is one draw of a vector.
ONE_PERSON = 0.45
#: and in the mean of logarithms it is smaller than the rms: by this much for a normal vector in space (E log of χ₃).
SMALLER = 0.18
#: How far uncertainties may be off as a logarithm: all joints of a kind together, and each on its own.
KIND_OFF, JOINT_OFF = 0.7, 0.35


@dataclass(frozen=True)
class Trial:
    """Estimates of hidden joints: (estimates,) errors measured and those foretold without the placement part, mm, and
    what each estimate takes from each joint: one for itself, less the weights, (estimates, joints)."""

    measured: Floats
    without_placement: Floats
    off: Floats

    @classmethod
    def joined(cls, trials: Sequence[Trial]) -> Trial:
        """Several trials as one."""
        parts = (
            np.concatenate([getattr(t, name) for t in trials]) for name in ("measured", "without_placement", "off")
        )
        return cls(*parts)

    def foretold(self, card: Skeleton, uncertainty: Floats) -> Floats:
        """The foretold errors in total, (estimates,), if the card's joints had these uncertainties."""
        directions = card.placement / np.linalg.norm(card.placement, axis=1, keepdims=True)
        parts = (self.off * uncertainty) @ directions
        return np.sqrt(self.without_placement**2 + np.sum(parts**2, axis=1))


def trial(card: Skeleton, poses: Floats, seed: int = 0) -> Trial:
    """Estimate joints of poses (frames, joints, 3), mm on a body of 1.7 m, from patterns of the others."""
    relation = Relation(shipped_bridge(), card, card)
    usual = np.isfinite(poses).all(axis=-1).mean(axis=0) > 0.5
    shown = _patterns(card, np.random.default_rng(seed)) & usual
    variance = np.full(shown.shape, NOISE**2)
    results = []
    for seen, solution in zip(shown, relation.solve(shown, variance), strict=True):
        hidden = np.flatnonzero(~seen)
        errors = poses[:, hidden] - np.einsum("ts,nsd->ntd", solution.weights[hidden][:, seen], poses[:, seen])
        squared = np.sum(errors**2, axis=-1)
        known = np.isfinite(squared)
        measured = np.sqrt(
            np.where(known, squared, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
        )
        others = np.hypot(solution.bridge, solution.noise)[hidden]
        off = np.eye(len(card))[hidden] - solution.weights[hidden]
        fine = np.isfinite(measured)
        results.append(Trial(measured[fine], others[fine], off[fine]))
    return Trial.joined(results)


def _patterns(card: Skeleton, rng: np.random.Generator) -> np.ndarray:
    """Which joints are shown: all but one, for each one; and random shares that keep a few."""
    single = ~np.eye(len(card), dtype=bool)
    shared = rng.random((PATTERNS, len(card))) >= HIDDEN
    return np.concatenate([single, shared[shared.sum(axis=1) >= 3]])


def learned_uncertainty(card: Skeleton, start: Floats, trials: Trial, people: int) -> Floats:
    """Uncertainties (joints,), mm, under which the errors of trials on some people are as foretold; near `start`."""
    optimize, partner = need("scipy.optimize", "body"), card.mirror_index
    kinds = sorted({joint.kind for joint in card.joints})
    kind = np.array([kinds.index(joint.kind) for joint in card.joints])
    tied = np.minimum(partner, np.arange(len(card)))
    places, joint_of = np.unique(tied, return_inverse=True)
    sd = ONE_PERSON / np.sqrt(people)
    # Every joint is estimated in many patterns; they count as one estimate of it, not as many.
    share = np.sqrt(len(card) / len(trials.measured))

    def uncertainty(x: Floats) -> Floats:
        return start * np.exp(x[kind] + x[len(kinds) :][joint_of])

    def residuals(x: Floats) -> Floats:
        off = SMALLER + np.log(np.maximum(trials.measured, 1) / trials.foretold(card, uncertainty(x)))
        return np.concatenate([share * off / sd, x[: len(kinds)] / KIND_OFF, x[len(kinds) :] / JOINT_OFF])

    return uncertainty(optimize.least_squares(residuals, np.zeros(len(kinds) + len(places))).x)
