"""Motion capture for the virtual body: clips read, thinned and retargeted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.body.hierarchy import Joints, find_joints
from skelbridge.body.model import VirtualBody, middle_shapes
from skelbridge.body.rest import upright
from skelbridge.body.retarget import retarget
from skelbridge.body.rotations import Floats
from skelbridge.errors import InputError
from skelbridge.io import asf_amc, bvh
from skelbridge.io.motion import Motion
from skelbridge.landmarks import Landmarks

#: Thigh and shank of a person of 1.7 m, mm: gives the scale of files that do not say their unit.
LEG_LENGTH = 830.0

#: Bones whose heads tell poses apart, and how many of the last poses kept a new one is held against.
COMPARED = ("upperarm01", "lowerarm01", "wrist", "lowerleg01", "foot", "spine01", "neck01", "head")
BUFFER = 500


@dataclass(frozen=True)
class PoseClip:
    """Retargeted key poses (poses, bones, 3, 3) of a clip, their frames, and whether it recorded fingers."""

    name: str
    poses: NDArray[np.float32]
    frames: NDArray[np.intp]
    has_fingers: bool


def read_motion(path: str | Path) -> Motion:
    """Read a BVH or AMC file (an AMC looks for its ASF beside it); InputError for another suffix."""
    path = Path(path)
    if path.suffix.lower() == ".bvh":
        return bvh.read_motion(path)
    if path.suffix.lower() == ".amc":
        return asf_amc.read_motion(path)
    raise InputError(f"the motion file {path}", expected="a .bvh or an .amc file", got=path.suffix or "no suffix")


def key_frames(motion: Motion, threshold: float = 100.0) -> NDArray[np.intp]:
    """Frames in which some joint has moved at least `threshold` mm since the last one kept, relative to the
    root.

    Slow passages and stillness so count for little. Millimetres are those of a body of 1.7 m; the
    first frame, often a calibration pose, is kept only if it is the only one.
    """
    joints = find_joints(motion)
    relative = motion.positions() - motion.positions()[:, [joints.pelvis]]
    relative *= LEG_LENGTH / _leg_length(motion, joints)
    kept = [0]
    for frame in range(1, len(motion)):
        if np.linalg.norm(relative[frame] - relative[kept[-1]], axis=-1).max() >= threshold:
            kept.append(frame)
    return np.array(kept[1:] or kept, dtype=np.intp)


def _leg_length(motion: Motion, joints: Joints) -> float:
    rest = motion.rest_positions()
    lengths = [
        np.linalg.norm(rest[side.knee] - rest[side.hip]) + np.linalg.norm(rest[side.ankle] - rest[side.knee])
        for side in joints.sides
    ]
    return max(float(np.mean(lengths)), 1e-9)


def motion_files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """All BVH and AMC files in the given files and folders (searched to the bottom), sorted by path."""
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found: set[Path] = set()
    for path in map(Path, given):
        inside = path.rglob("*") if path.is_dir() else [path]
        found.update(file for file in inside if file.suffix.lower() in (".bvh", ".amc"))
        if not path.exists():
            raise InputError("there is no motion file or folder of that name", got=str(path))
    return sorted(found)


def load_motions(paths: str | Path | Iterable[str | Path], threshold: float = 100.0) -> list[PoseClip]:
    """Key poses of all clips in files and folders, retargeted: `read_clips` and then `without_repeats`."""
    return without_repeats(read_clips(paths, threshold), threshold)


def read_clips(paths: str | Path | Iterable[str | Path], threshold: float = 100.0) -> list[PoseClip]:
    """Key poses (see `key_frames`) of all clips in files and folders, retargeted; each file is read once a process.

    Raises FileFormatError for a damaged file, InputError for an empty folder or a hierarchy that is not known.
    """
    clips = [_load(file, file.stat().st_mtime_ns, threshold) for file in motion_files(paths)]
    if not clips:
        raise InputError(
            "motion capture",
            expected="at least one .bvh or .amc file",
            got="none",
            mend=f"Looked in {paths}.",
        )
    return clips


def without_repeats(clips: Sequence[PoseClip], threshold: float = 100.0, buffer: int = BUFFER) -> list[PoseClip]:
    """The clips less the poses that an earlier one, of the same or another clip, all but had.

    A pose stays if it differs from each of the last `buffer` poses kept by `threshold` mm at some joint of `COMPARED`,
    on the middle adult with the pelvis held still. So a gait cycle counts once, however often and by whomever it is
    walked and whichever way it leads. A clip may be left without poses.
    """
    ring = PoseRing(threshold, buffer)
    kept = [[n for n, pose in enumerate(_joints(clip.poses)) if ring.admits(pose)] for clip in clips]
    return [replace(clip, poses=clip.poses[n], frames=clip.frames[n]) for clip, n in zip(clips, kept, strict=True)]


class PoseRing:
    """The last `size` poses kept, against which new ones are held (adaptive sampling)."""

    def __init__(self, threshold: float, size: int = BUFFER):
        self.threshold, self.size, self.count = threshold, size, 0
        self._kept: Floats | None = None

    def admits(self, pose: Floats) -> bool:
        """Whether some point of a pose, (points, 3), is `threshold` away in every pose kept; if so it is kept too."""
        if self._kept is None:
            self._kept = np.empty((self.size, *pose.shape))
        known = self._kept[: min(self.count, self.size)]
        squares = ((known - pose) ** 2).sum(axis=-1)
        if (squares.max(axis=1) < self.threshold**2).any():
            return False
        self._kept[self.count % self.size] = pose
        self.count += 1
        return True


def distances(poses: NDArray[np.floating]) -> Floats:
    """How far the joint that differs most is apart, mm, for all pairs of poses (N, bones, 3, 3): (N, N)."""
    points = _joints(poses)
    return np.stack([np.sqrt(((points - pose) ** 2).sum(axis=-1).max(axis=-1)) for pose in points])


def _joints(poses: NDArray[np.floating]) -> Floats:
    """Points that tell poses apart, (poses, points, 3) mm: on the middle adult, seen from the pelvis."""
    rig, turned = _rig(), np.asarray(poses, dtype=np.float64)
    heads = rig.heads(np.swapaxes(turned[:, :1], -1, -2) @ turned, middle_shapes(len(turned)))
    return heads[:, [bone for bone, name in enumerate(rig.bones) if name.split(".")[0] in COMPARED]]


@lru_cache(maxsize=4096)
def _load(file: Path, changed: int, threshold: float) -> PoseClip:
    motion = read_motion(file)
    try:
        joints = find_joints(motion)
    except InputError as error:
        raise InputError(f"the motion file {file}: {error.what}", expected=error.expected, mend=error.mend) from error
    motion = upright(motion, joints)
    frames = key_frames(motion, threshold)
    poses = retarget(at_frames(motion, frames), _rig())
    return PoseClip(file.stem, poses.astype(np.float32), frames, all(side.fingers for side in joints.sides))


@lru_cache(maxsize=1)
def _rig() -> VirtualBody:
    """The body without landmarks: bones are all that retargeting needs."""
    return VirtualBody(Landmarks((), np.zeros(0, dtype=np.intp), ()))


def at_frames(motion: Motion, frames: NDArray[np.intp]) -> Motion:
    """Some frames of a motion."""
    return replace(
        motion,
        rotations=motion.rotations[frames],
        root_positions=motion.root_positions[frames],
        translations=None if motion.translations is None else motion.translations[frames],
    )
