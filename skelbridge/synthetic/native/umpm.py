"""UMPM: one to four people before four cameras, joints of at most two in C3D, videos packed by xz, broken JSON."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._c3d import write_c3d
from skelbridge.synthetic.native._files import new, write_text, write_video
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Z_UP, Scene, look_at, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (644, 486)
VIEWS = "fsrl"


@dataclass(frozen=True)
class _Sequence:
    """People seen and people with joints, video frames, joint rows, the calibration, whether the JSON is broken."""

    name: str
    seen: int
    known: int
    frames: int
    rows: int
    calibration: str
    broken: bool = False
    left_out: bool = False


_SEQUENCES = (
    _Sequence("p1_grab_3", 1, 1, 4, 8, "calib_l06"),
    _Sequence("p3_ball_12", 3, 2, 3, 5, "calib_n28"),
    _Sequence("p2_free_1", 2, 2, 2, 4, "calib_n27", broken=True),
    _Sequence("p3_circle_2", 3, 2, 2, 4, "calib_l06", broken=True),
    _Sequence("p2_free_2", 2, 2, 2, 4, "calib_n28", broken=True, left_out=True),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    calibrations = {name: _cameras(seed) for seed, name in enumerate(("calib_l06", "calib_n27", "calib_n28"))}
    for name, cameras in calibrations.items():
        for view, camera in zip(VIEWS, cameras, strict=True):
            write_text(out / "Calib" / f"{name}_{view}.ini", _ini(camera))
    truths: list[Truth] = []
    for seed, sequence in enumerate(_SEQUENCES):
        truths += _sequence(out, sequence, calibrations[sequence.calibration], seed)
    return truths


def _sequence(out: Path, sequence: _Sequence, cameras: list[Camera], seed: int) -> list[Truth]:
    scene, _ = to_axes(Z_UP, virtual_scene(sequence.seen, sequence.rows, seed=20 + seed), [])
    joints = scene.joints("umpm_15")[:, : sequence.known].copy()
    joints[2, 0, [5, 13]] = np.nan
    write_text(out / f"{sequence.name}.json", _description(sequence))
    _write_truth_files(out / "Groundtruth", sequence.name, joints, scene)
    truths = []
    for view, camera in zip(VIEWS, cameras, strict=True):
        video = out / "Video" / f"{sequence.name}_{view}.avi.xz"
        _write_packed(video, camera, scene, sequence.frames)
        for frame in range(0 if sequence.left_out else sequence.frames):
            for world in joints[2 * frame]:
                image = video.relative_to(out).as_posix()
                truths.append(Truth("umpm_15", "train", image, frame, points=camera.to_camera(world), world=world))
    return truths


def _write_truth_files(folder: Path, name: str, joints: np.ndarray, scene: Scene) -> None:
    """The virtual joint markers, the joints of inverse kinematics, and the surface markers."""
    rows, people = joints.shape[:2]
    who = [f"{initial}:" for initial in "AB"[:people]] if people > 1 else [""]
    native = [joint.native.upper() for joint in skeleton("umpm_15").joints]
    labels = [who[person] + label for person in range(people) for label in native]
    flat = joints.reshape(rows, -1, 3)
    write_c3d(folder / f"{name}_vm.c3d", flat, labels, 100)
    write_c3d(folder / f"{name}_ik.c3d", np.nan_to_num(flat) + 15, labels, 100)
    markers = scene.landmarks[:, :people, :5].reshape(rows, -1, 3)
    raw = [one + label for one in who for label in ("LFHD", "LKNSSBK", "rshofr", "LANKOUT", "C7")]
    stray = np.full((rows, 1, 3), 100.0)
    write_c3d(folder / f"{name}.c3d", np.concatenate([markers, stray], axis=1), [*raw, "*21"], 100)


def _write_packed(path: Path, camera: Camera, scene: Scene, frames: int) -> None:
    """An uncompressed video, every second row of the joints a frame, packed by xz."""
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "video.avi"
        last = scene.frames - 1
        pictures = (coarse(camera, scene, min(2 * frame, last), SIZE) for frame in range(frames))
        write_video(plain, pictures, 50, "raw")
        new(path).write_bytes(lzma.compress(plain.read_bytes(), preset=1))


def _description(sequence: _Sequence) -> str:
    """What the sequence's JSON says: with a comma too many, and in some without an end."""
    number = sequence.calibration[-2:]
    values = {
        "id": sequence.name,
        "calib": sequence.calibration,
        "bg": f"backgr_{sequence.calibration[-3:]}_{int(number) % 9}",
        "video_dir": "Video",
        "gt_dir": "Groundtruth",
        "bg_dir": "Background",
        "calib_dir": "Calib",
    }
    lines = [f'    "{name}": "{value}",\n' for name, value in values.items()]
    if sequence.broken:
        return "{\n" + lines[0] + '    "calib": \n    "bg": "backgr_'
    return "{\n" + "".join(lines) + "}\n"


def _ini(camera: Camera) -> str:
    turn = Rotation.from_matrix(np.asarray(camera.rotation)).as_rotvec()
    rows = [*np.asarray(camera.matrix), np.asarray(camera.distortion)[:4], turn, np.asarray(camera.translation)]
    return "".join(" ".join(f"{value:.10f}" for value in row) + " \n" for row in rows)


def _cameras(seed: int) -> list[Camera]:
    """Four cameras around the scene, in a world with z up; k1, k2, p1, p2."""
    rng = np.random.default_rng(seed)
    cameras = []
    for view in range(4):
        angle = view * np.pi / 2 + rng.uniform(-0.3, 0.3)
        at = (5200 * np.sin(angle), 1900, 5200 * np.cos(angle))
        seen = look_at(at, (0, 900, 0), focal=1, size=SIZE)
        matrix = np.array([[710 + view, 0, 320], [0, 712 + view, 244], [0, 0, 1.0]])
        cameras.append(Camera(matrix, seen.rotation, seen.translation, (-0.21, 0.11, 0.0004, -0.0007)))
    return to_axes(Z_UP, virtual_scene(1, 1), cameras)[1]
