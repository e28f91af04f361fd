"""TotalCapture: eight cameras, joints in inches in text files, calibration in metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._files import write_text, write_video
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Floats, ring, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "total_capture_21"
SIZE = (1920, 1080)
_INCH = 25.4

#: Subject, recording, split, lines of joints, frames of video.
_RECORDINGS = (
    (1, "walking1", "train", 3, 3),
    (1, "acting3", "test", 3, 2),
    (2, "rom1", "train", 2, 3),
    (4, "walking2", "test", 2, 2),
    (5, "rom3", "other", 1, 1),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    cameras = _cameras()
    write_text(out / "calibration.cal", _calibration(cameras))
    truths: list[Truth] = []
    for number, (subject, name, split, lines, pictures) in enumerate(_RECORDINGS):
        scene = virtual_scene(frames=max(lines, pictures), seed=1000 + number)
        world = scene.joints(FORMAT)[:, 0]
        folder = out / "vicon" / f"S{subject}" / name
        order = np.random.default_rng(number).permutation(21) if subject == 4 else np.arange(21)
        write_text(folder / "gt_skel_gbl_pos.txt", _table(world[:lines] / _INCH, order))
        still = np.broadcast_to([0.0, 0, 0, 1], (lines, 21, 4))
        write_text(folder / "gt_skel_gbl_ori.txt", _table(still, order))
        for view, camera in enumerate(cameras, 1):
            video = f"video/s{subject}/{name}/TC_S{subject}_{name}_cam{view}.mp4"
            write_video(out / video, [coarse(camera, scene, frame, SIZE, 4) for frame in range(pictures)], 60)
            truths += [
                Truth(
                    FORMAT,
                    split,
                    video,
                    frame,
                    points=camera.to_camera(world[frame]),
                    world=world[frame],
                    projected=camera.project(world[frame]),
                )
                for frame in range(min(lines, pictures))
            ]
    return truths


def _cameras() -> list[Camera]:
    """Cameras whose translations are whole tenths of a millimetre."""
    made = []
    for number, camera in enumerate(ring(8, focal=1060, size=SIZE, radius=4000, height=1700)):
        matrix = np.asarray(camera.matrix) + np.array([[2 * number, 0, 7.25], [0, 2 * number + 1.5, -5.5], [0, 0, 0]])
        rotation, translation = np.asarray(camera.rotation).round(9), np.asarray(camera.translation).round(1)
        made.append(Camera(matrix, rotation, translation, (-0.0011 - 0.0001 * number,)))
    return made


def _calibration(cameras: list[Camera]) -> str:
    lines = [f"{len(cameras)} 1"]
    for camera in cameras:
        matrix, rows = np.asarray(camera.matrix), np.asarray(camera.rotation)
        lines.append(f"0 {SIZE[1] - 1} 0 {SIZE[0] - 1}")
        lines.append(_spaced(matrix[[0, 1, 0, 1], [0, 1, 2, 2]]))
        lines.append(_spaced(np.asarray(camera.distortion)[:1]))
        lines += [_spaced(row) for row in rows]
        lines.append(_spaced(np.asarray(camera.translation) / 1000))
    return "\n".join([*lines, ""])


def _spaced(values: Floats) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _table(values: Floats, order: NDArray[np.intp]) -> str:
    """A header of joint names and a line for each frame; lines end in a tab, and the text in an empty line."""
    names = [joint.native for joint in skeleton(FORMAT).joints]
    lines = ["".join(f"{names[joint]}\t" for joint in order)]
    lines += ["".join(" ".join(f"{x:.6f}" for x in row[joint]) + "\t" for joint in order) for row in values]
    return "\n".join([*lines, "", ""])
