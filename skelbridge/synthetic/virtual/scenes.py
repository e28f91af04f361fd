"""Recordings of a virtual dataset: who is where, how they stand, and from where they are seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skelbridge.body.dress import Outfit, Person, dressed, random_person, wardrobe
from skelbridge.body.model import Shapes, VirtualBody
from skelbridge.body.motions import PoseClip
from skelbridge.body.postures import SEATED, postures
from skelbridge.body.random_poses import random_poses, with_random_hands
from skelbridge.body.rotations import Floats, about
from skelbridge.body.sample import clip_shares
from skelbridge.body.shapes import sample_shapes
from skelbridge.body.surfaces import Surface
from skelbridge.camera import Camera
from skelbridge.synthetic.scene import look_at
from skelbridge.synthetic.virtual.places import PLACES, Place, occluder, stool
from skelbridge.synthetic.virtual.spec import Rig, VirtualDataset

SPLITS = ("train", "test")
#: People keep so far apart, mm, middle to middle, where there is room.
APART = 800.0
#: No camera is nearer to the middle of a person, mm.
NEAREST = 900.0
#: A seat lies so far below the pelvis, mm.
SEAT = 105.0


@dataclass(frozen=True, eq=False)
class Moment:
    """P people at one time, seen by some cameras. frame: its number in the sequence. vertices (P, V, 3), heads of bones
    (P, bones, 3) and landmarks (P, L, 3): mm in the world. pelvis (P, 3, 3): how each is turned. things: what else
    stands about."""

    frame: int
    vertices: Floats
    heads: Floats
    landmarks: Floats
    pelvis: Floats
    things: tuple[Surface, ...]
    cameras: tuple[Camera, ...]


@dataclass(frozen=True, eq=False)
class Cast:
    """The people of a sequence: their names, shapes and clothes."""

    names: tuple[str, ...]
    shapes: Shapes
    outfits: tuple[Outfit, ...]


class Recording:
    """One place and the same people for some moments, or for as many as are asked for.

    Everything follows from the dataset, the seed, the split and the number, whoever makes it and when.
    """

    def __init__(self, spec: VirtualDataset, seed: int, split: str, number: int, clips: Sequence[PoseClip] = ()):
        self.spec, self.split, self.number = spec, split, number
        self._clips = clips
        self._seed = (seed, spec.number, SPLITS.index(split), number)
        self._rigid = (seed, spec.number)
        self.body = the_body()
        rng = np.random.default_rng([*self._seed, 1])
        self.cast = self._cast(seed, rng)
        look = spec.look
        kinds, weights = list(look.places), np.array(list(look.places.values()))
        kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
        self.room = 1000 * (spec.cameras.distance[1] + 0.4)
        self.place: Place = PLACES[kind](self.room, rng)

    @property
    def name(self) -> str:
        return f"{self.split}_{self.number:05}"

    def _cast(self, seed: int, rng: np.random.Generator) -> Cast:
        spec = self.spec
        count = int(rng.integers(spec.look.people[0], spec.look.people[1] + 1))
        if spec.subjects:
            subjects = rng.choice(spec.subjects, size=count, replace=count > spec.subjects)
        else:
            subjects = 100 * self.number + np.arange(count)
        known = [subject((seed, spec.number, SPLITS.index(self.split), int(s))) for s in subjects]
        shapes = _together([shape for shape, _ in known])
        dresser = wardrobe(self.body)
        outfits = tuple(dresser.random_outfit(who, rng, spec.look.cloth, spec.look.vivid) for _, who in known)
        return Cast(tuple(f"{self.split}_{s}" for s in subjects), shapes, outfits)

    def moments(self, first: int, count: int) -> Iterator[Moment]:
        """`count` moments from frame `first` on."""
        rng = np.random.default_rng([*self._seed, 2, first])
        people = len(self.cast.names)
        poses, seated = self._poses(people * count, rng)
        poses = poses.reshape(people, count, *poses.shape[1:])
        vertices = np.stack([self.body.meshes(poses[p], self.cast.shapes[p : p + 1]) for p in range(people)])
        who = np.repeat(np.arange(people), count)
        flat = poses.reshape(-1, *poses.shape[2:])
        landmarks = self.body.landmarks(flat, self.cast.shapes[who]).reshape(people, count, -1, 3)
        heads = self.body.heads(flat, self.cast.shapes[who]).reshape(people, count, -1, 3)
        for n in range(count):
            shift = self._spots(people, rng)
            shift[:, 1] = -vertices[:, n, :, 1].min(axis=1)
            spots = shift[:, None]
            cameras = self._cameras(shift, rng)
            yield Moment(
                first + n, vertices[:, n] + spots, heads[:, n] + spots, landmarks[:, n] + spots,
                poses[:, n, 0], self._things(shift, seated.reshape(people, count)[:, n], cameras, rng), cameras,
            )  # fmt: skip

    def surfaces(self, moment: Moment) -> list[Surface]:
        """All that is seen at a moment."""
        found = [*self.place.surfaces, *moment.things]
        for person, outfit in enumerate(self.cast.outfits):
            found += dressed(outfit, moment.vertices[person], moment.heads[person], self.body, person)
        return found

    def _poses(self, count: int, rng: np.random.Generator) -> tuple[Floats, np.ndarray]:
        """Poses (count, bones, 3, 3), and which of them sit (count,)."""
        shares = self.spec.poses
        found, names = postures(self.body, count, rng)
        seated = np.isin(names, SEATED)
        free = rng.random(count) < shares.random
        recorded = ~free & (rng.random(count) < shares.recorded) & bool(self._clips)
        found[free] = random_poses(self.body, count, rng)[free]
        if recorded.any():
            found[recorded] = self._recorded(int(recorded.sum()), rng)
        return found, seated & ~free & ~recorded

    def _recorded(self, count: int, rng: np.random.Generator) -> Floats:
        """Key poses of the clips (count, bones, 3, 3), facing anywhere."""
        chosen = [self._clips[k] for k in rng.choice(len(self._clips), size=count, p=clip_shares(self._clips))]
        taken = np.stack([clip.poses[rng.integers(len(clip.poses))] for clip in chosen]).astype(float)
        bare = np.array([not clip.has_fingers for clip in chosen])
        if bare.any():
            taken[bare] = with_random_hands(self.body, taken[bare], rng)
        turn = about(np.tile([0.0, 1, 0], (count, 1)), rng.uniform(-np.pi, np.pi, count))
        return turn[:, None] @ taken

    def _spots(self, people: int, rng: np.random.Generator) -> Floats:
        """Where people stand, (people, 3) mm, apart from each other where that can be."""
        spots = np.zeros((people, 3))
        for person in range(people):
            for _ in range(30):
                far, angle = 1000 * self.spec.look.reach * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
                spots[person] = far * np.sin(angle), 0, far * np.cos(angle)
                if (np.linalg.norm(spots[:person] - spots[person], axis=1) > APART).all():
                    break
        return spots

    def _cameras(self, people: Floats, rng: np.random.Generator) -> tuple[Camera, ...]:
        rig = self.spec.cameras
        source = np.random.default_rng([*self._rigid, 9]) if rig.fixed else rng
        start = source.uniform(0, 2 * np.pi)
        return tuple(
            _camera(rig, start + 2 * np.pi * number / rig.count, self.spec.picture, people, source)
            for number in range(rig.count)
        )

    def _things(
        self, people: Floats, seated: np.ndarray, cameras: tuple[Camera, ...], rng: np.random.Generator
    ) -> tuple[Surface, ...]:
        """Seats, and things between people and cameras."""
        things = [
            stool(people[person, 1] - SEAT, rng).moved(rng.uniform(0, 3), people[person] * [1, 0, 1])
            for person in np.flatnonzero(seated)
        ]
        for _ in range(rng.poisson(self.spec.look.occluders)):
            spot = people[rng.integers(len(people))] * [1, 0, 1]
            towards = (cameras[rng.integers(len(cameras))].position - spot) * [1, 0, 1]
            far = np.linalg.norm(towards)
            ahead = towards / far
            aside = np.array([ahead[2], 0, -ahead[0]])
            at = spot + min(rng.uniform(500, 1300), 0.55 * far) * ahead + rng.uniform(-350, 350) * aside
            things.append(occluder(rng).moved(rng.uniform(0, 2 * np.pi), at))
        return tuple(things)


def _camera(rig: Rig, angle: float, size: tuple[int, int], people: Floats, rng: np.random.Generator) -> Camera:
    angle += rng.uniform(-0.3, 0.3) * 2 * np.pi / rig.count
    far, height = 1000 * rng.uniform(*rig.distance), 1000 * rng.uniform(*rig.height)
    flat = np.sqrt(max(far**2 - (height - 900) ** 2, (0.4 * far) ** 2))
    position = np.array([flat * np.sin(angle), height, flat * np.cos(angle)])
    if not rig.fixed:  # step back from people
        for person in people:
            near = (position - person) * [1, 0, 1]
            if (gap := np.linalg.norm(near)) < NEAREST:
                position += near / max(gap, 1e-6) * (NEAREST - gap)
    target = np.array([0.0, 900, 0]) + 1000 * rig.wander * rng.standard_normal(3) * [1, 0.5, 1]
    roll = about([0, 0, 1], np.radians(rng.normal(0, 0.5 if rig.fixed else 3)))
    camera = look_at(position, target, focal=rng.uniform(*rig.focal) * size[0], size=size)
    rotation = roll @ np.asarray(camera.rotation)
    return Camera(camera.matrix, rotation, -rotation @ position)


@lru_cache(maxsize=1)
def the_body() -> VirtualBody:
    """The virtual body of this process."""
    return VirtualBody()


@lru_cache(maxsize=256)
def subject(key: tuple[int, ...]) -> tuple[Shapes, Person]:
    """A person's shape, and skin and hair; key: seed, dataset, split and his number."""
    rng = np.random.default_rng([*key, 3])
    return sample_shapes(the_body(), 1, rng), random_person(rng)


def _together(shapes: list[Shapes]) -> Shapes:
    return Shapes(
        *(np.concatenate([getattr(one, name) for one in shapes]) for name in ("phenotypes", "local_changes", "face"))
    )
