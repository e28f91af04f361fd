"""Fitting the articulated body to recorded points: poses, shapes and, where asked, the points' places on the body.

Robust nonlinear least squares. With residuals r of joint j in frame f the objective is

    Σ (ν + 3) log(1 + |r|² / (ν σ_j²)) + priors of poses, shapes, sizes and places,

minus twice the log density of Student's t in three dimensions. A step solves the normal equations of the weighted
problem (iteratively reweighted Gauss-Newton, damped); the poses are eliminated frame by frame (Schur complement), so
that frames of many people share shapes and places at the price of one small system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.articulated import COMPONENTS, ArticulatedBody, Posture
from skelbridge.body.rotations import Floats, unit

#: Degrees of freedom of Student's t: small, so that outliers lose their weight.
FREEDOM = 4.0
#: Standard deviation of the logarithm of a person's size relative to 1.7 m.
SIZE = 0.15
#: As how many frames those of one person count together for what they share: what the model lacks is the same in all.
INDEPENDENT = 20.0
_CHUNK = 96


@dataclass(frozen=True)
class Freedom:
    """A place that may move: joints tied by symmetry, and how their placements change with its parameters.

    joints: rows of the placement; directions: for each joint (parameters, landmarks), rows sum to zero;
    precision (parameters, parameters): of the prior about zero.
    """

    joints: tuple[int, ...]
    directions: tuple[Floats, ...]
    precision: Floats

    def __len__(self) -> int:
        return len(self.precision)


@dataclass
class State:
    """What is fitted: poses, log sizes (P,), shape numbers (P, components), the parameters of each freedom."""

    posture: Posture
    size: Floats
    shape: Floats
    moved: list[Floats]


@dataclass
class Fit:
    """A body fitted to points: see `fit`. Arrays of residuals are (N, J, 3) mm, NaN where a point is missing."""

    body: ArticulatedBody
    placement: Floats
    points: Floats
    person: NDArray[np.intp]
    scatter: Floats
    freedoms: Sequence[Freedom] = ()
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.known: NDArray[np.bool_] = np.asarray(np.isfinite(self.points).all(axis=-1))
        self.people = int(self.person.max()) + 1
        self.share = np.minimum(INDEPENDENT / np.bincount(self.person), 1)[self.person]
        groups = len(self.body.groups)
        count = len(self.points)
        start = Posture(
            np.zeros((count, 3)), np.broadcast_to(np.eye(3), (count, 3, 3)).copy(), np.zeros((count, groups, 3))
        )
        start.vectors[:] = self.body.pose_mean
        self.state = State(
            start,
            np.zeros(self.people),
            np.zeros((self.people, COMPONENTS)),
            [np.zeros(len(freedom)) for freedom in self.freedoms],
        )

    # -- the model -------------------------------------------------------------------------------------------------

    def placed(self, moved: Sequence[Floats] | None = None) -> Floats:
        """The placement with its freedoms moved, (J, landmarks)."""
        placement = self.placement.copy()
        for freedom, z in zip(self.freedoms, self.state.moved if moved is None else moved, strict=True):
            for joint, directions in zip(freedom.joints, freedom.directions, strict=True):
                placement[joint] += z @ directions
        return placement

    def predicted(self, state: State | None = None, placement: Floats | None = None) -> Floats:
        """Where the body has points of a placement (those of the fit by default), (N, points, 3)."""
        state = self.state if state is None else state
        tables = _Tables(self.body, self.placed(state.moved) if placement is None else placement, state)
        parts = [_Posed(tables, state, rows, self.person[rows]).points for rows in _chunks(len(self.points))]
        return np.concatenate(parts)

    def residuals(self, state: State | None = None) -> Floats:
        """Recorded less predicted points."""
        return self.points - self.predicted(state)

    def in_root(self) -> Floats:
        """The recorded points as seen from each frame's root."""
        posture = self.state.posture
        return np.einsum("nyx,njy->njx", posture.root, self.points - posture.translation[:, None])

    def weights(self, residuals: Floats) -> Floats:
        """Robust weight of each point, (N, J): near 0 for outliers, 0 for missing ones."""
        squared = np.sum(residuals**2, axis=-1) / self.scatter**2
        return np.where(self.known, (FREEDOM + 3) / (FREEDOM + np.where(self.known, squared, 0)), 0)

    def costs(self, state: State) -> Floats:
        """The objective of each frame with its pose's prior, (N,)."""
        squared = np.where(self.known, np.sum(self.residuals(state) ** 2, axis=-1), 0) / self.scatter**2
        off = state.posture.vectors - self.body.pose_mean
        pose = np.einsum("ngx,gxy,ngy->n", off, self.body.pose_precision, off)
        return (FREEDOM + 3) * np.log1p(squared / FREEDOM).sum(axis=1) + pose

    def cost(self, state: State) -> float:
        """The objective in total."""
        moved = sum(z @ f.precision @ z for z, f in zip(state.moved, self.freedoms, strict=True))
        prior = (state.size**2).sum() / SIZE**2 + (state.shape**2).sum() + moved
        return float(self.share @ self.costs(state) + prior)

    # -- fitting ---------------------------------------------------------------------------------------------------

    def align(self) -> None:
        """Put every frame's root where the mean pose fits its points best (Kabsch), limbs counting little."""
        stiff = _stiffness(self.body, self.placed())
        model = self.predicted()[0]
        posture = self.state.posture
        for frame, (points, known) in enumerate(zip(self.points, self.known, strict=True)):
            w = stiff * known
            if np.count_nonzero(w) < 3:
                continue
            w = w / w.sum()
            there, here = w @ np.where(known[:, None], points, 0), w @ model
            u, _, vt = np.linalg.svd((model - here).T @ (w[:, None] * np.where(known[:, None], points - there, 0)))
            flip = np.diag([1, 1, np.sign(np.linalg.det(vt.T @ u.T))])
            posture.root[frame] = vt.T @ flip @ u.T
            posture.translation[frame] = there - posture.root[frame] @ here

    def fit_poses(self, steps: int) -> None:
        """Levenberg-Marquardt on the poses alone, each frame with its own damping."""
        damping = np.full(len(self.points), 1e-2)
        cost = self.costs(self.state)
        for _ in range(steps):
            step = np.concatenate([n.pose_step(damping[n.rows]) for n in self._normals(shared=False)])
            tried = replace(self.state, posture=self.state.posture.moved(step))
            new = self.costs(tried)
            better = new < cost
            keep = self.state.posture
            self.state.posture = Posture(
                *(
                    np.where(better.reshape(-1, *(1,) * (old.ndim - 1)), fresh, old)
                    for fresh, old in zip(
                        (tried.posture.translation, tried.posture.root, tried.posture.vectors),
                        (keep.translation, keep.root, keep.vectors),
                        strict=True,
                    )
                )
            )
            cost, damping = np.where(better, new, cost), np.clip(damping * np.where(better, 0.3, 8), 1e-6, 1e6)

    def restart_poor(self) -> None:
        """Frames that fit badly start again from the limbs of well-fitted frames that look most alike."""
        cost = self.costs(self.state)
        good = cost <= np.median(cost)
        poor = np.flatnonzero(cost > 2 * np.median(cost))
        if not len(poor):
            return
        local = np.einsum(
            "nyx,njy->njx", self.state.posture.root, self.points - self.state.posture.translation[:, None]
        )
        saved, candidates = self.state.posture, np.flatnonzero(good)
        vectors = saved.vectors.copy()
        for frame in poor:
            off = np.nanmean(np.sum((local[candidates] - local[frame]) ** 2, axis=-1), axis=1)
            vectors[frame] = saved.vectors[candidates[np.nanargmin(off)]]
        self.state.posture = replace(saved, vectors=vectors)
        self.fit_poses(12)
        worse = self.costs(self.state) > cost
        now = self.state.posture
        for old, new in zip(
            (saved.translation, saved.root, saved.vectors), (now.translation, now.root, now.vectors), strict=True
        ):
            new[worse] = old[worse]

    def fit_all(self, steps: int) -> float:
        """Poses, shapes, sizes and places together; the cost reached."""
        damping, cost = 1e-3, self.cost(self.state)
        for _ in range(steps):
            tried = self._shared_step(damping)
            new = self.cost(tried)
            if new < cost:
                done = cost - new < 1e-5 * abs(cost)
                self.state, cost, damping = tried, new, max(damping / 5, 1e-6)
                if done:
                    break
            else:
                damping = min(damping * 10, 1e3)
        return cost

    def _normals(self, shared: bool) -> list[_Normal]:
        tables = _Tables(self.body, self.placed(), self.state)
        return [_normal_equations(self, tables, rows, shared) for rows in _chunks(len(self.points))]

    @cached_property
    def _layout(self) -> tuple[int, list[slice]]:
        """Number of shared parameters, and where each freedom's are; people's sizes and shapes come first."""
        start = self.people * (1 + COMPONENTS)
        places = []
        for freedom in self.freedoms:
            places.append(slice(start, start + len(freedom)))
            start += len(freedom)
        return start, places

    def _reduced(self, damping: float) -> tuple[Floats, Floats, list[_Normal]]:
        """Normal equations of the shared parameters after the poses are eliminated."""
        count, places = self._layout
        H, g = np.zeros((count, count)), np.zeros(count)
        diagonal = np.concatenate([np.full((self.people, 1), 1 / SIZE**2), np.ones((self.people, COMPONENTS))], axis=1)
        H[np.arange(diagonal.size), np.arange(diagonal.size)] = diagonal.ravel()
        g[: diagonal.size] = -(diagonal * np.column_stack([self.state.size, self.state.shape])).ravel()
        for place, freedom, z in zip(places, self.freedoms, self.state.moved, strict=True):
            H[place, place] += freedom.precision
            g[place] -= freedom.precision @ z
        normals = self._normals(shared=True)
        for normal in normals:
            normal.eliminate(H, g, damping, self.people)
        return H, g, normals

    def _shared_step(self, damping: float) -> State:
        H, g, normals = self._reduced(damping)
        step = np.asarray(np.linalg.solve(H + damping * np.diag(np.diag(H)), g), dtype=np.float64)
        _, places = self._layout
        people = step[: self.people * (1 + COMPONENTS)].reshape(self.people, -1)
        return State(
            self.state.posture.moved(np.concatenate([n.back_substituted(step, self.people) for n in normals])),
            self.state.size + people[:, 0],
            self.state.shape + people[:, 1:],
            [z + step[place] for z, place in zip(self.state.moved, places, strict=True)],
        )

    def covariances(self) -> list[Floats]:
        """Posterior covariance of each freedom's parameters, poses, shapes and the other places averaged over."""
        H, _, _ = self._reduced(1e-9)
        covariance = np.asarray(np.linalg.inv(H), dtype=np.float64)
        return [covariance[place, place] for place in self._layout[1]]


class _Tables:
    """What all frames share at a state: masses and moments of the points, bone offsets, per person."""

    def __init__(self, body: ArticulatedBody, placement: Floats, state: State):
        self.body = body
        self.masses, self.moments = body.table(placement)
        used = (np.abs(self.masses).sum(axis=0) > 0) | (np.abs(self.moments).sum(axis=(0, 1, 3)) > 0)
        self.bones = np.flatnonzero(used)
        self.masses, self.moments = self.masses[:, used], self.moments[:, :, used]
        self.below = body.below[:, used].astype(float)
        shape = np.concatenate([np.ones((len(state.shape), 1)), state.shape], axis=1)
        self.person_moments = np.tensordot(shape, self.moments, axes=1)
        self.person_offsets = np.tensordot(shape, body.offsets, axes=1)
        self.factor = np.exp(state.size)


class _Posed:
    """Points of some frames, with what derivatives need."""

    def __init__(self, tables: _Tables, state: State, rows: slice, person: NDArray[np.intp]):
        body, self.tables = tables.body, tables
        self.posture, self.factor = state.posture.chosen(rows), tables.factor[person][:, None, None]
        self.rotations = body.rotations(self.posture)
        self.heads = body.heads(self.rotations, tables.person_offsets[person]) * self.factor
        turned = np.einsum("nbxy,npby->npbx", self.rotations[:, tables.bones], tables.person_moments[person])
        #: What each bone contributes to each point, (n, points, used bones, 3).
        self.parts = turned * self.factor[..., None] + tables.masses[..., None] * self.heads[:, None, tables.bones]
        self.points = self.parts.sum(axis=2) + self.posture.translation[:, None]

    def by_pose(self) -> Floats:
        """Derivatives of the points by pose: (n, points, 3, 6 + 3 groups)."""
        body, tables = self.tables.body, self.tables
        count, points = self.points.shape[:2]
        result = np.zeros((count, points, 3, 6 + 3 * len(body.groups)))
        result[..., :3] = np.eye(3)
        result[..., 3:6] = _cross(self.posture.translation[:, None] - self.points)
        sums = np.einsum("npbx,ab->napx", self.parts, tables.below, optimize=True)
        masses = tables.below @ tables.masses.T
        for group, bones in enumerate(body.groups):
            inner = _left_jacobian(self.posture.vectors[:, group] * body.share[group]) * body.share[group]
            part = result[..., 6 + 3 * group : 9 + 3 * group]
            for bone in bones:
                arm = sums[:, bone] - masses[bone, :, None] * self.heads[:, bone, None]
                part -= _cross(arm) @ (self.rotations[:, body.parents[bone]] @ inner)[:, None]
        return result

    def by_shape(self) -> Floats:
        """Derivatives by log size and shape numbers: (n, points, 3, 1 + components)."""
        tables, used = self.tables, self.tables.bones
        offsets = np.broadcast_to(tables.body.offsets[1:], (len(self.points), *tables.body.offsets[1:].shape))
        heads = tables.body.heads(self.rotations, offsets)[:, :, used]
        moved = np.einsum("pb,nkbx->npxk", tables.masses, heads, optimize=True)
        moved += np.einsum("nbxy,kpby->npxk", self.rotations[:, used], tables.moments[1:], optimize=True)
        size = (self.points - self.posture.translation[:, None])[..., None]
        return np.concatenate([size, moved * self.factor[..., None]], axis=-1)


@dataclass
class _Normal:
    """Normal equations of some frames: of poses (n, P, P), (n, P); of poses with the shared ones (n, P, G)."""

    rows: slice
    person: NDArray[np.intp]
    share: Floats
    H: Floats
    g: Floats
    cross: Floats
    shared_H: Floats
    shared_g: Floats

    def pose_step(self, damping: Floats) -> Floats:
        """Damped steps of the poses, (n, P)."""
        diagonal = np.einsum("npp->np", self.H)
        damped = self.H + np.einsum("np,pq->npq", diagonal * damping[:, None], np.eye(diagonal.shape[1]))
        return np.linalg.solve(damped, self.g[..., None])[..., 0]

    def eliminate(self, H: Floats, g: Floats, damping: float, people: int) -> None:
        """Add what is left of these frames, once the poses are eliminated, to the shared equations."""
        diagonal = np.einsum("npp->np", self.H) * damping
        damped = self.H + np.einsum("np,pq->npq", diagonal, np.eye(diagonal.shape[1]))
        solved = np.linalg.solve(damped, np.concatenate([self.cross, self.g[..., None]], axis=2))
        self.by_shared, self.alone = solved[..., :-1], solved[..., -1]
        left_H = self.shared_H - np.swapaxes(self.cross, 1, 2) @ self.by_shared
        left_g = self.shared_g - (np.swapaxes(self.cross, 1, 2) @ self.alone[..., None])[..., 0]
        left_H, left_g = left_H * self.share[:, None, None], left_g * self.share[:, None]
        for person in np.unique(self.person):
            own = self.person == person
            index = self._index(person, people)
            H[np.ix_(index, index)] += left_H[own].sum(axis=0)
            g[index] += left_g[own].sum(axis=0)

    def back_substituted(self, step: Floats, people: int) -> Floats:
        """Steps of the poses (n, P) that go with a step of the shared parameters."""
        steps = np.stack([step[self._index(person, people)] for person in self.person])
        return self.alone - (self.by_shared @ steps[..., None])[..., 0]

    def _index(self, person: int, people: int) -> NDArray[np.intp]:
        """Where the shared parameters that a person's frames depend on are."""
        own = 1 + COMPONENTS
        places = np.arange(people * own, people * own + self.cross.shape[2] - own)
        return np.concatenate([np.arange(person * own, (person + 1) * own), places])


def _normal_equations(fit: Fit, tables: _Tables, rows: slice, shared: bool) -> _Normal:
    person = fit.person[rows]
    posed = _Posed(tables, fit.state, rows, person)
    residuals = np.where(fit.known[rows][..., None], fit.points[rows] - posed.points, 0)
    squared = np.sum(residuals**2, axis=-1) / fit.scatter**2
    w = np.where(fit.known[rows], (FREEDOM + 3) / (FREEDOM + squared), 0) / fit.scatter**2
    root = np.sqrt(w)[..., None]
    J = (posed.by_pose() * root[..., None]).reshape(len(person), -1, 6 + 3 * len(fit.body.groups))
    r = (residuals * root).reshape(len(person), -1)
    H, g = np.swapaxes(J, 1, 2) @ J, (np.swapaxes(J, 1, 2) @ r[..., None])[..., 0]
    off = posed.posture.vectors - fit.body.pose_mean
    g[:, 6:] -= np.einsum("gxy,ngy->ngx", fit.body.pose_precision, off).reshape(len(person), -1)
    for group, precision in enumerate(fit.body.pose_precision):
        at = slice(6 + 3 * group, 9 + 3 * group)
        H[:, at, at] += precision
    if not shared:
        return _Normal(rows, person, fit.share[rows], H, g, *(np.zeros((0, 0, 0)),) * 3)
    S = np.concatenate([posed.by_shape(), _by_place(fit, posed, rows)], axis=-1)
    S = (S * root[..., None]).reshape(len(person), J.shape[1], -1)
    St = np.swapaxes(S, 1, 2)
    return _Normal(rows, person, fit.share[rows], H, g, np.swapaxes(J, 1, 2) @ S, St @ S, (St @ r[..., None])[..., 0])


def _by_place(fit: Fit, posed: _Posed, rows: slice) -> Floats:
    """Derivatives of the points by the freedoms' parameters, (n, points, 3, parameters)."""
    count, points = posed.points.shape[:2]
    result = np.zeros((count, points, 3, sum(map(len, fit.freedoms))))
    if not fit.freedoms:
        return result
    directions = np.concatenate([d for freedom in fit.freedoms for d in freedom.directions])
    used = np.flatnonzero(np.any(directions != 0, axis=0))
    tables = _Tables(fit.body, np.eye(directions.shape[1])[used], fit.state)
    moved = directions[:, used] @ _Posed(tables, fit.state, rows, fit.person[rows]).points
    row = column = 0
    for freedom in fit.freedoms:
        for joint in freedom.joints:
            part = moved[:, row : row + len(freedom)]
            result[:, joint, :, column : column + len(freedom)] = np.swapaxes(part, 1, 2)
            row += len(freedom)
        column += len(freedom)
    return result


def _stiffness(body: ArticulatedBody, placement: Floats, poses: int = 200) -> Floats:
    """How little each point moves against the root from pose to pose: inverse variance, (points,)."""
    rng = np.random.default_rng(0)
    noise = np.linalg.cholesky(np.linalg.inv(body.pose_precision)) @ rng.standard_normal(
        (poses, len(body.groups), 3, 1)
    )
    identity = np.broadcast_to(np.eye(3), (poses, 3, 3))
    state = State(
        Posture(np.zeros((poses, 3)), identity, body.pose_mean + noise[..., 0]),
        np.zeros(1), np.zeros((1, COMPONENTS)), [],
    )  # fmt: skip
    posed = _Posed(_Tables(body, placement, state), state, slice(None), np.zeros(poses, dtype=np.intp))
    return 1 / (posed.points.var(axis=0).sum(axis=-1) + 400.0)


def _chunks(count: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]


def _cross(vectors: Floats) -> Floats:
    """Matrices (..., 3, 3) that take the cross product with vectors (..., 3) from the left."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)


def _left_jacobian(vectors: Floats) -> Floats:
    """d exp(v) = exp-turned by J(v) dv: I + (1 - cos)/θ [u] + (1 - sin θ/θ) [u]², u = v / θ (Chirikjian's J_l)."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    safe = np.where(angle > 1e-6, angle, 1)
    cross = _cross(unit(vectors))
    first = np.where(angle > 1e-6, (1 - np.cos(safe)) / safe, angle / 2)
    second = np.where(angle > 1e-6, 1 - np.sin(safe) / safe, angle**2 / 6)
    return np.eye(3) + first * cross + second * (cross @ cross)
