"""COCO key points: annotation files (also whole-body ones), and lists of results (AlphaPose as well)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.io.files import damaged
from skelbridge.io.json_files import (
    NOTED,
    entry,
    format_by_count,
    noted_format,
    rate_of,
    save_json,
    stacked,
    table,
    triples,
)
from skelbridge.io.named import named_poses
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton

#: What whole-body annotations add to the 17 body points, in the order of the 133.
PARTS = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")

#: Visibility flag -> confidence: not labelled, labelled but hidden, visible.
CONFIDENCE = np.array([0.0, 0.5, 1.0])


def is_annotations(content: Any) -> bool:
    """Whether this is a COCO annotation file."""
    return isinstance(content, dict) and "annotations" in content


def is_results(content: Any) -> bool:
    """Whether this is a list of results: COCO's, or AlphaPose's."""
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and "keypoints" in content[0]


def read(path: Path, card: Skeleton | None, *, content: Any) -> Poses:
    """The people of an annotation file, (annotations, joints, 2), pixels; v = 0 is missing.

    The format is `card`, else that of the category's key-point names, else the usual one of that many points.
    Confidence is 1 for visible, 0.5 for hidden points. `meta` has image_ids and ids.
    """
    annotations = entry(path, "the file", content, "annotations")
    rows = stacked(path, (_labels(path, k, a) for k, a in enumerate(annotations)), "annotation")
    flags = rows[..., 2]
    wrong = flags[~np.isin(flags, (0, 1, 2))]
    if wrong.size:
        mend = "Scores belong into a list of results."
        raise damaged(path, "annotations, 'keypoints'", expected="v of 0, 1 or 2", got=wrong[0], mend=mend)
    points = np.where(flags[..., None] > 0, rows[..., :2], np.nan)
    meta = {
        "container": "coco",
        "image_ids": [a.get("image_id") for a in annotations],
        "ids": [a.get("id") for a in annotations],
    }
    info = content.get("info")
    info = info if isinstance(info, dict) else {}
    card = card or noted_format(info.get(NOTED), rows.shape[1])
    names = _category_names(content, annotations[0].get("category_id"))
    return _poses(path, points, CONFIDENCE[flags.astype(int)], card, names, meta, rate_of(info))


def read_results(path: Path, card: Skeleton | None, *, content: Any) -> Poses:
    """The people of a list of results, (results, joints, 2), pixels; x, y, score all zero is missing."""
    rows = stacked(path, (_points(path, f"result {k}", r, "keypoints") for k, r in enumerate(content)), "result")
    missing = (rows == 0).all(axis=-1)
    points = np.where(missing[..., None], np.nan, rows[..., :2])
    meta = {"container": "coco results", "image_ids": [result.get("image_id") for result in content]}
    return _poses(path, points, np.nan_to_num(rows[..., 2]), card, [], meta, None)


def _labels(path: Path, position: int, annotation: Any) -> NDArray[np.float64]:
    """The points of one annotation with those of its hands, feet and face, (joints, 3)."""
    place = f"annotation {position}"
    body = _points(path, place, annotation, "keypoints")
    if not all(part in annotation for part in PARTS):
        return body
    return np.concatenate([body, *(_scored(_points(path, place, annotation, part)) for part in PARTS)])


def _scored(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole-body parts may carry a score instead of the flag; above zero is labelled."""
    flag = np.where(np.isin(part[:, 2], (0, 1, 2)), part[:, 2], 2)
    return np.concatenate([part[:, :2], flag[:, None]], axis=1)


def _points(path: Path, place: str, mapping: Any, key: str) -> NDArray[np.float64]:
    return table(path, f"{place}, {key!r}", entry(path, place, mapping, key), 3)


def _category_names(content: dict[str, Any], category_id: Any) -> list[str]:
    """The key-point names of the category, [] where the file has none."""
    categories = content.get("categories")
    for category in categories if isinstance(categories, list) else []:
        if isinstance(category, dict) and category.get("id") == category_id:
            names = category.get("keypoints")
            return [str(name) for name in names] if isinstance(names, list) else []
    return []


def _poses(
    path: Path,
    points: NDArray[np.float64],
    confidence: NDArray[np.float64],
    card: Skeleton | None,
    names: list[str],
    meta: dict[str, Any],
    fps: float | None,
) -> Poses:
    """Poses in the format given, named or usual for that many points; scores beyond 1 are cut."""
    notes = ["confidence above 1 cut to 1"] if confidence.max(initial=0) > 1 else []
    confidence = confidence.clip(0, 1)
    if card is None and len(names) == points.shape[1]:
        return named_poses(
            names, points, source=path, confidence=confidence, units="px", fps=fps, notes=notes, meta=meta
        )
    if card is None:
        card = format_by_count(path, points.shape[1])
        notes.append(f"format {card} taken for {points.shape[1]} points")
    return Poses(points, card, confidence, "px", fps, {"source": str(path), **meta, "notes": notes})


def write(poses: Poses, path: Path) -> list[str]:
    """Write an annotation file: a frame is an image, a person an annotation. Returns what is not kept.

    Raises InputError for 3D points.
    """
    if poses.dims != 2:
        raise InputError(f"poses for {path}", expected="2D points", got="3D points", mend="Project them first.")
    points, confidence = poses.frames_and_people()
    people = points.shape[1]
    flat = points.reshape(-1, *points.shape[2:])
    rows = triples(flat, None if confidence is None else confidence.reshape(len(flat), -1), flag=True)
    annotations = [
        {
            "id": k + 1,
            "image_id": k // people,
            "category_id": 1,
            "keypoints": row,
            "num_keypoints": sum(v > 0 for v in row[2::3]),
            "iscrowd": 0,
            **_box(flat[k]),
        }
        for k, row in enumerate(rows)
    ]
    card = poses.skeleton
    category = {
        "id": 1,
        "name": "person",
        "keypoints": list(card.names),
        "skeleton": (card.edge_index + 1).tolist(),
    }
    info: dict[str, Any] = {"description": "written by skelbridge", NOTED: str(card)}
    if poses.fps:
        info["fps"] = poses.fps
    images = [{"id": frame, "file_name": f"{frame:012d}.jpg"} for frame in range(len(points))]
    save_json({"info": info, "images": images, "annotations": annotations, "categories": [category]}, path)
    return [] if confidence is None else ["confidence is kept as visible (above 0.5) or hidden only"]


def _box(points: NDArray[Any]) -> dict[str, Any]:
    """The box round the points of one person: x, y, width, height; and its area."""
    seen = points[~np.isnan(points).any(axis=-1)]
    if not len(seen):
        return {"bbox": [0.0, 0.0, 0.0, 0.0], "area": 0.0}
    low, size = seen.min(axis=0), np.ptp(seen, axis=0)
    return {"bbox": [*map(float, low), *map(float, size)], "area": float(size[0] * size[1])}
