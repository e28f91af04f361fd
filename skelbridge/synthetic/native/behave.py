"""BEHAVE: four Kinects with rational lenses around a person, fits and joints a second, extrinsics into the world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_image, write_json, write_pickle
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.native._smpl import act, write_models
from skelbridge.synthetic.scene import Floats, Scene, draw, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (2048, 1536)

#: Name, split (none: listed nowhere), gender, Kinects, seconds, seconds without a fit, seconds without joints.
_SEQUENCES: tuple[tuple[str, str, str, tuple[int, ...], tuple[int, ...], set[int], set[int]], ...] = (
    ("Date01_Sub01_backpack_back", "train", "male", (0, 1, 2, 3), (5, 6, 7), {6}, set()),
    ("Date03_Sub05_chairwood_sit", "test", "female", (0, 1, 3), (8, 9, 10), set(), {10}),
    ("Date03_Sub03_yogaball", "", "male", (0, 1, 2, 3), (41,), set(), set()),
)
#: k1, k2, p1, p2, k3, k4, k5, k6 of the colour cameras.
_BENDS = (0.42, -2.55, 0.0006, -0.0003, 1.52, 0.31, -2.37, 1.45)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    write_models(out / "models", {"smplh": ("male", "female")})
    lists = {word: [name for name, split, *_ in _SEQUENCES if split == word] for word in ("train", "test")}
    write_json(out / "split.json", lists)
    for date in ("Date01", "Date03"):
        for kinect, camera in enumerate(_kinects(date)):
            turn = np.asarray(camera.rotation).T
            config = {"rotation": turn.ravel(), "translation": camera.position / 1000}
            write_json(out / "calibs" / date / "config" / str(kinect) / "config.json", config)
    for kinect, camera in enumerate(_kinects("Date01")):
        write_json(out / "calibs" / "intrinsics" / str(kinect) / "calibration.json", _calibration(camera))
    return [truth for number in range(len(_SEQUENCES)) for truth in _sequence(out, number)]


def _sequence(out: Path, number: int) -> list[Truth]:
    name, split, gender, kinects, seconds, unfitted, jointless = _SEQUENCES[number]
    date = name.split("_")[0]
    cameras = _kinects(date)
    scene = _in_world(virtual_scene(frames=len(seconds), seed=400 + number, step=3), date)
    world, person = scene.joints("body_25")[:, 0], act("smplh", gender, scene)
    world[-1, 20] = np.nan  # a toe that was not triangulated
    folder = out / "sequences" / name
    info = {"config": f"../../calibs/{date}/config", "intrinsic": "../../calibs/intrinsics", "cat": name.split("_")[2],
            "gender": gender, "empty": None, "kinects": list(kinects), "beta": None}  # fmt: skip
    write_json(folder / "info.json", info)
    truths = []
    for frame, second in enumerate(seconds):
        place = folder / f"t{second:04d}.000"
        if second not in jointless:
            joints = np.column_stack([world[frame] / 1000, np.full(25, 0.8)])
            joints[np.isnan(world[frame, :, 0])] = 0
            write_json(place / "person" / "person_J3d.json", {"body_joints3d": joints.ravel()})
        if second not in unfitted:
            fit = {"pose": person.pose[frame].ravel(), "betas": person.betas, "trans": person.translation[frame]}
            write_pickle(place / "person" / "fit02" / "person_fit.pkl", fit)
        for kinect in kinects:
            camera = cameras[kinect]
            image = place / f"k{kinect}.color.jpg"
            write_image(image, coarse(camera, scene, frame, SIZE, 8), 70)
            _mask(place / f"k{kinect}.person_mask.{'png' if number else 'jpg'}", camera, scene, frame)
            pixels = camera.project(world[frame])
            found = np.nan_to_num(np.column_stack([pixels, np.full(25, 0.7)]))
            found[22] = 0  # the detector did not see a toe
            write_json(place / f"k{kinect}.color.json", {"body_joints": found.ravel()})
            if second not in unfitted | jointless:
                truths.append(
                    Truth("body_25", split or "test", image.relative_to(out).as_posix(),
                          points=camera.to_camera(world[frame]), world=world[frame])
                )  # fmt: skip
    return truths


def _mask(path: Path, camera: Camera, scene: Scene, frame: int) -> None:
    small = Camera(np.diag([1 / 8, 1 / 8, 1]) @ np.asarray(camera.matrix), camera.rotation, camera.translation, _BENDS)
    seen = draw(small, scene, frame, (SIZE[0] // 8, SIZE[1] // 8))[1][0]
    write_image(path, seen.repeat(8, axis=0).repeat(8, axis=1), 70)


def _rig(date: str) -> list[Camera]:
    """The Kinects of a date about the scene, in a world with y up."""
    turn = 0.2 if date == "Date01" else 1.0
    angles = turn + np.arange(4) * np.pi / 2
    places = [(2800 * np.sin(angle), 1700, 2800 * np.cos(angle)) for angle in angles]
    seen = [look_at(at, (0, 900, 0), focal=1, size=SIZE) for at in places]
    matrices = [np.array([[976.2 + k, 0, 1017.9], [0, 975.8 + k, 787.3 - k], [0, 0, 1]]) for k in range(4)]
    return [Camera(m, c.rotation, c.translation, _BENDS) for m, c in zip(matrices, seen, strict=True)]


def _kinects(date: str) -> list[Camera]:
    """The same in the world of the data: the axes of Kinect 1, y down."""
    rig = _rig(date)
    turns = [np.asarray(camera.rotation) @ np.asarray(rig[1].rotation).T for camera in rig]
    moves = [
        camera.translation - turn @ np.asarray(rig[1].translation) for camera, turn in zip(rig, turns, strict=True)
    ]
    return [Camera(c.matrix, turn, move, _BENDS) for c, turn, move in zip(rig, turns, moves, strict=True)]


def _in_world(scene: Scene, date: str) -> Scene:
    return Scene(_rig(date)[1].to_camera(scene.landmarks), scene.fps)


def _calibration(camera: Camera) -> dict[str, Any]:
    matrix: Floats = np.asarray(camera.matrix)
    names = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    centre = {"fx": matrix[0, 0], "fy": matrix[1, 1], "cx": matrix[0, 2], "cy": matrix[1, 2]}
    colour = centre | {"width": SIZE[0], "height": SIZE[1]} | dict(zip(names, _BENDS, strict=True))
    return {"color": colour | {"opencv": [*centre.values(), *_BENDS]}}
