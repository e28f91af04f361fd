"""IKEA ASM: assembly of furniture before three Kinects, 3D points of few frames in the axes of each camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._files import write_json, write_pickle, write_text, write_video
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Floats, Scene, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (1920, 1080)
VIEWS = ("dev1", "dev2", "dev3")

#: Furniture/assembly and split; the fourth word of the assembly's name is the scene of the calibration.
_ASSEMBLIES = (
    ("Lack_Coffee_Table/0001_black_table_02_01_2019_08_16_14_00", "train"),
    ("Kallax_Shelf_Drawer/0007_white_shelf_10_03_2019_08_20_11_30", "test"),
)
_SPECIAL = "Lack_Coffee_Table/special_test"
_ANNOTATED = (1, 3, 4)
_FRAMES = 6


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    scenes = {f"{number:02d}": _cameras(number) for number in (2, 4, 10)}
    _write_calibration(out / "Calibration", scenes)
    truths: list[Truth] = []
    for number, (assembly, split) in enumerate(_ASSEMBLIES):
        scene = assembly.split("/")[1].split("_")[3]
        truths += _assembly(out, assembly, split, scenes[scene], seed=number)
        write_text(out / f"{split}_cross_env.txt", assembly + "\n")
    _assembly(out, _SPECIAL, "test", scenes["04"], seed=9)  # to be skipped
    return truths


def _assembly(out: Path, assembly: str, split: str, cameras: dict[str, Camera], seed: int) -> list[Truth]:
    moving = virtual_scene(1, _FRAMES, seed=seed)
    scene = Scene(_DEV2.to_camera(moving.landmarks), moving.fps)
    joints = scene.joints("coco_17")[:, 0]
    truths = []
    for view, camera in cameras.items():
        folder = out / assembly / view
        video = folder / "images" / "scan_video.avi"
        shorter = _FRAMES - (view == "dev1")  # of some cameras a frame is missing at the end
        write_video(video, (coarse(camera, scene, frame, SIZE, 4) for frame in range(shorter)), 25)
        for frame in _ANNOTATED:
            world = joints[frame].copy()
            world[np.abs(world[:, 0]).argmin(), 0] = 0  # as good a coordinate as any
            scores = np.random.default_rng([seed, frame]).uniform(0.3, 0.999, 17)
            missing = [0, 3] if frame == 3 else [9] if frame == 4 else []
            scores[missing], world[missing] = 0, np.nan
            points = camera.to_camera(world)
            numbers = np.nan_to_num(np.column_stack([points / 10, scores])).ravel().tolist()
            write_json(folder / "pose3d" / f"{frame:06d}.json", {"format": "ikea", "pose_keypoints_3d": numbers})
            if view == "dev3":
                write_json(folder / "pose2d" / f"{frame:06d}.json", _by_hand(camera.project(joints[frame]), frame))
            image = video.relative_to(out).as_posix()
            truths.append(Truth("coco_17", split, image, frame, points=points, world=world))
    return truths


#: The reference: the world of the calibration is in its axes.
_DEV2 = look_at((0, 1700, 3400), (0, 900, 0), focal=1, size=SIZE)


def _cameras(scene: int) -> dict[str, Camera]:
    """The three cameras of a scene: dev2 with neither rotation nor translation, the others beside it."""
    rng = np.random.default_rng(scene)
    cameras = {}
    for view, place in zip(VIEWS, ((-2800, 1750, 2100), (0, 1700, 3400), (2600, 1800, 2300)), strict=True):
        away = 0 if view == "dev2" else rng.normal(scale=60, size=3)
        seen = look_at(np.array(place) + away, (0, 900, 0), focal=1, size=SIZE)
        turn = np.asarray(seen.rotation) @ np.asarray(_DEV2.rotation).T
        focal = 1060 + rng.uniform(-4, 4)
        matrix = np.array([[focal, 0, 955 + rng.uniform(-4, 4)], [0, focal + 1.5, 538.0], [0, 0, 1]])
        if view == "dev2":
            cameras[view] = Camera(matrix)
        else:
            cameras[view] = Camera(matrix, turn, seen.translation - turn @ _DEV2.translation)
    return cameras


def _write_calibration(folder: Path, scenes: dict[str, dict[str, Camera]]) -> None:
    """All of it as a pickle, and each camera as JSON."""
    said = {scene: {view: _parameters(camera) for view, camera in cameras.items()} for scene, cameras in scenes.items()}
    write_pickle(folder / "camera_parameters.pkl", said)
    for scene, cameras in said.items():
        for view, values in cameras.items():
            written = {name: value for name, value in values.items() if name != "P"}
            write_json(folder / scene / view / "camera_parameters.json", written)


def _parameters(camera: Camera) -> dict[str, Any]:
    moved = np.asarray(camera.translation)[:, None] / 10
    projection = camera.matrix @ np.column_stack([camera.rotation, moved])
    return {"K": camera.matrix, "dist_coefs": np.zeros((1, 5)), "R": camera.rotation, "T": moved, "P": projection}


def _by_hand(image: Floats, frame: int) -> dict[str, Any]:
    """What somebody clicked: within a few pixels, without some of the joints."""
    rng = np.random.default_rng(frame)
    clicked = (image + rng.normal(scale=3, size=image.shape)).round(1)
    names = [name.replace("_", " ") for name in skeleton("coco_17").names]
    return {
        name: {"position": point.tolist(), "confidence": int(rng.integers(1, 4))}
        for name, point in zip(names, clicked, strict=True)
        if rng.random() > 0.1
    }
