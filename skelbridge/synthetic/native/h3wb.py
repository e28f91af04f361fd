"""H3WB: 133 whole-body points on single frames of Human3.6M, in an npz of dictionaries and in JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.synthetic.native._files import write_image, write_json, write_npz
from skelbridge.synthetic.native._pictures import coarse, extent
from skelbridge.synthetic.native.h36m import views
from skelbridge.synthetic.scene import Z_UP, Floats, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "coco_wholebody_133"

#: Subject, action, numbers of the frames in the video.
_ACTIONS = (
    (1, "Directions", (0, 40, 125)),
    (1, "TakingPhoto 1", (1005,)),
    (5, "Walking", (15, 60)),
    (6, "Sitting", (33,)),
    (7, "Eating 1", (20,)),
    (8, "Greeting", (10, 74)),
)
_BODY, _FACE, _LEFT_HAND, _RIGHT_HAND = range(23), range(23, 91), range(91, 112), range(112, 133)


@dataclass(frozen=True)
class Sample:
    """A person in a picture: where, and the points in the world, the camera and the picture."""

    subject: int
    action: str
    camera: str
    frame: int
    world: Floats
    seen: Floats
    image: Floats

    @property
    def path(self) -> str:
        return f"S{self.subject}/Images/{self.action}.{self.camera}/frame_{self.frame:04d}.jpg"

    @property
    def box(self) -> tuple[float, float, float, float]:
        left, top, width, height = extent(self.image, 0.08)
        return float(left), float(top), float(width), float(height)

    @property
    def corners(self) -> tuple[float, ...]:
        left, top, width, height = self.box
        return left, top, left + width, top + height


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    samples = list(_samples(out))
    train = {number: sample for number, sample in enumerate(samples) if sample.subject != 8}
    test = {number: sample for number, sample in enumerate(samples) if sample.subject == 8}
    write_npz(out / "h3wb_train.npz", train_data=np.array(_actions(train)), metadata=np.array(_metadata()))
    write_json(out / "2Dto3D_train.json", _entries(train, "keypoints_2d", "keypoints_3d"))
    write_json(out / "RGBto3D_train.json", _entries(train, "bbox", "keypoints_3d"))
    write_json(out / "RGBto3D_test_img.json", _entries(test, "bbox"))
    write_json(out / "RGBto3D_test_3d.json", _entries(test, "bbox", "keypoints_3d"))
    lifted = {number: sample for number, sample in test.items() if number // 4 % 2}
    write_json(out / "2Dto3D_test_3d.json", _entries(lifted, "keypoints_3d"))
    truths = [
        Truth(FORMAT, "train", sample.path, points=sample.seen, points2d=sample.image, world=sample.world)
        for sample in train.values()
    ]
    return truths + [
        Truth(FORMAT, "test", sample.path, points=sample.seen, projected=sample.image, box=sample.box)
        for sample in test.values()
    ]


def _samples(out: Path) -> Iterator[Sample]:
    """The samples of all actions and cameras; writes their pictures."""
    for number, (subject, action, frames) in enumerate(_ACTIONS):
        scene, _ = to_axes(Z_UP, virtual_scene(frames=len(frames), seed=1200 + number), [])
        world = scene.joints(FORMAT)[:, 0]
        for view in views(subject):
            camera = view.camera
            seen = camera.to_camera(world)
            image = camera.project_seen(seen)
            for row, frame in enumerate(frames):
                sample = Sample(subject, action, view.name, frame, world[row], seen[row], image[row])
                write_image(out / sample.path, coarse(camera, scene, row, (1000, view.height)))
                yield sample


def _actions(samples: dict[int, Sample]) -> dict[str, Any]:
    """train_data[subject][action]: the world's points once, the rest for each camera."""
    data: dict[str, Any] = {}
    for number, (subject, action, frames) in enumerate(_ACTIONS):
        of = {id: s for id, s in samples.items() if (s.subject, s.action) == (subject, action)}
        if not of:
            continue
        first = [sample for sample in of.values() if sample.camera == next(iter(of.values())).camera]
        world = np.stack([sample.world for sample in first])
        entry: dict[str, Any] = {"global_3d": world[:, None] if number % 2 else world, "frame_id": np.array(frames)}
        for camera in dict.fromkeys(sample.camera for sample in of.values()):
            here = {id: sample for id, sample in of.items() if sample.camera == camera}
            entry[camera] = {
                "camera_3d": np.stack([sample.seen for sample in here.values()]),
                "pose_2d": np.stack([sample.image for sample in here.values()]),
                "sample_id": np.array(list(here)),
            }
        data.setdefault(f"S{subject}", {})[action] = entry
    return data


def _metadata() -> dict[str, Any]:
    """metadata[subject][camera], K in thousands of pixels and T in metres; and lists of joints."""
    metadata: dict[str, Any] = {
        "left_side": [1, 3, 5, 7, 9, 11, 13, 15, 17, 18, 19, *_LEFT_HAND],
        "right_side": [2, 4, 6, 8, 10, 12, 14, 16, 20, 21, 22, *_RIGHT_HAND],
        "body": list(_BODY),
        "face": list(_FACE),
        "left_hand": list(_LEFT_HAND),
        "right_hand": list(_RIGHT_HAND),
    }
    for subject in (1, 5, 6, 7, 8):
        metadata[f"S{subject}"] = {}
        for view in views(subject):
            camera = view.camera
            matrix = np.asarray(camera.matrix) * [[1e-3], [1e-3], [1]]
            metadata[f"S{subject}"][view.name] = {
                "K": matrix[None],
                "R": np.asarray(camera.rotation)[None],
                "T": np.asarray(camera.translation)[None, None] / 1000,
                "Distortion": np.asarray(camera.distortion)[None, :5],
            }
    return metadata


def _entries(samples: dict[int, Sample], *fields: str) -> dict[str, Any]:
    """Samples for a JSON file, by their number as text."""
    entries = {}
    for number, sample in samples.items():
        everything = {
            "bbox": dict(zip(("x_min", "y_min", "x_max", "y_max"), sample.corners, strict=True)),
            "keypoints_2d": {str(j): dict(zip("xy", point, strict=True)) for j, point in enumerate(sample.image)},
            "keypoints_3d": {str(j): dict(zip("xyz", point, strict=True)) for j, point in enumerate(sample.seen)},
        }
        entries[str(number)] = {"image_path": sample.path, **{field: everything[field] for field in fields}}
    return entries
