"""A body to be fitted to points: a few shape numbers, a rotation vector a joint, exact derivatives.

The virtual body, made linear: its shapes become a mean and the principal components of a population (bodies scaled to
1.7 m), its 104 bones turn in groups, each with one rotation vector. Priors of both are those of the population: shape
numbers are standard normal, rotation vectors have mean and covariance of random poses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from skelbridge.body.model import BodyParts, VirtualBody
from skelbridge.body.random_poses import local_rotations, random_poses
from skelbridge.body.rotations import Floats, about, rotation_vector
from skelbridge.body.shapes import sample_shapes
from skelbridge.bridge.moments import STATURE

#: Principal components of shape, and the bodies and poses that the priors are taken from.
COMPONENTS, POPULATION = 20, 1500
#: Joints that random poses never turn some way give by this much, degrees; ways they do turn are left this much freer.
#: (Frames of a clip are no independent draws: what is usual in it says little about where joints lie.)
GIVE, FREER = 1.5, 30.0
#: anny's age from which a body is grown up.
GROWN_UP = 0.6


class Group(NamedTuple):
    """Bones that turn together: each by the `share` of the group's rotation vector."""

    bones: tuple[str, ...]
    share: float


CENTRAL = {
    "lumbar spine": Group(("spine05", "spine04", "spine03"), 1 / 3),
    "thoracic spine": Group(("spine02", "spine01"), 1 / 2),
    "neck": Group(("neck01", "neck02", "neck03"), 1 / 3),
    "head": Group(("head",), 1),
}
SIDED = {
    "girdle": Group(("clavicle", "shoulder01"), 1 / 2),
    "shoulder": Group(("upperarm01",), 1),
    "upper arm": Group(("upperarm02",), 1),
    "elbow": Group(("lowerarm01",), 1),
    "forearm": Group(("lowerarm02",), 1),
    "wrist": Group(("wrist",), 1),
    "fingers": Group(tuple(f"finger{f}-{k}" for f in range(2, 6) for k in (1, 2, 3)), 1 / 3),
    "thumb": Group(("finger1-1", "finger1-2", "finger1-3"), 1 / 3),
    "hip": Group(("upperleg01",), 1),
    "thigh": Group(("upperleg02",), 1),
    "knee": Group(("lowerleg01",), 1),
    "shank": Group(("lowerleg02",), 1),
    "ankle": Group(("foot",), 1),
    "toes": Group(tuple(f"toe{t}-1" for t in range(1, 6)), 1),
}


@dataclass(frozen=True)
class Posture:
    """N poses: translation (N, 3) mm, rotation of the root (N, 3, 3), rotation vectors (N, groups, 3) in radians."""

    translation: Floats
    root: Floats
    vectors: Floats

    def __len__(self) -> int:
        return len(self.root)

    def moved(self, step: Floats) -> Posture:
        """The poses after a step (N, 6 + 3 groups): translation, turn of the root, change of the vectors."""
        turn = step[:, 3:6]
        return Posture(
            self.translation + step[:, :3],
            about(turn, np.linalg.norm(turn, axis=-1)) @ self.root,
            self.vectors + step[:, 6:].reshape(self.vectors.shape),
        )

    def chosen(self, rows: slice) -> Posture:
        """Some of the poses."""
        return Posture(self.translation[rows], self.root[rows], self.vectors[rows])


class ArticulatedBody:
    """See the top of this module. `articulated_body()` gives the one of the registry's landmarks."""

    def __init__(self, body: VirtualBody, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.points, self.parents = body.points, body.parents
        shapes = sample_shapes(body, POPULATION, rng, faces=False)
        parts = body.parts(shapes[shapes.phenotypes[:, 1] >= GROWN_UP])
        self.masses, self.landmark, self.bone = parts.masses, parts.landmark, parts.bone
        self._mean, self._basis = _principal(parts)
        self.groups, self.share = _groups(body.bones)
        self.pose_mean, covariance = _pose_prior(body, self.groups, self.share, rng)
        self.pose_precision = np.linalg.inv(FREER * covariance + np.radians(GIVE) ** 2 * np.eye(3))
        below = np.eye(len(self.parents), dtype=bool)
        for bone in reversed(range(len(self.parents))):
            if self.parents[bone] >= 0:
                below[self.parents[bone]] |= below[bone]
        #: below[a, b]: bone b hangs on bone a, or is it.
        self.below = below

    def table(self, placement: Floats) -> tuple[Floats, Floats]:
        """Masses (points, bones) and moments (1 + components, points, bones, 3) of points placed on landmarks.

        placement: (points, landmarks). Row 0 of the moments is the mean body's, the others change it by one component.
        """
        bones, split = len(self.parents), 3 * len(self.parents)
        moments = np.zeros((1 + COMPONENTS, len(placement), bones, 3))
        entries = np.concatenate([self._mean[None], self._basis])[:, split:].reshape(1 + COMPONENTS, -1, 3)
        weights = placement[:, self.landmark]
        for bone in np.unique(self.bone):
            here = self.bone == bone
            moments[:, :, bone] = np.einsum("pe,kex->kpx", weights[:, here], entries[:, here])
        return placement @ self.masses, moments

    @property
    def offsets(self) -> Floats:
        """Bone offsets, (1 + components, bones, 3) mm: the mean body's, and their change with each component."""
        both = np.concatenate([self._mean[None], self._basis])
        return both[:, : 3 * len(self.parents)].reshape(len(both), -1, 3)

    def rotations(self, posture: Posture) -> Floats:
        """Every bone's rotation, (N, bones, 3, 3)."""
        local = np.broadcast_to(np.eye(3), (len(posture), len(self.parents), 3, 3)).copy()
        for group, bones in enumerate(self.groups):
            vector = posture.vectors[:, group] * self.share[group]
            local[:, bones] = about(vector, np.linalg.norm(vector, axis=-1))[:, None]
        local[:, 0] = posture.root
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                local[:, bone] = local[:, parent] @ local[:, bone]
        return local

    def heads(self, rotations: Floats, offsets: Floats) -> Floats:
        """Posed bone heads (N, ..., bones, 3) relative to the root's, from offsets (N, ..., bones, 3)."""
        posed = np.zeros_like(offsets)
        spread = (slice(None), *(None,) * (offsets.ndim - 3))
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                turned = rotations[:, parent][spread] @ offsets[..., bone, :, None]
                posed[..., bone, :] = posed[..., parent, :] + turned[..., 0]
        return posed


@lru_cache(maxsize=1)
def articulated_body() -> ArticulatedBody:
    """The body with the landmarks of the registry; takes some seconds once a process."""
    return ArticulatedBody(VirtualBody())


def _principal(parts: BodyParts) -> tuple[Floats, Floats]:
    """Mean (columns,) and components (COMPONENTS, columns) of offsets and moments of bodies of 1.7 m."""
    count = len(parts.stature)
    columns = np.concatenate([parts.offsets.reshape(count, -1), parts.moments.reshape(count, -1)], axis=1)
    columns *= (STATURE / parts.stature)[:, None]
    mean = columns.mean(axis=0)
    _, vectors = np.linalg.eigh((columns - mean) @ (columns - mean).T)
    return mean, (vectors[:, -COMPONENTS:].T @ (columns - mean)) / np.sqrt(count)


def _groups(bones: tuple[str, ...]) -> tuple[list[np.ndarray], Floats]:
    """Bones and share of each group; the right side follows the left."""
    chosen = [*CENTRAL.values()]
    for side in "LR":
        chosen += [group._replace(bones=tuple(f"{b}.{side}" for b in group.bones)) for group in SIDED.values()]
    indices = [np.array([bones.index(bone) for bone in group.bones]) for group in chosen]
    return indices, np.array([group.share for group in chosen])


def _pose_prior(
    body: VirtualBody, groups: list[np.ndarray], share: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Mean (groups, 3) and covariance (groups, 3, 3) of the groups' rotation vectors in random poses."""
    local = local_rotations(body, random_poses(body, POPULATION, rng))
    vectors = np.stack(
        [rotation_vector(local[:, b]).mean(axis=1) / part for b, part in zip(groups, share, strict=True)], axis=1
    )
    off = vectors - vectors.mean(axis=0)
    return vectors.mean(axis=0), np.einsum("ngx,ngy->gxy", off, off) / len(off)
