"""HUMAN4D: four RealSense sensors on their side, joints of the solved skeleton a file a frame, a shift between both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import new, write_image, write_json, write_text
from skelbridge.synthetic.native._pictures import coarse, extent
from skelbridge.synthetic.scene import Floats, ring, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (1280, 720)
DEVICES = ("M72e", "M72h", "M72i", "M72j")

#: Subject, recording, first and last group of the pictures, shift, poses, devices without extrinsics.
_RECORDINGS: tuple[tuple[str, str, int, int, int, int, tuple[str, ...]], ...] = (
    ("S1", "19-07-12-07-32-22", 8, 12, 9, 3, ()),
    ("S1", "19-07-12-07-43-51", 3, 5, 3, 4, ()),
    ("S2", "19-07-12-08-15-02", 99, 101, 98, 4, ("M72h",)),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths = []
    for subject in ("S1", "S2"):
        rig = _sensors(subject)
        write_json(out / subject / "device_repository.json", [_device(name, rig[name]) for name in DEVICES])
        shifts = ""
        for number, (of, time, *_, shift, _, lacking) in enumerate(_RECORDINGS):
            if of != subject:
                continue
            shifts += f"{time}\t{shift}\t{shift + 40}\n"
            for name in set(DEVICES) - set(lacking):
                _extrinsics(out / subject / "pose" / f"{name}.extrinsics", rig[name])
            truths += _recording(out, number, rig)
        write_text(out / subject / "offsets.txt", shifts)
    return truths


def _recording(out: Path, number: int, rig: dict[str, Camera]) -> list[Truth]:
    subject, time, first, last, shift, count, lacking = _RECORDINGS[number]
    scene = virtual_scene(frames=last - first + 6, seed=900 + number)
    start = first - shift  # the pose of the first picture; frame f of the scene is pose f + min(start, 0)
    before = min(start, 0)
    folder = out / subject / time
    joints = scene.joints("human4d_33")[:, 0]
    for pose in range(count):
        np.save(new(folder / "Dump" / "gposes3d" / f"{pose}.npy"), joints[None, pose - before])
    truths = []
    for name, camera in rig.items():
        flat = camera.project(joints[-before : count - before])
        boxes = np.array([extent(points, 0.1) for points in flat])
        np.save(folder / f"{name}_2d.npy", flat[:, None])
        np.save(
            folder / f"{name}_bbox.npy", np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)[:, None]
        )
        for group in range(first, last + 1):
            pose = group - shift
            image = folder / "Dump" / "color" / f"{group}_{name}_color_{group * 2 + 1311}.png"
            write_image(image, coarse(camera, scene, pose - before, SIZE, 4))
            if 0 <= pose < count and name not in lacking:
                world = joints[pose - before]
                path = image.relative_to(out).as_posix()
                left, top, wide, high = map(float, boxes[pose])
                truths.append(
                    Truth("human4d_33", "train", path, points=camera.to_camera(world), world=world,
                          box=(left, top, wide, high))
                )  # fmt: skip
    depth = "P2\n320 180\n65535\n" + "\n".join(" ".join(["30000"] * 320) for _ in range(180)) + "\n"
    write_text(folder / "Dump" / "depth" / f"{first}_M72e_depth_{first * 2 + 1311}.pgm", depth)
    return truths


def _sensors(subject: str) -> dict[str, Camera]:
    """The colour cameras, whose pictures become upright when they are turned clockwise."""
    cameras = {}
    aside = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    for number, (name, one) in enumerate(zip(DEVICES, ring(4, focal=1, size=SIZE, radius=3600), strict=True)):
        focal = 915.0 + 3 * number + (subject == "S2")
        matrix = np.array([[focal, 0, 641.3 - number], [0, focal + 0.6, 362.8 + number], [0, 0, 1]])
        cameras[name] = Camera(matrix, aside @ np.asarray(one.rotation), aside @ np.asarray(one.translation))
    return cameras


def _depth_to_colour(name: str) -> tuple[Floats, Floats]:
    """The rotation and the translation in m of a device: where the colour camera stands in the depth sensor's axes."""
    a = 0.004 * (DEVICES.index(name) + 1)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return turn, np.array([0.0148, 0.0003 * DEVICES.index(name), -0.0002])


def _extrinsics(path: Path, camera: Camera) -> None:
    """The depth sensor in the world: three rows of rotation, one of place."""
    turn, shift = _depth_to_colour(path.stem)
    rotation = (turn @ np.asarray(camera.rotation)).T
    place = -rotation @ (turn @ np.asarray(camera.translation) + 1000 * shift)
    write_text(path, "".join(" ".join(f"{x:.10g}" for x in row) + "\n" for row in (*rotation, place)))


def _device(name: str, camera: Camera) -> dict[str, Any]:
    turn, shift = _depth_to_colour(name)
    return {
        "Device": name,
        "Color Intrinsics": [{"1280x720": np.asarray(camera.matrix).ravel()}],
        "Depth Intrinsics": [{"1280x720": [932.1, 0, 640.2, 0, 932.1, 357.7, 0, 0, 1]}],
        "Color Depth Rotation": turn.ravel(),
        "Color Depth Translation": shift,
    }
