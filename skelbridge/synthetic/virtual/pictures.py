"""Samples of a recording: every person that a camera sees, as a packed picture with labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.render import Device, Stage, exposed
from skelbridge.body.rotations import Floats
from skelbridge.camera import Camera
from skelbridge.errors import InputError
from skelbridge.io.images import encode_jpeg
from skelbridge.io.rle import encode
from skelbridge.store.samples import Samples, Visibility
from skelbridge.synthetic.virtual.labels import inside, noisy, placed
from skelbridge.synthetic.virtual.scenes import Moment, Recording
from skelbridge.synthetic.virtual.spec import VirtualDataset

#: The packed picture shows so many times the longer side of the person's box, as far as the picture goes: room for
#: training to turn, shift and zoom.
MARGIN = 1.5
#: A person is left out whose box is smaller than this (longer side, pixels), who is seen by less than a share of his
#: extent in the picture, or of whose joints in the picture fewer than a share are on his own pixels.
SMALLEST, IN_PICTURE, UNHIDDEN = 48.0, 0.25, 0.3
PATIENCE = 20
#: Rays a pixel.
RAYS = 4


@dataclass(frozen=True, eq=False)
class Shot:
    """A person in a picture. box (4,): left, top, width, height; crop (3,): see `Samples.crop`; picture: the
    whole one's width and height; own (height, width): which pixels of the packed picture are his."""

    moment: Moment
    view: int
    person: int
    box: Floats
    crop: Floats
    jpeg: bytes
    picture: tuple[int, int]
    own: NDArray[np.bool_]

    @property
    def camera(self) -> Camera:
        return self.moment.cameras[self.view]

    def on_own(self, points: Floats) -> NDArray[np.bool_]:
        """Which points of the picture (..., 2) are on the person's own pixels."""
        place = np.nan_to_num((points - self.crop[:2]) * self.crop[2], nan=-9.0)
        column, row = np.rint(np.clip(place, -9, 1e6)).astype(int).T
        height, width = self.own.shape
        there = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        return there & self.own[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]

    @cached_property
    def mask(self) -> bytes:
        """The person's pixels in the whole picture, as a run-length code."""
        left, top, scale = self.crop
        columns = np.rint((np.arange(self.picture[0]) - left) * scale).astype(int)
        rows = np.rint((np.arange(self.picture[1]) - top) * scale).astype(int)
        height, width = self.own.shape
        x, y = (columns >= 0) & (columns < width), (rows >= 0) & (rows < height)
        full = np.zeros(self.picture[::-1], bool)
        full[np.ix_(y, x)] = self.own[np.ix_(rows[y], columns[x])]
        return encode(full)


def shots(recording: Recording, seed: int, device: Device = "cpu") -> Iterator[Shot]:
    """Everyone whom the cameras see, moment after moment; all of a moment share one stage.

    Raises InputError where the cameras have seen hardly anyone in `PATIENCE` times the dataset's frames.
    """
    spec = recording.spec
    for first in range(0, PATIENCE * spec.frames, spec.frames):
        for moment in recording.moments(first, spec.frames):
            stage = None
            for view, camera in enumerate(moment.cameras):
                for person, vertices in enumerate(moment.vertices):
                    if (box := _box(camera, vertices, spec.picture)) is None:
                        continue
                    place = recording.place
                    stage = stage or Stage(recording.surfaces(moment), place.lights, place.sky, device)
                    rng = np.random.default_rng([seed, spec.number, recording.number, moment.frame, view, person, 4])
                    if (shot := _shot(spec, stage, moment, view, person, box, rng)) is not None:
                        yield shot
    raise InputError(f"the recording {recording.name} of {spec.name}", expected="people whom its cameras see",
                     got="too few", mend="Let cameras stand further away, or take a shorter focal length.")  # fmt: skip


def _shot(spec: VirtualDataset, stage: Stage, moment: Moment, view: int, person: int, box: Floats,
          rng: np.random.Generator) -> Shot | None:  # fmt: skip
    """The picture of a person, or None where he is not to be seen well enough."""
    camera = moment.cameras[view]
    crop, size = _window(box, spec.picture, spec.packed)
    near = _cropped(camera, crop)
    shot = Shot(moment, view, person, box, crop, b"", spec.picture, stage.pixels_of(person, near, size))
    points = camera.project(moment.landmarks[person])
    within = inside(points, spec.picture)
    if shot.on_own(points[within]).sum() < UNHIDDEN * within.sum() or not within.any():
        return None
    return replace(shot, jpeg=encode_jpeg(_developed(stage.light(near, size, RAYS, int(rng.integers(2**31))), rng)))


def _box(camera: Camera, vertices: Floats, size: tuple[int, int]) -> Floats | None:
    """Left, top, width, height of a body within the picture; None where too little of it is there."""
    points = camera.project(vertices)
    if np.isnan(points).any():
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    left_top, right_bottom = np.clip(low, -0.5, np.array(size) - 0.5), np.clip(high, -0.5, np.array(size) - 0.5)
    extent = right_bottom - left_top
    if extent.max() < SMALLEST or np.prod(extent) < IN_PICTURE * np.prod(high - low):
        return None
    return np.concatenate([left_top, extent])


def _window(box: Floats, size: tuple[int, int], packed: int) -> tuple[Floats, tuple[int, int]]:
    """What is packed: left, top, scale as in `Samples.crop`, and width and height in pixels."""
    side = MARGIN * float(box[2:].max())
    scale = packed / side
    middle = box[:2] + box[2:] / 2
    start = np.clip(middle - side / 2, -0.5, np.array(size) - 0.5)
    end = np.clip(middle + side / 2, -0.5, np.array(size) - 0.5)
    width, height = np.maximum(((end - start) * scale).astype(int), 8)
    return np.array([*(start + 0.5 / scale), scale]), (int(width), int(height))


def _cropped(camera: Camera, crop: Floats) -> Camera:
    """The camera that sees a packed picture."""
    left, top, scale = crop
    matrix = np.asarray(camera.matrix).copy()
    matrix[:2] *= scale
    matrix[:2, 2] -= scale * np.array([left, top])
    return Camera(matrix, camera.rotation, camera.translation)


def _developed(light: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture that a camera makes of light: exposed for what it sees, with a cast of colour and some grain."""
    level = float(light.mean()) + 1e-4
    exposure = (rng.uniform(0.14, 0.30) / level) ** rng.uniform(0.75, 1.0)
    grain = rng.uniform(0, 0.02) * rng.standard_normal(light.shape, dtype=np.float32)
    white = rng.normal(1, 0.04, 3).astype(np.float32)
    return exposed(light * (1 + grain), exposure, white)


def samples(
    spec: VirtualDataset, recording: Recording, found: Sequence[Shot], seed: int, *, noise: bool, flat: bool
) -> Samples:
    """Shots as samples of a dataset that labels them: of the one whose pictures they are, or of another.

    noise: with the noise that differs from label to label. flat: 2D labels, those in the picture.
    """
    own = recording.spec
    points, visibility = [], []
    for shot in found:
        world = placed(spec, seed, shot.moment.landmarks[shot.person], shot.moment.pelvis[shot.person])
        image = shot.camera.project(world)
        labels = image if flat else shot.camera.to_camera(world)
        if noise:
            labels = _noisy(spec, recording, shot, labels, seed)
        seen = inside(image, own.picture)
        state = np.where(seen & shot.on_own(image), Visibility.VISIBLE, Visibility.OCCLUDED)
        given = np.isfinite(labels).all(axis=-1) & (seen if flat else True)
        points.append(np.where(given[:, None], labels, np.nan))
        visibility.append(np.where(given, state, Visibility.MISSING))
    made = Samples.of(
        spec.skeleton, **{"points2d" if flat else "points": np.array(points)}, visibility=np.array(visibility),
        camera=_shared([shot.camera for shot in found]), world_known=True, frame=[shot.moment.frame for shot in found],
        person=[shot.person for shot in found], image_size=own.picture, box=np.array([shot.box for shot in found]),
        masks=[shot.mask for shot in found], sequence=recording.name,
        subject=[recording.cast.names[shot.person] for shot in found], view=[f"camera_{shot.view}" for shot in found],
    )  # fmt: skip
    crops = np.array([shot.crop for shot in found], np.float32)
    return replace(made, pictures=tuple(shot.jpeg for shot in found), crop=crops)


def _noisy(spec: VirtualDataset, recording: Recording, shot: Shot, labels: Floats, seed: int) -> Floats:
    """Labels (J, 2) in the picture or (J, 3) in the camera's axes, with noise."""
    place = [seed, spec.number, recording.number, shot.moment.frame, shot.person]
    if labels.shape[1] == 2:
        return noisy(labels, spec.noise.pixels, spec.noise, np.random.default_rng([*place, shot.view, 5]))
    # Points are found in the world: all cameras see them off by the same.
    rng = np.random.default_rng([*place, 6])
    return shot.camera.to_camera(noisy(shot.camera.to_world(labels), spec.noise.jitter, spec.noise, rng))


def _shared(cameras: list[Camera]) -> list[Camera]:
    """The same objects; those of equal numbers become one."""
    known: dict[bytes, Camera] = {}
    return [
        known.setdefault(
            np.concatenate([np.ravel(c.matrix), np.ravel(c.rotation), np.ravel(c.translation)]).tobytes(), c
        )
        for c in cameras
    ]
