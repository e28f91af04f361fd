"""Convert poses between any two skeleton formats: the user's front door.

>>> from skelbridge.convert import Converter, convert
>>> y = convert(x, "mediapipe_pose_33", "h36m_17")          # (..., 33, 3) -> (..., 17, 3)
>>> c = Converter("coco_17", "smpl_24", noise=8.0)
>>> out = c(x, confidence=conf)                             # out.points, out.confidence, out.expected_error
>>> print(c.report(), c.explain("left_hip"))

A conversion is a matrix whose rows sum to one, so it commutes with every rotation, translation and scaling of the
pose. It holds for 3D points and for 2D points of a camera that is far away compared with the depth of the body
(weak perspective); close to the camera the perspective adds an error that no fixed matrix can mend.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import ACAE, Bridge, HubRelation, Relation, Solution, shipped_acae, shipped_bridge
from skelbridge.bridge.apply import (
    apply_groups,
    apply_where_complete,
    group_rows,
    is_torch,
    kernel,
    like,
    missing_bits,
    to_numpy,
)
from skelbridge.bridge.paired import learn
from skelbridge.errors import InputError
from skelbridge.poses import check_points
from skelbridge.skeletons import Side, Skeleton, skeleton

if TYPE_CHECKING:
    import scipy.sparse
    import torch

    Points = NDArray | torch.Tensor

Array = NDArray[np.float64]
Status = Literal["same point", "estimated", "not estimable"]

#: Confidence from this on: the factor on the input noise. Below the last one a joint counts as missing.
CONFIDENCE_LEVELS = ((0.75, 1.0), (0.5, 2.0), (0.2, 4.0))
#: A copy is a weight of at least this on a joint at the same place.
_COPY = 0.999
#: Bytes of solved patterns that a converter keeps, and of matrices that are made at a time.
_KEPT, _SCRATCH = 64 * 2**20, 256 * 2**20


@dataclass(frozen=True)
class Converted:
    """The result of a conversion; arrays are of the input's kind (numpy or torch).

    points (..., T, D): NaN where a joint cannot be estimated within the converter's `max_error`.
    confidence (..., T): the sources' confidence, averaged with the absolute weights; 0 where points are NaN.
    """

    points: Any
    confidence: Any
    _errors: NDArray[np.float64] = field(repr=False)
    _scale: Callable[[], NDArray[np.float64]] = field(repr=False)

    @cached_property
    def expected_error(self) -> Any:
        """Expected rms error of each joint in the input's units, (..., T); NaN where points are NaN.

        The input's unit is found from the pose itself: its bones are compared with those of the average body whose
        stature is 1.7 m. Where that cannot tell a body's true size (hands alone; 2D, where bones are seen at an angle)
        the error is right relative to what is seen.
        """
        return like(self.points, self._errors * self._scale()[..., None])

    @property
    def relative_error(self) -> Any:
        """Expected rms error of each joint, mm on a body of 1.7 m, (..., T)."""
        return like(self.points, self._errors)


class Converter:
    """Converts poses of one format into another.

    Parameters
    ----------
    source, target: format ids, aliases, card files or Skeleton objects; a hand's side is part of the name
        ("mediapipe_hand_21:left") or given with `side` (for whichever of the two is a hand without a side).
    noise: expected error of the input points, mm on a body of 1.7 m (rms length of the error vector).
    max_error: a target joint whose expected error is larger comes back NaN, mm on a body of 1.7 m.
    placement: factor on the cards' placement uncertainties; 0 takes the placements as exact.
    bridge: the moments of bodies; the shipped ones by default.
    via: "latents" converts through the shipped autoencoder's latent keypoints, an `ACAE` through its own; the default
        is direct, which is more accurate. What is converted through latents into several formats agrees between them.

    Raises UnknownNameError for an unknown format, InputError for a hand without a side or a senseless number.
    """

    def __init__(
        self,
        source: str | Skeleton,
        target: str | Skeleton,
        *,
        side: Side | None = None,
        noise: float = 5.0,
        max_error: float = 75.0,
        placement: float = 1.0,
        bridge: Bridge | None = None,
        via: Literal["latents"] | ACAE | None = None,
    ):
        if not (np.isfinite(noise) and noise >= 0):
            raise InputError("noise", expected="a number of mm, 0 or more", got=noise)
        if not max_error > 0:
            raise InputError("max_error", expected="a number of mm above 0", got=max_error)
        if not (np.isfinite(placement) and placement >= 0):
            raise InputError("placement", expected="a factor, 0 or more", got=placement)
        self.source, self.target = _sided(source, target, side)
        self.noise, self.max_error = float(noise), float(max_error)
        self._relation = _relation(bridge or shipped_bridge(), self.source, self.target, placement, via)
        self._solutions: OrderedDict[bytes, Solution] = OrderedDict()
        self._complete = np.full(len(self.source), len(CONFIDENCE_LEVELS), dtype=np.uint8)

    def __repr__(self) -> str:
        return f"Converter({str(self.source)!r}, {str(self.target)!r}, noise={self.noise}, max_error={self.max_error})"

    # -- what the converter knows ------------------------------------------------------------------------------

    @cached_property
    def solution(self) -> Solution:
        """Weights and expected errors when every source joint is there, with full confidence."""
        return self._solve(self._complete[None])[0]

    @cached_property
    def weights(self) -> scipy.sparse.csr_matrix:
        """The weights for complete poses, (T, S) scipy CSR; every row sums to one."""
        from scipy.sparse import csr_matrix

        return csr_matrix(self.solution.weights)

    @property
    def bridge_error(self) -> NDArray[np.float64]:
        """Expected rms error from what an affine map cannot know, (T,), mm on a body of 1.7 m."""
        return self.solution.bridge

    @property
    def placement_error(self) -> NDArray[np.float64]:
        """Expected rms error from not knowing where the formats' joints lie, (T,), mm on a body of 1.7 m."""
        return self.solution.placement

    @property
    def noise_error(self) -> NDArray[np.float64]:
        """Expected rms error from the noise of the input, (T,), mm on a body of 1.7 m."""
        return self.solution.noise

    @property
    def expected_error(self) -> NDArray[np.float64]:
        """Expected rms error in total, (T,), mm on a body of 1.7 m."""
        return self.solution.total

    @cached_property
    def status(self) -> tuple[Status, ...]:
        """For each target joint: "same point" (copied), "estimated", or "not estimable" within max_error."""
        copied: NDArray[np.bool_] = np.any(self._relation.same_place & (self.solution.weights >= _COPY), axis=1)
        fine: NDArray[np.bool_] = np.asarray(self.expected_error <= self.max_error)
        return tuple(
            "not estimable" if not ok else "same point" if copy else "estimated"
            for copy, ok in zip(copied, fine, strict=True)
        )

    @cached_property
    def placement_evidence(self) -> tuple[Literal["learned", "prior"], ...]:
        """For each target joint whether all places in play, its own and its sources', were learned from recordings."""
        learned = np.array([bool(joint.calibrated) for joint in self.source.joints])
        used = self.solution.weights != 0
        return tuple(
            "learned" if joint.calibrated and learned[row].all() else "prior"
            for joint, row in zip(self.target.joints, used, strict=True)
        )

    def explain(self, joint: str) -> str:
        """One target joint in words: its sources, its expected error in its parts, its status."""
        row = self.target.index(joint)
        s = self.solution
        return (
            f"{joint} = {self._combination(row)}\n"
            f"expected error {s.total[row]:.1f} mm on a body of 1.7 m: bridge {s.bridge[row]:.1f}, "
            f"placement {s.placement[row]:.1f} ({self.placement_evidence[row]}), noise {s.noise[row]:.1f} "
            f"(they add in squares); {self.status[row]}"
        )

    def _combination(self, row: int) -> str:
        weights = self.solution.weights[row]
        order = np.argsort(-np.abs(weights), kind="stable")[: np.count_nonzero(weights)]
        terms = [f"{'-' if weights[i] < 0 else '+'} {abs(weights[i]):.2f} {self.source.names[i]}" for i in order]
        return " ".join(terms).removeprefix("+ ")

    def report(self) -> Report:
        """Every target joint: status, expected error in its parts, sources. Print it."""
        s = self.solution
        return Report(
            title=f"{self.source} -> {self.target}, input noise {self.noise:g} mm; errors in mm on a body of 1.7 m",
            rows=tuple(
                ReportRow(name, self.status[i], float(s.total[i]), float(s.bridge[i]), float(s.placement[i]),
                          float(s.noise[i]), self._combination(i))
                for i, name in enumerate(self.target.names)
            ),
        )  # fmt: skip

    def plot(self) -> Any:
        """The weights as a matrix and both skeletons on the body, a matplotlib Figure."""
        from skelbridge.plot import plot_weights

        return plot_weights(self)

    # -- learning --------------------------------------------------------------------------------------------------

    def fit(self, source_points: Any, target_points: Any, people: Any = None) -> Converter:
        """A new converter that has learned from paired poses of the same bodies, with the bridge as prior.

        Parameters: source_points (N, S, 3), target_points (N, T, 3), in one frame of reference and unit, frames in
        their order in time, NaN = missing. people (N,): a label of the person in each frame. With several people the
        errors of the new converter are those to be expected of other people; without labels, of the people seen.

        Few pairs, or odd ones, change little; many make it the least-squares answer. The pairs have the converter's
        `noise` in their sources. A joint that never appears stays related to the others as it was. A second fit goes
        on from the first. See `skelbridge.bridge.paired` for the method.
        Raises InputError for shapes that do not match, fewer than 10 usable pairs, poses that are all the same, and
        sources and targets in different units or frames of reference.
        """
        X, Y = (_paired(points, card) for points, card in ((source_points, self.source), (target_points, self.target)))
        if len(X) != len(Y):
            raise InputError("paired poses", expected="as many target as source poses", got=f"{len(Y)} and {len(X)}")
        if people is not None and np.shape(people) != (len(X),):
            raise InputError("people", expected=f"a label for each pose, shape ({len(X)},)", got=np.shape(people))
        scale = pose_scale(X, self.source, self._relation)
        known, asked = (~np.isnan(points[..., 0]) for points in (X, Y))
        enough = known.sum(axis=1) * 2 >= known.any(axis=0).sum()  # of the joints that ever appear
        usable = (scale > 0) & asked.any(axis=1) & enough
        poses = np.concatenate([X, Y], axis=1)[usable] / scale[usable, None, None]
        who = None if people is None else np.asarray(people)[usable]
        fitted = Converter(self.source, self.target, noise=self.noise, max_error=self.max_error)
        fitted._relation = learn(self._relation, poses, who, np.full(len(self.source), self.noise**2))
        return fitted

    # -- converting --------------------------------------------------------------------------------------------

    def __call__(self, points: Any, confidence: Any = None, out: NDArray | None = None) -> Converted:
        """Convert poses.

        Parameters: points (..., S, D), D 2 or 3, numpy or torch, float32 or float64; a joint with NaN is missing.
        confidence (..., S) in [0, 1]. out: a C-contiguous numpy array (..., T, D) to write into.

        Weights are solved once for each pattern of missing joints and levels of confidence, and kept.
        Raises InputError for a wrong shape, an infinite value, or x, y, score taken for 3D.
        """
        flat, result = self._arrays(points, out)
        lead = result.shape[:-2]
        codes, errors, seen = self._fill(flat, self._given(confidence, points), result)
        if seen is None:
            seen = _per_frame(np.isfinite(errors).astype(float), codes, len(flat))
        return Converted(
            points=result,
            confidence=like(result, seen.reshape(*lead, len(self.target))),
            _errors=_per_frame(errors, codes, len(flat)).reshape(*lead, len(self.target)),
            _scale=lambda: pose_scale(to_numpy(flat), self.source, self._relation).reshape(lead),
        )

    def points(self, points: Any, confidence: Any = None, out: NDArray | None = None) -> Any:
        """Convert poses and give only the points, (..., T, D): see __call__."""
        flat, result = self._arrays(points, out)
        self._fill(flat, self._given(confidence, points), result)
        return result

    def _arrays(self, points: Any, out: Any) -> tuple[Any, Any]:
        """The points, checked, as (N, S, D), and the array for the result, (..., T, D)."""
        if not is_torch(points):
            points = np.asarray(points)
            if points.dtype.kind in "iu":
                points = points.astype(np.float64)
        check_points(_sample(points) if is_torch(points) else points, self.source)
        lead, dims = tuple(points.shape[:-2]), points.shape[-1]
        return points.reshape(-1, len(self.source), dims), _result_array(points, (*lead, len(self.target), dims), out)

    def _fill(self, flat: Any, given: Array | None, result: Any) -> tuple[NDArray[np.intp] | None, Array, Array | None]:
        """Write the converted poses into `result`.

        Returns the code of each frame's pattern, (N,), or None where all frames are complete; the expected errors of
        the patterns (P, T), NaN where they are above the bound; the confidence (N, T), if one was given.
        """
        out = result.reshape(len(flat), len(self.target), flat.shape[-1])
        complete = self._known_error(self.solution)[None]
        if given is None and not is_torch(flat):
            frames, rows = apply_where_complete(flat, self._matrix(self.solution, complete[0], flat), out)
        else:
            frames, rows = np.arange(len(flat)), missing_bits(to_numpy(flat))
        seen = None if given is None else np.zeros((len(flat), len(self.target)))
        if not len(frames):
            return None, complete, seen
        if given is not None:
            rows = np.concatenate([rows, _levels(given)], axis=1)
        examples, inverse = group_rows(rows)
        patterns = self._complete * np.isfinite(to_numpy(flat[frames[examples]])).all(axis=-1)
        if given is not None:
            patterns = np.minimum(patterns, _levels(given[examples]))
        errors = np.empty((len(patterns), len(self.target)))
        for start in range(0, len(patterns), self._at_once):
            part = slice(start, start + self._at_once)
            chosen = np.flatnonzero((inverse >= part.start) & (inverse < part.stop))
            codes, solutions = inverse[chosen] - start, self._solve(patterns[part])
            errors[part] = [self._known_error(solution) for solution in solutions]
            matrices = [self._matrix(s, e, flat) for s, e in zip(solutions, errors[part], strict=True)]
            apply_groups(flat, frames[chosen], codes, patterns[part] == 0, matrices, out)
            if given is not None and seen is not None:
                pairs = zip(solutions, errors[part], strict=True)
                shares = [np.where(np.isfinite(e)[:, None], _shares(s.weights), 0) for s, e in pairs]
                seen[chosen] = _mean_confidence(given[chosen], shares, codes)
        every = np.zeros(len(flat), dtype=np.intp)
        every[frames] = inverse + 1
        return every, np.concatenate([complete, errors]), seen

    @property
    def _at_once(self) -> int:
        """Patterns that are solved and applied in one go, so that their matrices stay within bounds."""
        return max(_SCRATCH // (9 * 8 * len(self.source) * len(self.target)), 1)

    def _given(self, confidence: Any, points: Any) -> Array | None:
        """The confidence, checked, as (N, S)."""
        if confidence is None:
            return None
        values, shape = to_numpy(confidence), tuple(np.shape(points)[:-1])
        if values.shape != shape:
            raise InputError("confidence", expected=f"one value a joint, shape {shape}", got=values.shape)
        known = values[~np.isnan(values)]
        if len(known) and not 0 <= known.min() <= known.max() <= 1:
            raise InputError("confidence", expected="values in [0, 1]", got=f"{known.min():g} to {known.max():g}")
        return values.reshape(-1, len(self.source))

    def _solve(self, patterns: NDArray[np.uint8]) -> list[Solution]:
        """The solutions of patterns of levels (P, S), from the cache where they are in it."""
        keys = [pattern.tobytes() for pattern in patterns]
        new = [i for i, key in enumerate(keys) if key not in self._solutions]
        solvable = [i for i in new if patterns[i].any()]
        factor = np.array([np.inf] + [f for _, f in reversed(CONFIDENCE_LEVELS)])
        if solvable:
            levels = patterns[solvable]
            variance = np.where(levels > 0, (self.noise * np.where(levels > 0, factor[levels], 1)) ** 2, 0.0)
            for i, solution in zip(solvable, self._relation.solve(levels > 0, variance), strict=True):
                self._solutions[keys[i]] = solution
        for i in new:
            if keys[i] not in self._solutions:
                self._solutions[keys[i]] = _nothing(len(self.target), len(self.source))
        found = [self._solutions[key] for key in keys]
        while len(self._solutions) > max(_KEPT // (8 * len(self.source) * len(self.target)), 64):
            self._solutions.popitem(last=False)
        return found

    def _known_error(self, solution: Solution) -> NDArray[np.float64]:
        """Expected error (T,), NaN where it is larger than the bound."""
        total = solution.total
        return np.where(total <= self.max_error, total, np.nan)

    def _matrix(self, solution: Solution, error: Array, flat: Any) -> NDArray:
        """The matrix for flattened poses; columns of joints that cannot be estimated are NaN."""
        weights = np.where(np.isnan(error)[:, None], np.nan, solution.weights)
        return kernel(weights, flat.shape[-1], np.float64 if str(flat.dtype).endswith("float64") else np.float32)


def convert(
    points: Any,
    source: str | Skeleton,
    target: str | Skeleton,
    *,
    confidence: Any = None,
    side: Side | None = None,
    out: NDArray | None = None,
    **options: Any,
) -> Any:
    """Convert poses, array in, array out: (..., S, D) -> (..., T, D), NaN where a joint cannot be estimated.

    Options are those of Converter. Use a Converter for expected errors, confidence and explanations.
    """
    pair = _sided(source, target, side)
    key = (id(pair[0]), id(pair[1]), *sorted(options.items()))
    converter = _converters.get(key)
    if converter is None:
        converter = _converters[key] = Converter(*pair, **options)
        if len(_converters) > 64:
            _converters.popitem(last=False)
    return converter.points(points, confidence, out)


#: Converters by the identity of their skeletons, which they keep alive: a card that changes on disk is a new one.
_converters: OrderedDict[tuple, Converter] = OrderedDict()


@dataclass(frozen=True)
class ReportRow:
    """One target joint of a report; errors are rms, mm on a body of 1.7 m."""

    joint: str
    status: Status
    expected_error: float
    bridge: float
    placement: float
    noise: float
    sources: str


@dataclass(frozen=True)
class Report:
    """What a converter gives for each target joint, for printing."""

    title: str
    rows: tuple[ReportRow, ...]

    def __str__(self) -> str:
        width = max(len(row.joint) for row in self.rows)
        head = f"{'joint':<{width}}  {'status':<13} {'error':>6} {'bridge':>6} {'place':>6} {'noise':>6}  sources"
        lines = [
            f"{r.joint:<{width}}  {r.status:<13} {r.expected_error:6.1f} {r.bridge:6.1f} {r.placement:6.1f} "
            f"{r.noise:6.1f}  {r.sources}"
            for r in self.rows
        ]
        return "\n".join([self.title, head, *lines])


def pose_scale(points: NDArray, source: Skeleton, relation: Relation) -> NDArray[np.float64]:
    """The input's units per mm of the body of 1.7 m, for each pose, (N,); NaN where no bone is complete.

    In 3D the median over the format's edges of length by expected length. In 2D lengths are projections, whose mean
    square over all viewing directions is 2/3 of the bone's, whatever the pose: the root of 3/2 of their mean square.
    """
    pairs = source.edge_index if len(source.edge_index) else relation.nearest_pairs()
    expected = relation.expected_distance(pairs)
    scale = np.full(len(points), np.nan)
    for start in range(0, len(points), 65536):
        part = points[start : start + 65536]
        length = np.linalg.norm(part[:, pairs[:, 0]] - part[:, pairs[:, 1]], axis=-1) / expected
        known = start + np.flatnonzero(np.isfinite(length).any(axis=1))
        length = length[known - start]
        flat = points.shape[-1] == 2
        scale[known] = np.sqrt(1.5 * np.nanmean(length**2, axis=1)) if flat else np.nanmedian(length, axis=1)
    return scale


def _relation(
    bridge: Bridge, source: Skeleton, target: Skeleton, placement: float, via: Literal["latents"] | ACAE | None
) -> Relation:
    """The relation of the two formats, direct or through latents."""
    if via is None:
        return Relation(bridge, source, target, placement)
    if via == "latents":
        via = shipped_acae()
    if not isinstance(via, ACAE):
        raise InputError("via", expected="'latents', an ACAE, or None", got=repr(via))
    return HubRelation(bridge, via, source, target, placement)


def _sided(source: str | Skeleton, target: str | Skeleton, side: Side | None) -> tuple[Skeleton, Skeleton]:
    """Look both formats up. Between two hands without a side, the side does not matter: both are left ones."""
    pair = [skeleton(source), skeleton(target)]
    hands = [s for s in pair if s.one_hand]
    if side is not None and not hands:
        raise InputError(
            "side", expected="a format of one hand", got=f"{pair[0]} and {pair[1]}", mend="Leave side= out."
        )
    if side is None and len(hands) == 2:
        given = {s.side for s in hands if s.side}
        side = given.pop() if len(given) == 1 else "left" if not given else None
    first, second = (s.with_side(side) if side and s.one_hand and s.side is None else s for s in pair)
    return first, second


def _paired(points: Any, card: Skeleton) -> Array:
    """Poses to learn from, checked, (N, J, 3) float64; all of a joint is NaN where a coordinate is."""
    values = to_numpy(points)
    values = values.astype(np.float64) if values.dtype.kind in "iuf" else values
    check_points(values, card, f"paired points of {card}", finite=True)
    if values.ndim != 3 or values.shape[-1] != 3:
        raise InputError(f"paired points of {card}", expected=f"shape (frames, {len(card)}, 3)", got=values.shape)
    values[np.isnan(values).any(axis=-1)] = np.nan
    return values


def _sample(points: Any) -> NDArray:
    """Some frames of a tensor, as numpy: enough to check its form without moving all of it off its device."""
    if points.ndim > 2:
        points = points.reshape(-1, *points.shape[-2:])[:: max(1, points[..., 0, 0].numel() // 1000)]
    if str(points.dtype) not in ("torch.float32", "torch.float64"):
        raise InputError(
            "points", expected="float32 or float64", got=points.dtype, mend="Convert them: points.float()."
        )
    return to_numpy(points)


def _result_array(points: Any, shape: tuple[int, ...], out: Any) -> Any:
    """A new array (or `out`, checked) for the result."""
    if is_torch(points):
        if out is not None:
            raise InputError("out=", expected="numpy points", got="torch points", mend="Leave out= out.")
        return points.new_full(shape, float("nan"))
    dtype = np.float64 if points.dtype == np.float64 else np.float32
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError("out=", expected=f"a C-contiguous {np.dtype(dtype)} array of shape {shape}", got=got)
    return out


def _per_frame(values: NDArray, codes: NDArray[np.intp] | None, frames: int) -> NDArray:
    """values (P, T) spread over the frames, (N, T); a view where all frames share the first."""
    return np.broadcast_to(values[0], (frames, values.shape[1])) if codes is None else values[codes]


def _shares(weights: NDArray) -> NDArray:
    """Absolute weights as shares that sum to one, (T, S)."""
    total = np.abs(weights).sum(axis=1, keepdims=True)
    return np.abs(weights) / np.where(total > 0, total, 1)


def _levels(confidence: Array) -> NDArray[np.uint8]:
    """Confidence as levels, 3 (full) down to 0 (missing); NaN is missing."""
    with np.errstate(invalid="ignore"):
        return sum(((confidence >= least).astype(np.uint8) for least, _ in CONFIDENCE_LEVELS), np.uint8(0))


def _mean_confidence(confidence: Array, shares: list[Array], codes: NDArray[np.intp]) -> Array:
    """The sources' confidence (n, S) averaged with the shares of each frame's solution, (n, T)."""
    known = np.nan_to_num(confidence)
    result = np.zeros((len(known), len(shares[0])))
    for code, share in enumerate(shares):
        members = codes == code
        result[members] = known[members] @ share.T
    return np.minimum(result, 1)  # a mean of ones can round to more


def _nothing(targets: int, sources: int) -> Solution:
    """The solution of a frame in which every joint is missing."""
    unknown = np.full(targets, np.inf)
    return Solution(np.full((targets, sources), np.nan), unknown, unknown, unknown)
