"""3DPeople: dressed characters, 67 nodes in pixels and decimetres for each picture, no camera in the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_image, write_text
from skelbridge.synthetic.scene import Z_UP, draw, look_at, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (640, 480)
_MATRIX = np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]])

#: Subject, split, action, whether the rows of numbers have columns between pixels and places.
_CLIPS = (
    ("woman01", "train", "01_01", False),
    ("man07", "train", "dance_03", True),
    ("woman34", "test", "01_01", False),
)
_FRAMES = 3


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    for number, clip in enumerate(_CLIPS):
        truths += _clip(out, *clip, seed=30 + number)
    return truths


def _clip(out: Path, subject: str, split: str, action: str, wide: bool, seed: int) -> list[Truth]:
    """Write one clip: texts for frames 0 to 3, pictures for 1 to 3."""
    scene, cameras = to_axes(Z_UP, virtual_scene(1, _FRAMES + 1, seed=seed), _cameras(seed))
    truths = []
    for view, camera in enumerate(cameras, 1):
        place = f"{subject}/{action}/camera{view:02d}"
        for frame in range(_FRAMES + 1):
            world = scene.joints("people3d_67")[frame, 0]
            image = camera.project(world)
            between = [np.zeros((67, 1)), np.ones((67, 1))] if wide else []
            rows = np.column_stack([image, *between, world / 100])
            text = "".join(" ".join(f"{value:.6f}" for value in row) + "\n" for row in rows)
            write_text(out / "skeleton" / place / f"{frame:04d}.txt", text)
            if not frame:
                continue
            picture, masks = draw(camera, scene, frame, SIZE)
            file = f"rgb/{place}/{_DEEPER}/{frame:04d}.jpg"
            write_image(out / file, picture)
            clothes = np.full_like(picture, 153)
            clothes[masks[0]] = np.where(np.abs(picture[masks[0]].astype(int) - 153).max(axis=1, keepdims=True) > 10,
                                         picture[masks[0]], [200, 40, 40])  # fmt: skip
            write_image(out / "segmentation_clothes" / place / f"{frame:04d}.png", clothes)
            truths.append(
                Truth(
                    "people3d_67",
                    split,
                    file,
                    points=camera.to_camera(world),
                    points2d=image,
                    world=world,
                    box=_tight(masks[0]),
                    tolerance=0.5,
                )
            )
    return truths


#: The folder in which the pictures of a camera lie, and nothing else does.
_DEEPER = "rgb"


def _tight(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, width, height of the pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = float(columns[0]), float(rows[0])
    return left, top, columns[-1] + 1 - left, rows[-1] + 1 - top


def _cameras(seed: int) -> list[Camera]:
    """Four cameras around the character, the same lens in all."""
    cameras = []
    for view in range(4):
        angle = seed + view * np.pi / 2
        seen = look_at((4100 * np.sin(angle), 1200, 4100 * np.cos(angle)), (0, 900, 0), focal=1, size=SIZE)
        cameras.append(Camera(_MATRIX, seen.rotation, seen.translation))
    return cameras
