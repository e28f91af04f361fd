"""AIST++: dancers before nine cameras, triangulated COCO joints in pickles, videos of 60 frames a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_json, write_pickle, write_text, write_video
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.native._smpl import act
from skelbridge.synthetic.scene import Floats, ring, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE, SMALL = (1920, 1080), (640, 480)
FRAMES = 3

#: Name, split (none: to be ignored), environment.
_SEQUENCES = (
    ("gBR_sBM_cAll_d04_mBR0_ch01", "train", "setting1"),
    ("gBR_sFM_cAll_d05_mBR5_ch14", "validation", "setting1"),
    ("gJB_sBM_cAll_d07_mJB3_ch05", "test", "setting2"),
    ("gLO_sBM_cAll_d15_mLO1_ch02", "", "setting2"),
)
#: Views that the annotations do not fit: not in time, and a picture of another size.
_BAD = {("gBR_sBM_cAll_d04_mBR0_ch01", 4), ("gJB_sBM_cAll_d07_mJB3_ch05", 6)}


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    notes = out / "annotations"
    environments = {name: _cameras(number) for number, name in enumerate(("setting1", "setting2"))}
    for name, cameras in environments.items():
        write_json(notes / "cameras" / f"{name}.json", [_json(number, one) for number, one in enumerate(cameras)])
    write_text(notes / "cameras" / "mapping.txt", "".join(f"{name} {place}\n" for name, _, place in _SEQUENCES))
    write_text(notes / "ignore_list.txt", "".join(f"{name}\n" for name, split, _ in _SEQUENCES if not split))
    for split, short in (("train", "train"), ("validation", "val"), ("test", "test")):
        names = "".join(f"{name}\n" for name, of, _ in _SEQUENCES if of == split)
        write_text(notes / "splits" / f"pose_{short}.txt", names)
        write_text(notes / "splits" / f"crossmodal_{short}.txt", _SEQUENCES[0][0] + "\n")
    return [
        truth
        for number, (name, split, place) in enumerate(_SEQUENCES)
        for truth in _sequence(out, number, name, split, environments[place])
    ]


def _sequence(out: Path, number: int, name: str, split: str, cameras: list[Camera]) -> list[Truth]:
    scene = virtual_scene(frames=FRAMES, seed=60 + number)
    world = scene.joints("coco_17")[:, 0]
    world[2, 9] = np.nan  # a wrist that no two cameras found
    rough = world + np.random.default_rng(number).normal(0, 30, world.shape)
    notes = out / "annotations"
    write_pickle(notes / "keypoints3d" / f"{name}.pkl", {"keypoints3d": rough / 10, "keypoints3d_optim": world / 10})
    flat = np.stack([camera.project(world) for camera in cameras])
    scores = np.where(np.isnan(flat[..., :1]), 0, 0.9)
    detections = {
        "keypoints2d": np.concatenate([np.nan_to_num(flat), scores], axis=-1),
        "det_scores": np.full((9, FRAMES), 0.99),
        "timestamps": (np.arange(FRAMES) * 1e6 / 60).astype(np.int64),
    }
    write_pickle(notes / "keypoints2d" / f"{name}.pkl", detections)
    dancer = act("smpl", "male", scene)
    motion = {
        "smpl_poses": dancer.pose.reshape(FRAMES, 72),
        "smpl_trans": 93.8 * dancer.translation,
        "smpl_scaling": np.array([93.8]),
        "smpl_loss": 0.01,
    }
    write_pickle(notes / "motions" / f"{name}.pkl", motion)
    truths: list[Truth] = []
    for view, camera in enumerate(cameras if split else []):
        video = out / "videos" / f"{name.replace('cAll', f'c{view + 1:02d}')}.mp4"
        size = SMALL if name.startswith("gJB") and view == 6 else SIZE
        write_video(video, (coarse(camera, scene, frame, SIZE, 8)[: size[1], : size[0]] for frame in range(FRAMES)), 60)
        path = video.relative_to(out).as_posix()
        if (name, view) not in _BAD:
            truths += [_truth(split, path, frame, camera, world[frame]) for frame in range(FRAMES)]
    return truths


def _truth(split: str, image: str, frame: int, camera: Camera, world: Floats) -> Truth:
    return Truth("coco_17", split, image, frame, points=camera.to_camera(world), world=world)


def _cameras(number: int) -> list[Camera]:
    bends = (-0.08 - 0.02 * number, 0.06, 0.0006, -0.0008, -0.01)
    return ring(9, focal=1480.0 + 20 * number, size=SIZE, distortion=bends, radius=5000)


def _json(number: int, camera: Camera) -> dict[str, Any]:
    from scipy.spatial.transform import Rotation

    return {
        "name": f"c{number + 1:02d}",
        "size": list(SIZE),
        "matrix": camera.matrix,
        "rotation": Rotation.from_matrix(camera.rotation).as_rotvec(),
        "translation": np.asarray(camera.translation) / 10,
        "distortions": np.asarray(camera.distortion)[:5],
    }
