"""Berkeley MHAD: markers in C3D and in text, clusters of Bayer cameras and two Kinects, OpenCV calibrations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._c3d import write_c3d
from skelbridge.synthetic.native._files import write_image, write_text
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Floats, Image, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (640, 480)
#: How many cameras each cluster and Kinect has.
RIGS = {"l01": 4, "l02": 4, "l03": 2, "l04": 2, "k01": 1, "k02": 1}

#: Subject, action, repetition; cameras with pictures; the mocap frame of each picture, for the cameras and the Kinects.
_RECORDINGS = (
    ((1, 1, 1), ("l01 1", "l01 3", "l02 4", "l03 1", "l04 2", "k01 1"), (1, 6), (2, 5)),
    ((5, 2, 5), ("l01 2", "k02 1"), (0, 3), (7,)),
)
MOCAP_FRAMES = 8


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    rigs = {name: _rig(number, count) for number, (name, count) in enumerate(RIGS.items())}
    for name, cameras in rigs.items():
        _calibration(out / "Calibration", name, cameras)
    return [truth for number in range(len(_RECORDINGS)) for truth in _recording(out, number, rigs)]


def _recording(out: Path, number: int, rigs: dict[str, list[Camera]]) -> list[Truth]:
    (s, a, r), views, of_cameras, of_kinects = _RECORDINGS[number]
    name = f"s{s:02}_a{a:02}_r{r:02}"
    scene = virtual_scene(frames=MOCAP_FRAMES, seed=1000 + number)
    markers = scene.joints("berkeley_mhad_43")[:, 0].round(3)
    markers[5, 3] = markers[6, [3, 40]] = markers[0, 12] = np.nan
    _mocap(out / "Mocap" / "OpticalData" / f"moc_{name}", markers, in_both=number == 0)
    _rows(out / "Camera" / "Correspondences" / f"corr_moc_img_{name}.txt", of_cameras)
    for kinect in (1, 2):
        _rows(out / "Kinect" / "Correspondences" / f"corr_moc_kin{kinect:02}_{name}.txt", of_kinects)
    truths = []
    for view in views:
        rig, place = view[:3], int(view[4:])
        camera, folder = rigs[rig][place - 1], f"S{s:02}/A{a:02}/R{r:02}"
        for picture, frame in enumerate(of_kinects if rig[0] == "k" else of_cameras):
            colours = coarse(camera, scene, frame, SIZE, 1)
            if rig[0] == "k":
                image = f"Kinect/Kin{rig[1:]}/{folder}/kin_{rig}_{name}_color_{picture:05}.ppm"
                write_image(out / image, colours)
            else:
                image = f"Camera/Cluster{rig[1:]}/Cam{place:02}/{folder}/img_{rig}_c{place:02}_{name}_{picture:05}.pgm"
                write_image(out / image, _bayer(colours))
            points = camera.to_camera(markers[frame])
            truths.append(Truth("berkeley_mhad_43", "train", image, points=points, world=markers[frame]))
    return truths


def _mocap(path: Path, markers: Floats, in_both: bool) -> None:
    """The markers as text, with y up and zeros where missing, and as C3D, with z up."""
    if in_both:
        in_c3d = markers[..., [0, 2, 1]] * [-1, 1, 1]
        write_c3d(path.with_suffix(".c3d"), in_c3d, list(skeleton("berkeley_mhad_43").names), 480)
    lines = [
        " ".join([*(f"{value:.3f}" for value in row.ravel()), str(frame), f"{frame / 480:.6f}"])
        for frame, row in enumerate(np.nan_to_num(markers))
    ]
    write_text(path.with_suffix(".txt"), "\n".join([*lines, ""]))


def _rows(path: Path, frames: Sequence[int]) -> None:
    write_text(path, "".join(f"{picture} {frame / 480:.6f} {frame}\n" for picture, frame in enumerate(frames)))


def _bayer(colours: Image) -> Image:
    """The raw picture of a GRBG sensor: green and red in the first row, blue and green in the second."""
    raw = colours[..., 1].copy()
    raw[0::2, 1::2], raw[1::2, 0::2] = colours[0::2, 1::2, 0], colours[1::2, 0::2, 2]
    return raw


def _rig(number: int, count: int) -> list[Camera]:
    """The cameras of a cluster or a Kinect, beside each other."""
    cameras = []
    for camera in range(count):
        angle = number * np.pi / 3 + 0.08 * camera
        at = (3600 * np.sin(angle), 1300 + 60 * camera, 3600 * np.cos(angle))
        seen = look_at(at, (0, 950, 0), focal=530.0 + camera, size=SIZE)
        bends = (-0.11 - 0.01 * camera, 0.09, 0.0008, -0.0005)
        cameras.append(Camera(seen.matrix, seen.rotation, seen.translation, bends))
    return cameras


def _calibration(folder: Path, name: str, cameras: list[Camera]) -> None:
    """The cluster's place in the world is its first camera's; each camera has its place in the cluster."""
    from scipy.spatial.transform import Rotation

    first = cameras[0]
    turn, shift = np.asarray(first.rotation), np.asarray(first.translation)
    write_text(folder / f"RwTw_{name}.txt", f"Rw= {_words(turn)}\nTw= {_words(shift)}\n")
    lines = ["%YAML:1.0", f"Number of cameras: {len(cameras)}"]
    for number, camera in enumerate(cameras, start=1):
        turned = np.asarray(camera.rotation) @ turn.T if number > 1 else np.eye(3)
        moved = camera.translation - turned @ shift if number > 1 else np.zeros(3)
        lines.append(f"Camera_{number}:")
        lines += _matrix("K", np.asarray(camera.matrix)) + _matrix("Dist", np.asarray(camera.distortion)[:4, None])
        lines += _matrix("PosRel", np.concatenate([moved, Rotation.from_matrix(turned).as_rotvec()])[None])
    write_text(folder / f"camcfg_{name}.yml", "\n".join([*lines, ""]))


def _matrix(name: str, values: Floats) -> list[str]:
    rows, columns = values.shape
    numbers = ", ".join(f"{value:.12g}" for value in values.ravel())
    head = [f"   {name}: !!opencv-matrix", f"      rows: {rows}", f"      cols: {columns}", "      dt: d"]
    return [*head, f"      data: [ {numbers} ]"]


def _words(values: Floats) -> str:
    return " ".join(f"{value:.12g}" for value in values.ravel())
