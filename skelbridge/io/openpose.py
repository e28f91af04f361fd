"""OpenPose JSON: a file a frame with a list of people, each with flat lists x, y, c of body, face, hands."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.io.json_files import (
    NOTED,
    entry,
    format_by_count,
    load_json,
    noted_format,
    padded,
    table,
    triples,
)
from skelbridge.poses import Poses, Units
from skelbridge.skeletons import Skeleton, skeleton

Part = Literal["pose", "hand_left", "hand_right", "face"]
FORMATS = {15: "openpose_mpi_15", 18: "coco_18", 25: "body_25", 135: "body_135"}


def is_frame(content: Any) -> bool:
    """Whether this is one frame of OpenPose."""
    return isinstance(content, dict) and "people" in content


def read(path: Path, card: Skeleton | None, *, content: Any, part: Part = "pose") -> Poses:
    """One frame: see `read_folder`."""
    return _poses(path, [path], [content], card, part)


def read_folder(path: Path, card: Skeleton | None, *, part: Part = "pose", progress: bool = False) -> Poses:
    """The frames of a folder by file name: (frames, people, joints, 2), pixels, or 3D if the files have that.

    Frames with fewer people are filled with NaN; the order of people is the file's, which without tracking
    changes from frame to frame. x = y = c = 0 is missing. `part` is pose, hand_left, hand_right or face.
    Files do not name their format: 75 numbers are read as BODY_25, though BODY_25B has as many, unless told.
    """
    files = sorted(path.glob("*.json"))
    if not files:
        raise damaged(path, "", expected="OpenPose JSON files, one a frame", got="none", mend="Check the path.")
    shown = tqdm(files, unit="frame", disable=not progress)
    return _poses(path, files, [load_json(file) for file in shown], card, part)


def _poses(path: Path, files: list[Path], contents: list[Any], card: Skeleton | None, part: Part) -> Poses:
    if part not in ("pose", "hand_left", "hand_right", "face"):
        raise InputError("part", expected="pose, hand_left, hand_right or face", got=repr(part))
    frames = [_people(file, content, part) for file, content in zip(files, contents, strict=True)]
    full = padded(path, frames, f"people with {part} key points")
    joints, width = full.shape[2:]
    notes: list[str] = []
    card = card or noted_format(contents[0].get(NOTED), joints) or _usual_format(path, joints, part, notes)
    confidence = np.nan_to_num(full[..., -1])
    if confidence.max(initial=0) > 1:
        notes.append("confidence above 1 cut to 1")
    missing = (full == 0).all(axis=-1)
    points = np.where(missing[..., None], np.nan, full[..., :-1])
    units: Units = "px" if width == 3 else "unknown"
    meta = {
        "source": str(path),
        "container": "openpose",
        "frames": [file.name for file in files],
        "notes": notes,
    }
    return Poses(points, card, confidence.clip(0, 1), units, None, meta)


def _people(path: Path, content: Any, part: Part) -> list[NDArray[np.float64]]:
    """The points of each person with their confidence, (joints, 3) or, where 3D, (joints, 4)."""
    found = []
    for number, person in enumerate(entry(path, "the file", content, "people")):
        place = f"person {number}"
        old, flat, solid = f"{part}_keypoints", f"{part}_keypoints_2d", f"{part}_keypoints_3d"
        if isinstance(person, dict) and person.get(solid):
            points = table(path, f"{place}, {solid!r}", person[solid], 4)
        else:
            key = old if isinstance(person, dict) and old in person and flat not in person else flat
            points = table(path, f"{place}, {key!r}", entry(path, place, person, key), 3)
        if len(points):
            found.append(points)
    return found


def _usual_format(path: Path, joints: int, part: Part, notes: list[str]) -> Skeleton:
    """The format of so many points of a part; says so where another has as many."""
    if part.startswith("hand") and joints == 21:
        return skeleton("openpose_hand_21", "left" if part == "hand_left" else "right")
    if part != "pose" or joints not in FORMATS:
        return format_by_count(path, joints)
    if joints == 25:
        notes.append("75 numbers read as body_25; if the model was BODY_25B say format='openpose_25b_25'")
    return skeleton(FORMATS[joints])


def write(poses: Poses, path: Path) -> list[str]:
    """Write a folder with a file a frame, `NAME_000000000000_keypoints.json`; a missing point is 0, 0, 0.

    The folder appears as a whole; one that exists is not overwritten (InputError).
    """
    if path.exists() and any(path.iterdir() if path.is_dir() else [path]):
        raise InputError(f"the folder {path}", expected="a new or empty one", got="one with files in it")
    points, confidence = poses.frames_and_people()
    key = "pose_keypoints_2d" if poses.dims == 2 else "pose_keypoints_3d"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for frame, people in enumerate(points):
            sure = None if confidence is None else confidence[frame]
            listed = [{"person_id": [-1], key: row} for row in triples(people, sure)]
            content = {"version": 1.3, NOTED: str(poses.skeleton), "people": listed}
            text = json.dumps(content, allow_nan=False, separators=(",", ":"))
            (temporary / f"{path.name}_{frame:012d}_keypoints.json").write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
        if path.is_dir():
            path.rmdir()
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ["the frame rate is not kept"] if poses.fps else []
