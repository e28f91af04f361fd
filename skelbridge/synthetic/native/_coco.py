"""Annotations in COCO's JSON: people with key points, outlines and boxes, people without, crowds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._pictures import inside
from skelbridge.synthetic.scene import Floats, Image, Scene, draw, look_at, virtual_scene

Entry = dict[str, Any]

#: COCO's category of people; its pairs count from one.
PERSON: Entry = {
    "supercategory": "person",
    "id": 1,
    "name": "person",
    "keypoints": list(skeleton("coco_17").names),
    "skeleton": [[16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8], [7, 9],
                 [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7]],
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture: its points in it, (people, joints, 2), and what one sees of each person, (people, height, width)."""

    image: Image
    points: Floats
    masks: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """Width, height."""
        return self.image.shape[1], self.image.shape[0]

    def flags(self, person: int, seed: int) -> NDArray[np.int64]:
        """COCO's flag of each point: 0 outside the picture or left out, 1 behind somebody or guessed, 2 seen."""
        rng = np.random.default_rng([seed, person])
        points = self.points[person]
        within = inside(points, self.size)
        columns, rows = np.where(within[:, None], points, 0).round().astype(int).T
        others = np.delete(self.masks, person, axis=0)[:, rows, columns].any(axis=0)
        chance = rng.random(len(points))
        return np.where(within & (chance > 0.08), np.where(others | (chance > 0.85), 1, 2), 0)


def shoot(format: str, camera: Camera, scene: Scene, frame: int, size: tuple[int, int]) -> Shot:
    """A frame of a scene as a camera sees it."""
    image, masks = draw(camera, scene, frame, size)
    return Shot(image, camera.project(scene.joints(format)[frame]), masks)


def photograph(format: str, size: tuple[int, int], people: int, seed: int, distance: float = 4200.0) -> Shot:
    """A photograph of some people, taken from somewhere."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    at = (distance * np.sin(angle), rng.uniform(1000, 1900), distance * np.cos(angle))
    camera = look_at(at, (0, 900, 0), focal=1.05 * max(size), size=size)
    return shoot(format, camera, virtual_scene(people, 1, seed=seed), 0, size)


def triples(points: Floats, flags: NDArray[Any]) -> list[Any]:
    """x, y, flag of every point in a row: whole pixels, zeros where the flag is 0."""
    given = np.where(flags[:, None] > 0, points, 0).round().astype(int)
    return [value for (x, y), flag in zip(given.tolist(), flags.tolist(), strict=True) for value in (x, y, flag)]


def labelled(numbers: list[Any]) -> Floats:
    """The points of x, y, flag in a row, NaN where the flag is 0."""
    table = np.asarray(numbers, float).reshape(-1, 3)
    return np.where(table[:, 2:] > 0, table[:, :2], np.nan)


def annotation(number: int, image: int, mask: NDArray[np.bool_], keypoints: list[Any]) -> Entry:
    """A person: outline, area and box of their pixels; only the first 17 points count for the number of points."""
    return {
        "segmentation": outlines(mask),
        "num_keypoints": int(np.count_nonzero(keypoints[2 : 3 * 17 : 3])),
        "area": float(mask.sum()),
        "iscrowd": 0,
        "keypoints": keypoints,
        "image_id": image,
        "bbox": box(mask),
        "category_id": 1,
        "id": number,
    }


def crowd(number: int, image: int, mask: NDArray[np.bool_], joints: int = 17) -> Entry:
    """Many people as one region, without key points."""
    runs = {"counts": run_lengths(mask), "size": list(mask.shape)}
    return {**annotation(number, image, mask, [0] * 3 * joints), "segmentation": runs, "iscrowd": 1}


def box(mask: NDArray[np.bool_]) -> list[float]:
    """Left, top, width, height of the pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = columns[0], rows[0]
    return [round(float(x), 2) for x in (left, top, columns[-1] - left + 0.87, rows[-1] - top + 0.91)]


def outlines(mask: NDArray[np.bool_]) -> list[list[float]]:
    """Polygons around the pixels, in two halves: down the left ends of some rows, up the right ends."""
    rows = np.flatnonzero(mask.any(axis=1))
    polygons = []
    for part in np.array_split(rows, 2):
        some = part[:: max(1, len(part) // 12)]
        left = [(float(np.flatnonzero(mask[row])[0]), float(row)) for row in some]
        right = [(float(np.flatnonzero(mask[row])[-1]) + 0.5, float(row)) for row in some[::-1]]
        polygons.append([value for corner in left + right for value in corner])
    return polygons


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """COCO's counts, column by column: how many are outside, inside, outside ..."""
    pixels = np.concatenate([[False], mask.T.ravel()])
    changes = np.flatnonzero(pixels[1:] != pixels[:-1])
    return np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()
