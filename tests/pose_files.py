"""Small valid pose files of every container, made here: what the tests of skelbridge.io read and damage."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from skelbridge.io import write
from skelbridge.poses import Poses

BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 10 20 30
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Chest
  {
    OFFSET 0 5 0
    CHANNELS 3 Yrotation Zrotation Xrotation
    JOINT Head
    {
      OFFSET 0 3 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 0 2 0
      }
    }
  }
  JOINT Left Leg
  {
    OFFSET 1 -4 0
    CHANNELS 3 Xrotation Yrotation Zrotation
    End Site
    {
      OFFSET 0 -4 1
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0083333
1 2 3 0 0 0 0 0 0 0 0 0 0 0 0
1 2 3 90 0 0 30 40 50 10 20 30 90 0 0
"""

ASF = """# a comment
:version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name lhip
    direction 1 0 0
    length 2
    axis 0 0 0 XYZ
  end
  begin
    id 2
    name lfemur
    direction 0 -1 0
    length 8
    axis 20 -30 70 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
    id 3
    name ltibia
    direction 0 -1 0
    length 7
    axis 0 0 20 XYZ
    dof rx
    limits (-10.0 170.0)
  end
:hierarchy
  begin
    root lhip
    lhip lfemur
    lfemur ltibia
  end
"""

AMC = """#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
lfemur 0 0 0
ltibia 0
2
root 1 2 3 0 90 0
lfemur 10 20
 30
ltibia 40
"""


def c3d_bytes(
    points: np.ndarray,
    labels: list[str],
    *,
    scale: float = -1.0,
    rate: float = 50.0,
    order: str = "<",
    extra: str = "",
) -> bytes:
    """A C3D file of points (frames, points, 3): floats for a negative scale, else int16; NaN is invalid."""

    def parameter(name: str, kind: int, dims: list[int], content: bytes) -> bytes:
        body = struct.pack("bB", kind, len(dims)) + bytes(dims) + content + b"\0"
        return struct.pack("bb", len(name), 1) + name.encode() + struct.pack(order + "h", 2 + len(body)) + body

    frames, count, _ = points.shape
    width = max(map(len, [*labels, extra]))
    group = struct.pack("bb", 5, -1) + b"POINT" + struct.pack(order + "h", 3) + b"\0"
    short, real = order + "H", order + "f"
    section = group + b"".join(
        [
            parameter("USED", 2, [], struct.pack(short, count)),
            parameter("FRAMES", 2, [], struct.pack(short, frames)),
            parameter("SCALE", 4, [], struct.pack(real, scale)),
            parameter("RATE", 4, [], struct.pack(real, rate)),
            parameter("DATA_START", 2, [], struct.pack(short, 4)),
            parameter("UNITS", -1, [2, 1], b"mm"),
            parameter("LABELS", -1, [width, count], b"".join(name.ljust(width).encode() for name in labels)),
            *([parameter("ANGLES", -1, [width, 1], extra.ljust(width).encode())] if extra else []),
        ]
    )
    processor = 86 if order == ">" else 84
    section = (bytes([1, 0x50, 2, processor]) + section).ljust(1024, b"\0")
    words = struct.pack(order + "5H", count, 0, 1, frames, 0) + struct.pack(real, scale)
    header = bytes([2, 0x50]) + words + struct.pack(order + "2H", 4, 0) + struct.pack(real, rate)
    invalid = np.isnan(points).any(axis=-1)
    table = np.concatenate([np.nan_to_num(points), np.where(invalid, -1.0, 0.0)[..., None]], axis=-1)
    if scale > 0:
        table[..., :3] /= scale
    data = np.rint(table).astype(order + "i2") if scale > 0 else table.astype(order + "f4")
    return header.ljust(512, b"\0") + section + data.tobytes()


def small_poses(format: str = "coco_17", dims: int = 3, frames: int = 3, **given: object) -> Poses:
    """A few poses with a point missing."""
    from skelbridge.skeletons import skeleton

    card = skeleton(format)
    points = np.random.default_rng(3).normal(size=(frames, len(card), dims)) * 300
    points[1:, 2] = np.nan
    return Poses(points, card, units="px" if dims == 2 else "mm", fps=50.0, **given)  # type: ignore[arg-type]


def _json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def _written(name: str, dims: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(small_poses(dims=dims), folder / name)
        return folder / name

    return make


def _bvh(folder: Path) -> Path:
    (folder / "a.bvh").write_text(BVH)
    return folder / "a.bvh"


def _amc(folder: Path) -> Path:
    (folder / "01.asf").write_text(ASF)
    (folder / "01_02.amc").write_text(AMC)
    return folder / "01_02.amc"


def _asf(folder: Path) -> Path:
    _amc(folder)
    return folder / "01.asf"


def _c3d(folder: Path) -> Path:
    (folder / "a.c3d").write_bytes(
        c3d_bytes(np.full((3, 4, 3), 7.0), ["Ann:LANK", "Ann:RANK", "*1", "Ang"], extra="Ang")
    )
    return folder / "a.c3d"


def _npy(folder: Path) -> Path:
    np.save(folder / "a.npy", small_poses().points)
    return folder / "a.npy"


def _results(folder: Path) -> Path:
    row = np.arange(51) / 51
    return _json(folder / "r.json", [{"image_id": "0.jpg", "category_id": 1, "keypoints": row.tolist(), "score": 2.5}])


def _mmpose(folder: Path) -> Path:
    person = {"keypoints": np.ones((17, 2)).tolist(), "keypoint_scores": [0.5] * 17}
    return _json(folder / "m.json", [{"frame_id": 0, "instances": [person]}, {"frame_id": 1, "instances": []}])


def _mediapipe(folder: Path) -> Path:
    rows = np.full((33, 4), 0.25).tolist()
    frames = [{"landmarks": rows, "world_landmarks": rows}]
    return _json(folder / "p.json", {"format": "mediapipe_pose_33", "width": 640, "height": 480, "frames": frames})


def _openpose(folder: Path) -> Path:
    write(small_poses("body_25", dims=2), folder / "op")
    return sorted((folder / "op").glob("*.json"))[0]


#: Container -> maker of a small valid file in a folder. The ASF is read through its AMC.
SAMPLES: dict[str, Callable[[Path], Path]] = {
    "bvh": _bvh, "amc": _amc, "asf": _asf, "c3d": _c3d, "npy": _npy, "results": _results, "mmpose": _mmpose,
    "mediapipe": _mediapipe, "openpose": _openpose, "trc": _written("a.trc", 3), "npz": _written("a.npz", 3),
    "csv": _written("a.csv", 3), "coco": _written("a.json", 2),
}  # fmt: skip
