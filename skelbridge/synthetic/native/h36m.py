"""Human3.6M: one person seen by four cameras, joints in CDF files, boxes as masks in MATLAB v7.3 files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import cell, write_cdf, write_mat73, write_text, write_video
from skelbridge.synthetic.native._pictures import coarse, extent
from skelbridge.synthetic.scene import Z_UP, Floats, Scene, look_at, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

#: Name, height of the picture, and fx, fy, cx, cy, k1, k2, k3, p1, p2 as metadata.xml has them.
CAMERAS = (
    ("54138969", 1002, (1145.05, 1143.78, 512.54, 515.45, -0.20710, 0.24778, -0.00308, -0.00098, -0.00142)),
    ("55011271", 1000, (1149.68, 1147.59, 508.85, 508.06, -0.19422, 0.24041, 0.00682, -0.00274, -0.00162)),
    ("58860488", 1000, (1149.14, 1148.80, 519.82, 501.40, -0.20834, 0.25549, -0.00246, 0.00148, -0.00076)),
    ("60457274", 1002, (1145.51, 1144.77, 514.97, 501.88, -0.19838, 0.21832, -0.00895, -0.00059, -0.00181)),
)

#: Subjects' recordings with their numbers of the action and subaction.
_RECORDINGS = {
    1: {"_ALL": (1, 1), "_ALL 1": (1, 2), "Directions": (2, 2), "TakingPhoto 1": (11, 1), "WalkingDog": (15, 2)},
    5: {"_ALL": (1, 1), "Photo": (11, 2)},
    9: {"_ALL": (1, 1), "Greeting": (5, 2), "Greeting 1": (5, 1), "SittingDown 1": (10, 2), "Waiting 1": (13, 2)},
    11: {"_ALL": (1, 1), "Directions": (2, 2)},
}
_ACTIONS = ("_ALL", "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting",
            "SittingDown", "Smoking", "TakingPhoto", "Waiting", "Walking", "WalkingDog", "WalkTogether")  # fmt: skip

#: S9's recordings whose joints lie 200 mm too far along the world's x.
_SHIFTED = ("Greeting", "SittingDown 1", "Waiting 1")

_TWINS = {11: 0, 16: 13, 24: 13, 20: 19, 23: 22, 28: 27, 31: 30}
_DISTINCT = [*range(1, 11), *range(12, 16), *range(17, 20), 21, 22, *range(25, 28), 29, 30, 0]


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    write_text(out / "Release-v1.2" / "metadata.xml", _metadata())
    truths: list[Truth] = []
    for subject, recordings in _RECORDINGS.items():
        for number, activity in enumerate(recordings):
            truths += _recording(out, subject, activity, 100 * subject + number, 4 if number < 3 else 2)
    return truths


@dataclass(frozen=True)
class View:
    """A camera as the release describes it, for a subject: angles, centre, intrinsics."""

    name: str
    height: int
    intrinsics: tuple[float, ...]
    angles: Floats
    centre: Floats

    @cached_property
    def rotation(self) -> Floats:
        """Rx(a) Ry(b) Rz(c), from the world into the camera."""
        matrices = [Rotation.from_euler(axis, a).as_matrix() for axis, a in zip("xyz", self.angles, strict=True)]
        return matrices[0] @ matrices[1] @ matrices[2]

    def to_camera(self, world: Floats) -> Floats:
        return (world - self.centre) @ self.rotation.T

    def project(self, seen: Floats) -> Floats:
        """Points in the camera's axes in the picture, as the code of the release has it."""
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = self.intrinsics
        x, y = seen[..., 0] / seen[..., 2], seen[..., 1] / seen[..., 2]
        square = x**2 + y**2
        grown = 1 + k1 * square + k2 * square**2 + k3 * square**3 + p1 * y + p2 * x
        return np.stack([fx * (x * grown + p2 * square) + cx, fy * (y * grown + p1 * square) + cy], axis=-1)

    @property
    def camera(self) -> Camera:
        """For drawing."""
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = self.intrinsics
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        return Camera(matrix, self.rotation, -self.rotation @ self.centre, (k1, k2, p1, p2, k3), "h36m")


def views(subject: int) -> list[View]:
    """The four cameras, which stand a little elsewhere for each subject."""
    made = []
    for number, (name, height, intrinsics) in enumerate(CAMERAS):
        angle = 0.6 + number * np.pi / 2 + 0.03 * subject
        place = np.array([(4400 + 90 * subject) * np.sin(angle), 4600 * np.cos(angle), 1500 + 20 * number])
        aimed = look_at(place, (0, 0, 950), focal=1.0, size=(1, 1), up=(0, 0, 1))
        rotation = Rotation.from_matrix(np.asarray(aimed.rotation))
        angles = rotation.as_euler("XYZ")
        made.append(View(name, height, intrinsics, np.round(angles, 12), np.round(place, 8)))
    return made


def _metadata() -> str:
    """The subjects' recordings and the cameras: a list of 300 numbers, of all eleven subjects' extrinsics first."""
    everyone = [views(subject) for subject in range(1, 12)]
    numbers = [value for camera in range(4) for of in everyone for value in (*of[camera].angles, *of[camera].centre)]
    numbers += [value for _, _, intrinsics in CAMERAS for value in intrinsics]
    rows = sorted({number for recordings in _RECORDINGS.values() for number in recordings.values()})
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<metadata>", "  <mapping>"]
    lines.append("    <tr><td/><td/>" + "".join(f"<td>S{subject}</td>" for subject in range(1, 12)) + "</tr>")
    for action, part in rows:
        names = [
            {number: name for name, number in _RECORDINGS.get(subject, {}).items()}.get((action, part), "")
            for subject in range(1, 12)
        ]
        lines.append(
            f"    <tr><td>{action}</td><td>{part}</td>" + "".join(f"<td>{name}</td>" for name in names) + "</tr>"
        )
    lines += ["  </mapping>", "  <actionnames>", *(f"    <name>{name}</name>" for name in _ACTIONS), "  </actionnames>"]
    lines += ["  <dbcameras>", "    <index2id>"]
    lines += [f"      <id>{name}</id>" for name, _, _ in CAMERAS]
    lines += ["    </index2id>", "  </dbcameras>", "  <skel_angles/>", "  <skel_pos/>"]
    lines += ["  <w0>[" + " ".join(f"{value:.12g}" for value in numbers) + "]</w0>", "</metadata>", ""]
    return "\n".join(lines)


def _recording(out: Path, subject: int, activity: str, seed: int, frames: int) -> list[Truth]:
    scene, _ = to_axes(Z_UP, virtual_scene(frames=frames, seed=seed), [])
    world = scene.joints("h36m_32")[:, 0]
    for twin, joint in _TWINS.items():
        world[:, twin] = world[:, joint]
    shifted = subject == 9 and activity in _SHIFTED
    written = world + np.array([200.0, 0, 0]) if shifted else world
    folder = out / f"S{subject}" / "MyPoseFeatures"
    _cdf(folder / "D3_Positions" / f"{activity}.cdf", written)
    truths = []
    for view in views(subject):
        stem, seen = f"{activity}.{view.name}", view.to_camera(written)
        image = view.project(seen)
        _cdf(folder / "D3_Positions_mono" / f"{stem}.cdf", seen)
        _cdf(folder / "D2_Positions" / f"{stem}.cdf", image)
        video = f"S{subject}/Videos/{stem}.mp4"
        write_video(out / video, _pictures(view, scene), 50)
        if activity.startswith("_ALL"):
            continue
        boxes = [_whole(extent(points, 0.05), view.height) for points in image]
        masks = [_filled(box, view.height) for box in boxes]
        bb = out / f"S{subject}" / "MySegmentsMat" / "ground_truth_bb" / f"{stem}.mat"
        write_mat73(bb, {"Masks": cell(masks)})
        split = "test" if subject in (9, 11) else "train"
        truth = view.to_camera(world)[:, _DISTINCT]
        for frame in range(frames):
            box = _moved_back(view, boxes[frame], seen[frame, 0]) if shifted else boxes[frame]
            flat = None if shifted else image[frame, _DISTINCT]
            truths.append(
                Truth(
                    "h36m_25", split, video, frame, points=truth[frame], points2d=flat, world=world[frame, _DISTINCT],
                    box=box, projected=view.project(truth[frame]),
                )
            )  # fmt: skip
    return truths


def _pictures(view: View, scene: Scene) -> list[np.ndarray]:
    return [coarse(view.camera, scene, frame, (1000, view.height)) for frame in range(scene.frames)]


def _cdf(path: Path, points: Floats) -> None:
    write_cdf(path, {"Pose": points.reshape(1, len(points), -1).astype(np.float32)})


def _whole(box: Floats, height: int) -> tuple[float, float, float, float]:
    """A box of whole pixels inside the picture."""
    left, top = np.maximum(np.floor(box[:2]), 0)
    right, bottom = np.minimum(np.ceil(box[:2] + box[2:]), [1000, height])
    return float(left), float(top), float(right - left), float(bottom - top)


def _moved_back(
    view: View, box: tuple[float, float, float, float], pelvis: Floats
) -> tuple[float, float, float, float]:
    """A box of a shifted recording, its corners moved as points as far away as the pelvis."""
    left, top, wide, high = box
    rays = view.camera.rays([(left, top), (left + wide, top + high)])
    corners = np.column_stack([rays, [1, 1]]) * pelvis[2] @ view.rotation + view.centre
    low, most = view.project(view.to_camera(corners - np.array([200.0, 0, 0])))
    return float(low[0]), float(low[1]), float(most[0] - low[0]), float(most[1] - low[1])


def _filled(box: tuple[float, float, float, float], height: int) -> np.ndarray:
    left, top, wide, high = (int(value) for value in box)
    mask = np.zeros((height, 1000), np.uint8)
    mask[top : top + high, left : left + wide] = 1
    return mask
