"""A small scene with virtual people, cameras around it and pictures of it, for native-layout copies of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.camera import Camera
from skelbridge.errors import need
from skelbridge.landmarks import landmarks
from skelbridge.skeletons import skeleton

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

_MOTION = Path(__file__).parents[1] / "samples" / "motion.npz"

#: What is drawn of a body: (from, to, thickness in mm, part), with `left_` put before names that have sides.
_LIMBS = (
    ("left_hip", "left_knee", 160, "trousers"), ("left_knee", "left_ankle", 110, "trousers"),
    ("left_heel_sole", "left_big_toe_tip", 70, "shoe"), ("left_ankle", "left_heel_sole", 80, "shoe"),
    ("left_shoulder", "left_elbow", 95, "sleeve"), ("left_elbow", "left_wrist", 75, "skin"),
    ("left_wrist", "left_middle_mcp", 70, "skin"), ("left_middle_mcp", "left_middle_tip", 50, "skin"),
    ("left_hip", "left_shoulder", 190, "shirt"),
)  # fmt: skip
_MIDDLE = (
    ("pelvis", "neck_base", 270, "shirt"), ("neck_base", "head", 110, "skin"),
    ("neck_high", "head_top", 165, "head"), ("chin_tip", "forehead", 120, "skin"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scene:
    """People who move about on a floor: landmarks (frames, people, landmarks, 3) in mm, y up, the floor at 0, every
    person within 3 m of the origin; frames a second."""

    landmarks: Floats
    fps: float

    @property
    def frames(self) -> int:
        return len(self.landmarks)

    @property
    def people(self) -> int:
        return self.landmarks.shape[1]

    def joints(self, format: str) -> Floats:
        """The joints of a skeleton format, (frames, people, joints, 3) mm; NaN where its card does not place one."""
        return skeleton(format).placement @ self.landmarks


def virtual_scene(people: int = 1, frames: int = 12, seed: int = 0, step: int = 1) -> Scene:
    """People of 1.5 to 1.9 m, a metre and more from each other, each walking a little while moving as the sample clip
    (20 frames a second, every `step`-th taken), from moments and in directions that depend on `seed`."""
    rng = np.random.default_rng(seed)
    points, fps = _sample_motion()
    placed = np.empty((frames, people, *points.shape[1:]))
    for person in range(people):
        times = (rng.integers(len(points)) + step * np.arange(frames)) % len(points)
        turn = rng.uniform(0, 2 * np.pi)
        body = points[times] * (rng.uniform(1500, 1900) / 1700) @ about_y(turn).T
        place = 650 * people * np.array([np.sin(2 * np.pi * person / people), 0, np.cos(2 * np.pi * person / people)])
        walk = np.linspace(0, 1, frames)[:, None] * np.array([300.0, 0, 200]) @ about_y(turn).T
        body[..., 1] -= body[..., 1].min(axis=1, keepdims=True)
        placed[:, person] = body + (place if people > 1 else 0) + walk[:, None]
    return Scene(placed, fps / step)


@lru_cache(maxsize=1)
def _sample_motion() -> tuple[Floats, float]:
    with np.load(_MOTION, allow_pickle=False) as file:
        order = [file["names"].tolist().index(name) for name in landmarks().names]
        return file["landmarks"][:, order].astype(float), float(file["fps"])


def about_y(angle: float) -> Floats:
    """The rotation about y by an angle in radians, for column vectors."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def look_at(
    position: ArrayLike,
    target: ArrayLike,
    *,
    focal: float,
    size: tuple[int, int],
    up: ArrayLike = (0, 1, 0),
    distortion: ArrayLike = (),
) -> Camera:
    """A camera at `position` that looks at `target` (both in mm), `focal` in pixels, of `size` width, height."""
    position = np.asarray(position, float)
    ahead = np.asarray(target, float) - position
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, np.asarray(up, float))
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    matrix = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1]])
    return Camera(matrix, rotation, -rotation @ position, distortion)


def ring(count: int, *, focal: float, size: tuple[int, int], radius: float = 4500.0, height: float = 1500.0,
         distortion: ArrayLike = ()) -> list[Camera]:  # fmt: skip
    """Cameras around the scene that look at its middle, at breast height."""
    angles = np.arange(count) * 2 * np.pi / count + 0.3
    places = [(radius * np.sin(a), height, radius * np.cos(a)) for a in angles]
    return [look_at(at, (0, 1000, 0), focal=focal, size=size, distortion=distortion) for at in places]


def to_axes(axes: ArrayLike, scene: Scene, cameras: Sequence[Camera]) -> tuple[Scene, list[Camera]]:
    """The same scene and cameras in another world, whose point is `axes` (3, 3, a rotation) @ ours."""
    turn = np.asarray(axes, float)
    moved = [Camera(c.matrix, np.asarray(c.rotation) @ turn.T, c.translation, c.distortion, c.lens) for c in cameras]
    return Scene(scene.landmarks @ turn.T, scene.fps), moved


#: Our y-up world in one with z up (x stays), and in one with y down.
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
Y_DOWN = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])


def draw(camera: Camera, scene: Scene, frame: int, size: tuple[int, int]) -> tuple[Image, NDArray[np.bool_]]:
    """A picture (height, width, 3) of a frame, and what one sees of each person, (people, height, width).

    Simple figures in coloured clothes before a wall; the person's left sleeve and trouser leg are the darker ones.
    """
    drawing, image_module = need("PIL.ImageDraw", "sample"), need("PIL.Image", "sample")
    picture = image_module.fromarray(_wall(size)).copy()
    owner = image_module.new("I", size, 0)
    onto_picture, onto_owner = drawing.Draw(picture), drawing.Draw(owner)
    for person in _far_to_near(camera, scene.landmarks[frame]):
        for polygon, colour in _shapes(camera, scene.landmarks[frame, person], person):
            onto_picture.polygon(polygon, fill=colour)
            onto_owner.polygon(polygon, fill=int(person) + 1)
    owners = np.asarray(owner)
    return np.asarray(picture), np.stack([owners == person + 1 for person in range(scene.people)])


@lru_cache(maxsize=4)
def _wall(size: tuple[int, int]) -> Image:
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width] / height
    base = np.where(rows < 0.62, 205 - 40 * rows, 120 + 60 * (rows - 0.62))
    pattern = 8 * (np.sin(columns * 40) > 0.95) + 6 * (np.sin(rows * 60 + columns * 3) > 0.9)
    shades = base[..., None] * np.array([1.0, 0.97, 0.9]) - pattern[..., None]
    return np.clip(shades, 0, 255).astype(np.uint8)


def _far_to_near(camera: Camera, people: Floats) -> NDArray[np.intp]:
    return np.argsort(-camera.to_camera(people.mean(axis=1))[:, 2])


def _shapes(camera: Camera, body: Floats, person: int) -> list[tuple[list[tuple[float, float]], tuple[int, ...]]]:
    """The limbs of a body as polygons, the far ones first, with their colours."""
    points, names = landmarks(), []
    for start, end, width, part in _LIMBS:
        for side in ("left_", "right_"):
            names.append((start.replace("left_", side), end.replace("left_", side), width, part, side))
    names += [(start, end, width, part, "") for start, end, width, part in _MIDDLE]
    shapes = []
    for start, end, width, part, side in names:
        ends = camera.to_camera(body[[points.index(start), points.index(end)]])
        image = camera.project_seen(ends)
        if ends[:, 2].min() < 200 or not np.isfinite(image).all():
            continue
        half = 0.5 * width * np.asarray(camera.matrix)[0, 0] / ends[:, 2]
        shapes.append((ends[:, 2].mean(), _capsule(image, half), _colour(part, side, person)))
    return [(polygon, colour) for _, polygon, colour in sorted(shapes, key=lambda shape: -shape[0])]


def _capsule(ends: Floats, half: Floats) -> list[tuple[float, float]]:
    along = ends[1] - ends[0]
    angle = np.arctan2(along[1], along[0])
    turns = np.linspace(np.pi / 2, 3 * np.pi / 2, 9)
    first = ends[0] + half[0] * np.stack([np.cos(angle + turns), np.sin(angle + turns)], axis=1)
    second = ends[1] + half[1] * np.stack([np.cos(angle + turns + np.pi), np.sin(angle + turns + np.pi)], axis=1)
    return [(float(x), float(y)) for x, y in np.concatenate([first, second])]


def _colour(part: str, side: str, person: int) -> tuple[int, ...]:
    rng = np.random.default_rng([person, 7])
    skin = rng.choice([[236, 200, 172], [198, 150, 116], [120, 82, 60]])
    shirt, trousers = rng.integers(40, 230, 3), rng.integers(30, 140, 3)
    colour = {"skin": skin, "shirt": shirt, "sleeve": shirt, "trousers": trousers, "shoe": np.full(3, 45),
              "head": skin * 0.45}[part]  # fmt: skip
    shade = {"left_": 0.72, "right_": 1.0, "": 0.92}[side if part in ("sleeve", "trousers") else ""]
    return tuple(int(value) for value in np.clip(colour * shade, 0, 255))
