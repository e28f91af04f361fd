"""The JSON of mmpose's inferencer: a list of frames, each with the people found in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry, format_by_count, padded, table
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton


def recognises(content: Any) -> bool:
    """Whether this is a list of frames with instances, as mmpose's inferencer writes it."""
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and "instances" in content[0]


def read(path: Path, card: Skeleton | None, *, content: Any) -> Poses:
    """The people of every frame, (frames, people, joints, 2), pixels; frames with fewer people end in NaN."""
    frames = [_instances(path, f"frame {k}", frame) for k, frame in enumerate(content)]
    full = padded(path, frames, "instances")
    notes = []
    if card is None:
        card = format_by_count(path, full.shape[2])
        notes.append(f"format {card} taken for {full.shape[2]} points")
    if np.nanmax(full[..., 2], initial=0) > 1:
        notes.append("confidence above 1 cut to 1")
    confidence = np.nan_to_num(full[..., 2]).clip(0, 1)
    meta = {"source": str(path), "container": "mmpose", "notes": notes}
    return Poses(full[..., :2], card, confidence, "px", None, meta)


def _instances(path: Path, place: str, frame: Any) -> list[NDArray[np.float64]]:
    found = []
    for number, person in enumerate(entry(path, place, frame, "instances")):
        where = f"{place}, instance {number}"
        points = table(path, f"{where}, 'keypoints'", entry(path, where, person, "keypoints"), 2)
        scores = table(path, f"{where}, 'keypoint_scores'", entry(path, where, person, "keypoint_scores"), 1)
        if len(scores) != len(points):
            raise damaged(path, f"{where}, 'keypoint_scores'", expected=f"{len(points)} numbers", got=len(scores))
        found.append(np.concatenate([points, scores], axis=1))
    return found
