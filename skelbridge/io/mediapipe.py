"""MediaPipe landmarks as JSON, in a layout of our own, for MediaPipe has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from skelbridge.errors import InputError
from skelbridge.io.json_files import entry, format_by_count, noted_format, rate_of, stacked, table
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton


def recognises(content: Any) -> bool:
    """Whether this is a list of frames of MediaPipe landmarks."""
    return isinstance(content, dict) and "frames" in content and str(content.get("format", "")).startswith("mediapipe")


def read(path: Path, card: Skeleton | None, *, content: Any, space: Literal["world", "image"] = "world") -> Poses:
    """Landmarks with visibility as confidence: `world` in metres (frames, joints, 3), `image` in pixels.

    The layout: {"format", "width", "height", "frames": [{"landmarks": [[x, y, z, visibility], ...],
    "world_landmarks": [...]}]}. World axes: x right, y down, z away from the camera, origin between the hips.
    """
    if space not in ("world", "image"):
        raise InputError("space", expected="'world' or 'image'", got=repr(space))
    key = "world_landmarks" if space == "world" else "landmarks"
    frames = entry(path, "the file", content, "frames")
    rows = (table(path, f"frame {k}, {key!r}", entry(path, f"frame {k}", f, key), 4) for k, f in enumerate(frames))
    full = stacked(path, rows, "frame")
    card = card or noted_format(content["format"], full.shape[1]) or format_by_count(path, full.shape[1])
    points = full[..., :3]
    if space == "image":
        size = [entry(path, "the file", content, side, (int, float)) for side in ("width", "height")]
        points = full[..., :2] * np.clip(np.array(size, dtype=np.float64), 0, 1e6)
    confidence = np.nan_to_num(full[..., 3]).clip(0, 1)
    meta = {"source": str(path), "container": "mediapipe", "notes": []}
    if isinstance(content.get("provenance"), dict):
        meta["provenance"] = content["provenance"]
    return Poses(points, card, confidence, "px" if space == "image" else "m", rate_of(content), meta)
