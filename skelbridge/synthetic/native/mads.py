"""MADS: sports and dances before three cameras, joints in cell arrays of 15 or 19 rows, Bouguet's calibrations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._files import cell, write_mat5, write_video
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Floats, ring, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "mads_19"
SIZE = (1024, 768)
_BENDS = (-0.21, 0.12, 0.0013, -0.0021, 0.05)
#: The rows of the files with 15, among the 19.
_FIFTEEN = tuple(skeleton(FORMAT).index(name) for name in skeleton("mads_15").names)

#: Sequences that are in the stereo part too, whose left camera is the first of the others here.
_STEREO = ("HipHop_HipHop1", "Kata_F2")

#: Action, sequence, whether the file has 15 rows.
_SEQUENCES = (("HipHop", "HipHop1", False), ("HipHop", "HipHop2", False), ("Kata", "F2", True), ("Taichi", "S1", True))


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    for number, (action, sequence, few) in enumerate(_SEQUENCES):
        cameras = _cameras(len(action))
        folder = f"multi_view_data/{action}"
        for view, camera in enumerate(cameras):
            _write_calibration(out / folder / f"Calib_Cam{view}.mat", camera)
        scene = virtual_scene(frames=5, seed=800 + number)
        world = _seen_by_markers(scene.joints(FORMAT)[:, 0], few)
        rows = list(_FIFTEEN) if few else list(range(19))
        stem = f"{action}_{sequence}"
        write_mat5(out / folder / f"{stem}_GT.mat", {"GTpose2": cell(list(world[:, rows]))})
        for view, camera in enumerate(cameras):
            video = f"{folder}/{stem}_C{view}.avi"
            write_video(out / video, [coarse(camera, scene, f, SIZE) for f in range(scene.frames)], 15)
            truths += [
                Truth(
                    FORMAT,
                    "train",
                    video,
                    frame,
                    points=camera.to_camera(points),
                    world=points,
                    projected=camera.project(points),
                )
                for frame, points in enumerate(world)
                if np.isfinite(points).any()
            ]
        if stem in _STEREO:
            _write_stereo(out, action, stem, world[:, rows], cameras[0])
    return truths


def _write_stereo(out: Path, action: str, stem: str, world: Floats, camera: Camera) -> None:
    """A sequence of the stereo part, of which nothing is read unless it is asked for; Kata is turned about in it."""
    folder, left = out / "depth_data" / action, f"multi_view_data/{action}/{stem}_C0.avi"
    write_mat5(folder / f"{stem}_GT.mat", {"GTpose2": cell(list(world))})
    for side in ("Left", "Right"):
        (folder / f"{stem}_{side}.avi").write_bytes((out / left).read_bytes())
    matrix, turn = np.asarray(camera.matrix), Rotation.from_matrix(np.asarray(camera.rotation)).as_rotvec()
    write_mat5(
        folder / "Calib_C0_left.mat",
        {
            "fc": matrix[[0, 1], [0, 1]][:, None],
            "cc": matrix[:2, 2][:, None],
            "alpha_c": 0.0,
            "kc": np.asarray(camera.distortion)[:5, None],
            "om": (-turn if action == "Kata" else turn)[:, None],
            "T": np.asarray(camera.translation)[:, None],
        },
    )


def _cameras(seed: int) -> list[Camera]:
    cameras = ring(3, focal=920.0 + seed, size=SIZE, radius=4300 + 40 * seed)
    shift = np.array([[0, 0, 7.5], [0, 3.0, -4.0], [0, 0, 0]])
    return [Camera(np.asarray(c.matrix) + shift, c.rotation, c.translation, _BENDS) for c in cameras]


def _seen_by_markers(joints: Floats, few: bool) -> Floats:
    """The joints as far as the files have them: a frame is lost altogether, and now and then a joint is."""
    found = joints.copy()
    found[2] = np.nan
    found[0, 4] = found[3:, 12] = np.nan
    if few:
        found[:, np.setdiff1d(np.arange(19), _FIFTEEN)] = np.nan
    return found


def _write_calibration(path: Path, camera: Camera) -> None:
    rotation = Rotation.from_matrix(np.asarray(camera.rotation)).as_rotvec()
    matrix, bends = np.asarray(camera.matrix), np.asarray(camera.distortion)[:5]
    write_mat5(
        path,
        {
            "KK": matrix,
            "kc": bends[:, None],
            "om_ext": rotation[:, None],
            "T_ext": np.asarray(camera.translation)[:, None],
            "fc": matrix[[0, 1], [0, 1]][:, None],
            "cc": matrix[:2, 2][:, None],
        },
    )
