"""JRDB-Pose: people around a robot, labels for each camera and sequence, two frames ahead of their pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._coco import PERSON, Entry, box, labelled, shoot, triples
from skelbridge.synthetic.native._files import write_image, write_json, write_text
from skelbridge.synthetic.scene import look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (752, 480)
_JOINTS = "jrdb_17"

#: The upper row of cameras, image_0, image_2 ...; sensors 5 to 9 are the lower row.
_SENSORS = 10
_MATRIX = np.array([[476.71, 0, 350.738], [0, 479.505, 209.532], [0, 0, 1]])
_BENDS = (-0.336591, 0.159742, 0.00012697, -7.22557e-05, -0.0461953)

_SEQUENCES = ("bytes-cafe-2019-02-07_0", "clark-center-2019-02-28_1")
_FRAMES = 5
_SHIFT = 2


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    cameras = _cameras()
    _write_calibration(out / "train_dataset" / "calibration" / "cameras.yaml", cameras)
    truths: list[Truth] = []
    for number, sequence in enumerate(_SEQUENCES):
        for view in (0, 4) if number else (0, 2, 8):
            truths += _view(out, sequence, view, cameras[view // 2], seed=220 + number + view)
    lonely = out / "test_dataset" / "images" / "image_0" / "cubberly-auditorium-2019-04-22_1" / "000000.jpg"
    write_image(lonely, shoot(_JOINTS, cameras[0], virtual_scene(1, 1, seed=2), 0, SIZE).image)
    return truths


def _view(out: Path, sequence: str, view: int, camera: Camera, seed: int) -> list[Truth]:
    """Write the pictures and labels of one camera; picture n + 2 shows what is labelled for frame n."""
    scene = virtual_scene(2, _FRAMES, seed=seed)
    facing = look_at((700, 1200, 4300), (0, 950, 0), focal=1, size=SIZE)  # as if the robot stood there
    seeing = Camera(camera.matrix, facing.rotation, facing.translation, camera.distortion)
    images: list[Entry] = []
    annotations: list[Entry] = []
    truths = []
    pictures = out / "train_dataset" / "images"
    for frame in range(_FRAMES):
        shot = shoot(_JOINTS, seeing, scene, frame, SIZE)
        file = f"image_{view}/{sequence}/{frame:06d}.jpg"
        shown = f"image_{view}/{sequence}/{frame + _SHIFT:06d}.jpg"
        write_image(pictures / shown, shot.image)
        if frame < _SHIFT:
            write_image(pictures / file, shoot(_JOINTS, seeing, scene, 0, SIZE).image)
        images.append({"id": frame + 1, "file_name": file, "width": SIZE[0], "height": SIZE[1]})
        for person in range(2 if frame != 3 else 0):  # nobody labelled in one frame
            flags = shot.flags(person, seed + frame)
            keypoints = triples(shot.points[person], flags)
            annotations.append({
                "id": len(annotations) + 1, "image_id": frame + 1, "track_id": person + 4, "category_id": 1,
                "keypoints": keypoints, "num_keypoints": int(np.count_nonzero(flags)), "iscrowd": 0,
                "bbox": box(shot.masks[person]), "area": float(shot.masks[person].sum()),
            })  # fmt: skip
            around = tuple(annotations[-1]["bbox"])
            points = labelled(keypoints)
            truths.append(Truth(_JOINTS, "train", f"train_dataset/images/{shown}", points2d=points, box=around))
    category = {**PERSON, "keypoints": [joint.native for joint in skeleton(_JOINTS).joints], "skeleton": []}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    write_json(out / "train_dataset/labels/labels_2d_pose_coco" / f"{sequence}_image{view}.json", content)
    return truths


def _cameras() -> list[Camera]:
    """The ring on the robot: two rows of five that look outwards, a few centimetres from its middle."""
    cameras = []
    for sensor in range(_SENSORS):
        angle = 2 * np.pi * (sensor % 5) / 5
        at = np.array([52 * np.sin(angle), 4.0 if sensor < 5 else -4.0, 52 * np.cos(angle)])
        seen = look_at(at, at + np.array([np.sin(angle), 0, np.cos(angle)]), focal=1, size=SIZE, up=(0, -1, 0))
        shift = np.diag([0.3 * sensor, -0.2 * sensor, 0])
        cameras.append(Camera(_MATRIX + shift, seen.rotation, seen.translation, _BENDS))
    return cameras


def _write_calibration(path: Path, cameras: list[Camera]) -> None:
    lines = ["cameras:"]
    for sensor, camera in enumerate(cameras):
        lines += [f"    sensor_{sensor}:", f"        width: {SIZE[0]}", f"        height: {SIZE[1]}"]
        bends = np.asarray(camera.distortion)[:5]
        for name, values in zip("KRDT", (camera.matrix, camera.rotation, bends, camera.translation), strict=True):
            rows = [" ".join(f"{value:.9g}" for value in row) for row in np.atleast_2d(values)]
            if len(rows) == 1 or sensor % 3 == 0:  # the ways to write a text of numbers in YAML
                lines.append(f"        {name}: {' '.join(rows)}")
            else:
                lines += [f"        {name}:{' >-' if sensor % 3 == 1 else ''}", *(f"            {row}" for row in rows)]
    write_text(path, "\n".join([*lines, ""]))
