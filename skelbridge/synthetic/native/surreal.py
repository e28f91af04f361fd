"""SURREAL: short rendered clips of one person, whose pictures are mirror images of what the joints say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import cell, write_mat5, write_video
from skelbridge.synthetic.scene import Y_DOWN, Scene, draw, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (320, 240)
FOCAL, MIDDLE = 600.0, (160, 120)

#: From the world into the camera of the mirrored picture: no rotation, but a reflection.
MIRRORED = np.array([[0.0, 0, -1], [0, 1, 0], [-1, 0, 0]])

#: The sequence whose bodies are monstrous, and is left out; the one that has come without segm files.
_MONSTROUS, _UNMASKED = "19_04", "77_02"

#: Split, run, sequence, clip, frames, and the frame from which on the person has left the picture.
_CLIPS = (
    ("train", 0, "01_01", 1, 6, 6),
    ("train", 0, "01_01", 2, 1, 1),
    ("train", 1, "ung_104_12", 3, 5, 3),
    ("train", 2, "19_04", 1, 2, 2),
    ("train", 2, "77_02", 1, 2, 2),
    ("val", 2, "09_02", 1, 4, 4),
    ("test", 0, "09_02", 1, 4, 4),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    for number in range(len(_CLIPS)):
        truths += _clip(out, number)
    return truths


def _clip(out: Path, number: int) -> list[Truth]:
    split, run, sequence, clip, frames, gone = _CLIPS[number]
    scene, _ = to_axes(Y_DOWN, virtual_scene(frames=frames, seed=600 + number), [])
    scene.landmarks[gone:, ..., 2] += 4000
    world = scene.joints("smpl_24")[:, 0]
    place = np.array([6900.0 + 200 * number, -950.0, 120.0 * number - 200])
    seen = (world - place) @ MIRRORED.T
    image = np.round(FOCAL * seen[..., :2] / seen[..., 2:] + MIDDLE)
    folder, stem = f"cmu/{split}/run{run}/{sequence}", f"{sequence}_c{clip:04d}"
    pictures, masks = _pictures(scene, place)
    video = f"{folder}/{stem}.mp4"
    write_video(out / video, [picture[:, ::-1] for picture in pictures], 30)
    info = {
        "joints3D": np.squeeze((world / 1000).transpose(2, 1, 0).astype(np.float32)),
        "joints2D": np.squeeze(image.transpose(2, 1, 0).astype(np.float32)),
    }
    write_mat5(out / folder / f"{stem}_info.mat", {**info, **_rest(sequence, clip, frames, place)})
    parts = (1 + np.arange(SIZE[1]) // 10 % 24).astype(np.uint8)[:, None]
    segments = {f"segm_{frame + 1}": (mask * parts)[:, ::-1] for frame, mask in enumerate(masks)}
    if sequence != _UNMASKED:
        write_mat5(out / folder / f"{stem}_segm.mat", segments)
    if frames == 1 or sequence == _MONSTROUS:  # a single frame has lost an axis, and is left out
        return []
    upright = np.array([-1.0, 1, 1])
    flipped = np.stack([SIZE[0] - 1 - image[..., 0], image[..., 1]], axis=-1)
    return [
        Truth(
            "smpl_24", split, video, frame, points=seen[frame] * upright, points2d=flipped[frame],
            world=world[frame], box=None if sequence == _UNMASKED else _box(masks[frame]), pixels=1.5,
        )
        for frame in range(frames)
        if masks[frame].any()
    ]  # fmt: skip


def _pictures(scene: Scene, place: NDArray[np.float64]) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.bool_]]]:
    """Pictures that are no mirror images, and the person's pixels."""
    rotation = MIRRORED * np.array([[-1.0], [1], [1]])
    matrix = np.array([[FOCAL, 0, SIZE[0] - 1 - MIDDLE[0]], [0, FOCAL, MIDDLE[1]], [0, 0, 1]])
    camera = Camera(matrix, rotation, -rotation @ place)
    drawn = [draw(camera, scene, frame, SIZE) for frame in range(scene.frames)]
    return [picture for picture, _ in drawn], [masks[0] for _, masks in drawn]


def _box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(mask)
    size = (np.ptp(columns) + 1, np.ptp(rows) + 1)
    return float(columns.min()), float(rows.min()), float(size[0]), float(size[1])


def _rest(sequence: str, clip: int, frames: int, place: NDArray[np.float64]) -> dict[str, object]:
    """What else stands in an info file."""
    rng = np.random.default_rng(clip)
    return {
        "pose": rng.normal(0, 0.2, (72, frames)).astype(np.float32),
        "shape": np.repeat(rng.normal(0, 1, (10, 1)).astype(np.float32), frames, axis=1),
        "gender": np.full((frames, 1), clip % 2, np.uint8),
        "zrot": np.full((frames, 1), 0.7, np.float32),
        "camLoc": (place / 1000)[:, None],
        "camDist": place[0] / 1000,
        "bg": cell(["living/background.jpg"] * frames),
        "cloth": cell([f"nongrey/texture_{clip}.jpg"] * frames),
        "light": rng.normal(0, 0.5, (9, 100)),
        "sequence": sequence,
        "clipNo": float(clip),
        "source": "cmu",
        "stride": 50.0,
    }
