"""ASPset-510: outdoor clips of one person from three 4K cameras, joints in C3D, the left camera's axes as world."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._c3d import write_c3d
from skelbridge.synthetic.native._files import write_json, write_text, write_video
from skelbridge.synthetic.native._pictures import coarse, extent
from skelbridge.synthetic.scene import Scene, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (3840, 2160)
VIEWS = ("left", "mid", "right")

#: Subject, clip, split, camera as splits.csv has it; then the numbers of joint rows, video frames and boxes.
_CLIPS = (
    ("04ac", "0001", "train", "all", 3, 3, 3),
    ("04ac", "0002", "train", "all", 4, 3, 2),
    ("1e28", "0003", "val", "all", 3, 2, 3),
    ("8a59", "0001", "test", "mid", 2, 3, 3),
)
#: Listed as well, but its joints are in an archive of their own, which is not here.
_WITHOUT_JOINTS = ("8a59", "0002", "test", "left")


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    listed = [*(clip[:4] for clip in _CLIPS), _WITHOUT_JOINTS]
    write_text(out / "splits.csv", "".join(",".join(row) + "\n" for row in listed))
    truths: list[Truth] = []
    for number, clip in enumerate(_CLIPS):
        truths += _clip(out, number, *clip)
    return truths


def _clip(
    out: Path, number: int, subject: str, clip: str, split: str, camera: str, joints: int, pictures: int, boxes: int
) -> list[Truth]:
    folder = out / ("test" if split == "test" else "trainval")
    name = f"{subject}-{clip}"
    scene, cameras = _in_left_camera(virtual_scene(frames=6, seed=510 + number), _cameras(int(subject, 16) % 7))
    world = scene.joints("aspset_17")
    labels = list(skeleton("aspset_17").names)
    write_c3d(
        folder / "joints_3d" / subject / f"{name}.c3d",
        world[:joints, 0],
        labels,
        50,
        more={"POINT": {"SKEL": "aspset_17j"}},
    )
    truths = []
    for view, one in zip(VIEWS, cameras, strict=True):
        write_json(
            folder / "cameras" / subject / f"{subject}-{view}.json",
            {
                "intrinsic_matrix": np.column_stack([one.matrix, np.zeros(3)]).ravel(),
                "extrinsic_matrix": np.vstack([np.column_stack([one.rotation, one.translation]), [0, 0, 0, 1]]).ravel(),
            },
        )
        video = folder / "videos" / subject / f"{name}-{view}.mkv"
        write_video(video, (coarse(one, scene, frame, SIZE, 8) for frame in range(pictures)), 50, "mjpeg")
        found = np.array([extent(one.project(world[frame, 0]), 0.08) for frame in range(boxes)]).round(2)
        rows = [f"{x:.2f},{y:.2f},{x + w:.2f},{y + h:.2f}" for x, y, w, h in found]
        write_text(folder / "boxes" / subject / f"{name}-{view}.csv", "\n".join(["x1,y1,x2,y2", *rows, ""]))
        if camera not in ("all", view):
            continue
        for frame in range(min(joints, pictures, boxes)):
            truths.append(
                Truth(
                    "aspset_17",
                    split,
                    video.relative_to(out).as_posix(),
                    frame,
                    points=one.to_camera(world[frame, 0]),
                    world=world[frame, 0],
                    box=tuple(found[frame]),
                )
            )
    return truths


def _cameras(turn: int) -> list[Camera]:
    """Three cameras beside each other; the right one has the numbers of a real one."""
    matrix = np.array([[3908.2, 0, 1907.1], [0, 3904.4, 1082.7], [0, 0, 1]])
    cameras = []
    for angle, shift in ((-0.6, -6.0), (0.0, 4.0), (0.6, 0.0)):
        at = (6500 * np.sin(angle + turn), 1400, 6500 * np.cos(angle + turn))
        seen = look_at(at, (0, 900, 0), focal=1, size=SIZE)
        cameras.append(Camera(matrix + np.diag([shift, shift, 0]), seen.rotation, seen.translation))
    return cameras


def _in_left_camera(scene: Scene, cameras: list[Camera]) -> tuple[Scene, list[Camera]]:
    """The scene and the cameras in the axes of the first camera."""
    left = cameras[0]
    turned = [np.asarray(c.rotation) @ np.asarray(left.rotation).T for c in cameras]
    shifted = [c.translation - turn @ left.translation for c, turn in zip(cameras, turned, strict=True)]
    moved = [Camera(c.matrix, turn, shift) for c, turn, shift in zip(cameras, turned, shifted, strict=True)]
    return Scene(left.to_camera(scene.landmarks), scene.fps), moved
