"""CMU Panoptic: people among many cameras, poses in centimetres in a world with y down, as files or in a tar."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import new, write_text, write_video
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Y_DOWN, Floats, look_at, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (1920, 1080)
POSES = "hdPose3d_stage1_coco19"


@dataclass(frozen=True)
class _Sequence:
    """HD cameras in the calibration, those with a video, the first annotated frame, whether poses lie in a tar.

    broken: cameras whose video ends before its index, as some do on the server.
    """

    name: str
    cameras: tuple[int, ...]
    videos: tuple[int, ...]
    start: int
    packed: bool
    broken: tuple[int, ...] = ()


_SEQUENCES = (
    _Sequence("160906_band1", (0, 3, 12), (0, 3, 12), 3, False),
    _Sequence("171204_pose3", (0, 20), (0,), 4, True),
    _Sequence("160906_band3", (0, 3), (0,), 2, True, broken=(3,)),
)
_FRAMES = 5


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    for number, sequence in enumerate(_SEQUENCES):
        truths += _sequence(out, sequence, seed=160 + number)
    _older_release(out / "160224_ultimatum1")
    return truths


def _sequence(out: Path, sequence: _Sequence, seed: int) -> list[Truth]:
    scene, cameras = to_axes(Y_DOWN, virtual_scene(2, _FRAMES, seed=seed), _cameras(len(sequence.cameras), seed))
    folder = out / sequence.name
    _write_calibration(folder / f"calibration_{sequence.name}.json", sequence, cameras)
    poses, files = _annotation(scene.joints("panoptic_19"), sequence.start)
    if sequence.packed:
        _write_tar(folder / f"{POSES}.tar", {f"{POSES}/hd/{name}": text for name, text in files.items()})
    else:
        for name, text in files.items():
            write_text(folder / POSES / name, text)
    truths = []
    for node in sequence.broken:
        new(folder / "hdVideos" / f"hd_00_{node:02d}.mp4").write_bytes(b"\0\0\4\0mdat" + bytes(500))
    for node, camera in zip(sequence.cameras, cameras, strict=True):
        if node not in sequence.videos:
            continue
        video = folder / "hdVideos" / f"hd_00_{node:02d}.mp4"
        shown = [0] * sequence.start + [*range(_FRAMES), _FRAMES - 1]
        drawn = {frame: coarse(camera, scene, frame, SIZE, 4) for frame in range(_FRAMES)}
        write_video(video, (drawn[frame] for frame in shown), 29.97)
        for frame, world in poses:
            image = video.relative_to(out).as_posix()
            truths.append(Truth("panoptic_19", "train", image, frame, points=camera.to_camera(world), world=world))
    return truths


def _annotation(joints: Floats, start: int) -> tuple[list[tuple[int, Floats]], dict[str, str]]:
    """The valid poses (frame, joints in mm), and the files that say them, with all that goes wrong in them."""
    rng = np.random.default_rng(start)
    confidence = rng.uniform(0.14, 0.71, joints.shape[:3]).round(6)
    confidence[1, 0, [5, 8]] = -1  # not reconstructed
    confidence[2, 1, 9:] = -1
    confidence[4, 1, 4:] = -1  # few joints, but some
    confidence[3, 0, 3] = 0.05  # too unsure
    poses, files = [], {}
    for frame in range(len(joints)):
        bodies = []
        for person in range(2 if frame else 0):  # nobody in the first frame
            number = 7 if person and frame > 2 else person  # found anew, under another number
            sure = confidence[frame, person]
            given = np.where(sure[:, None] > 0, joints[frame, person] / 10, 0)
            bodies.append((number, np.column_stack([given, sure])))
            poses.append((start + frame, np.where(sure[:, None] > 0.1, joints[frame, person], np.nan)))
        if frame == 3:
            bodies.append((9, np.tile([0.0, 0, 0, -1], (19, 1))))  # a body without a joint
        files[f"body3DScene_{start + frame:08d}.json"] = _body_file(start + frame, bodies)
    late = f"body3DScene_{start + len(joints):08d}.json"
    files[late] = files[f"body3DScene_{start + 1:08d}.json"][:400]  # cut off: not readable
    return poses, files


def _body_file(frame: int, bodies: list[tuple[int, Floats]]) -> str:
    """A file of one frame, laid out as the originals."""
    said = []
    for number, joints in bodies:
        numbers = ", ".join(f"{value:.6g}" for value in joints.ravel())
        said.append(f'{{ "id": {number},\n"joints19": [{numbers}]\n}}')
    head = f'{{ "version": 0.7, \n"univTime" :{33.36667 * frame:.3f},\n"fpsType" :"hd_29_97",\n"bodies" :\n[\n'
    return head + ",\n".join(said) + "\n] }"


def _cameras(count: int, seed: int) -> list[Camera]:
    """HD cameras around the people, some high and some low; centimetres and few digits come in the files."""
    rng = np.random.default_rng(seed)
    cameras = []
    for number in range(count):
        angle = 2 * np.pi * number / count + rng.uniform(0.2, 0.6)
        at = (4600 * np.sin(angle), 1000 + 600 * number, 4600 * np.cos(angle))
        seen = look_at(at, (0, 950, 0), focal=1, size=SIZE)
        focal, middle = 1396 + rng.uniform(-5, 5, 2), np.array([950, 558]) + rng.uniform(-8, 8, 2)
        matrix = np.array([[focal[0], 0, middle[0]], [0, focal[1], middle[1]], [0, 0, 1]]).round(3)
        bends = (-0.28, 0.18, -4.3e-05, 0.000645, -0.048)
        cameras.append(Camera(matrix, seen.rotation, seen.translation, bends))
    return cameras


def _write_calibration(path: Path, sequence: _Sequence, cameras: list[Camera]) -> None:
    """The HD cameras between those of the other panels."""
    other = _cameras(2, 9)
    entries = [_calibration("01_01", "vga", (640, 480), other[0])]
    entries += [_calibration(f"00_{n:02d}", "hd", SIZE, c) for n, c in zip(sequence.cameras, cameras, strict=True)]
    entries.append(_calibration("50_01", "kinect-color", SIZE, other[1]))
    said = ",\n".join(entries)
    write_text(path, f'{{\n\t"calibDataSource": "{sequence.name[:6]}_calib_norm",\n\t"cameras": [\n{said}\n\t]\n}}')


def _calibration(name: str, kind: str, size: tuple[int, int], camera: Camera) -> str:
    def rows(values: Any, form: str) -> str:
        lines = ["\t\t\t\t[" + ",".join(format(value, form) for value in row) + "]" for row in values]
        return "[\n" + ",\n".join(lines) + "\n\t\t\t]"

    bends = ",".join(f"{value:.6g}" for value in np.asarray(camera.distortion)[:5])
    return (
        f'\t\t{{\n\t\t\t"name": "{name}",\n\t\t\t"type": "{kind}",\n\t\t\t"resolution": [{size[0]},{size[1]}],\n'
        f'\t\t\t"panel": {int(name[:2])},\n\t\t\t"node": {int(name[3:])},\n\t\t\t"K": {rows(camera.matrix, ".6g")},\n'
        f'\t\t\t"distCoef": [{bends}],\n\t\t\t"R": {rows(camera.rotation, ".10g")},\n'
        f'\t\t\t"t": {rows(np.asarray(camera.translation)[:, None] / 10, ".10g")}\n\t\t}}'
    )


def _write_tar(path: Path, files: dict[str, str]) -> None:
    with tarfile.open(new(path), "w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))


def _older_release(folder: Path) -> None:
    """A sequence that has only the older poses of 15 joints: nothing is read from it."""
    scene, cameras = to_axes(Y_DOWN, virtual_scene(1, 2, seed=15), _cameras(1, 15))
    _write_calibration(
        folder / f"calibration_{folder.name}.json", _Sequence(folder.name, (0,), (0,), 0, False), cameras
    )
    for frame in range(2):
        joints = np.column_stack([scene.joints("panoptic_19")[frame, 0, :15] / 10, np.full(15, 0.4)])
        text = _body_file(frame, [(0, joints)]).replace("joints19", "joints15")
        write_text(folder / "hdPose3d_stage1" / f"body3DScene_{frame:08d}.json", text)
    pictures = (coarse(cameras[0], scene, frame, SIZE, 4) for frame in range(2))
    write_video(folder / "hdVideos" / "hd_00_00.mp4", pictures, 29.97)
