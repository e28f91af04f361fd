"""PoseTrack 2018: videos as pictures, one JSON each, people tracked through them; some frames without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._coco import PERSON, Entry, box, shoot
from skelbridge.synthetic.native._files import write_image, write_json
from skelbridge.synthetic.native._pictures import extent
from skelbridge.synthetic.scene import Floats, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

_VIDEOS = (
    ("train", "000001_bonn_train", (640, 360), 5),
    ("train", "015860_mpii_train", (426, 240), 3),
    ("val", "009473_mpii_test", (640, 480), 5),
)
_JOINTS = "posetrack18_17"


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    annotations = out / "posetrack_data" / "annotations"
    for number, (split, name, size, frames) in enumerate(_VIDEOS):
        content, found = _video(out, split, name, size, frames, seed=180 + number)
        write_json(annotations / split / f"{name}.json", content)
        truths += found
    predicted = {**content, "annotations": [{**entry, "scores": [0.9] * 17} for entry in content["annotations"]]}
    write_json(annotations / "val" / f"{name}_preds_val.json", predicted)
    content, _ = _video(out, "test", "000693_mpii_test", (320, 240), 2, seed=190)
    write_json(annotations / "test" / "000693_mpii_test.json", {**content, "annotations": []})
    return truths


def _video(
    out: Path, split: str, name: str, size: tuple[int, int], frames: int, seed: int
) -> tuple[Entry, list[Truth]]:
    """Write the pictures of a video; returns its JSON and its truths. The middle frame has no labels."""
    scene = virtual_scene(2, frames, seed=seed)
    camera = look_at((900, 1300, 4700), (0, 950, 0), focal=0.9 * size[0], size=size)
    images: list[Entry] = []
    annotations: list[Entry] = []
    truths = []
    for frame in range(frames):
        shot = shoot(_JOINTS, camera, scene, frame, size)
        image = f"images/{split}/{name}/{frame:06d}.jpg"
        write_image(out / image, shot.image)
        number, has_labels = 10**10 + int(name[:6]) * 10**4 + frame, frame != frames // 2
        images.append({
            "has_no_densepose": True, "is_labeled": has_labels, "file_name": image, "nframes": frames,
            "frame_id": number, "vid_id": name[:6], "id": number,
            "ignore_regions_x": [[0, 20, 20, 0]], "ignore_regions_y": [[0, 0, 20, 20]],
        })  # fmt: skip
        if not has_labels:
            continue
        for person in range(2):
            points = _labels(shot.points[person], seed, frame, person)
            table = np.column_stack([np.nan_to_num(points), np.isfinite(points).all(axis=1)])
            entry: Entry = {
                "bbox_head": [int(value) for value in extent(shot.points[person, :3], 0.3)],
                "keypoints": [value for row in table.tolist() for value in (*row[:2], int(row[2]))],
                "track_id": person,
                "image_id": number,
                "bbox": box(shot.masks[person]),
                "scores": [],
                "category_id": 1,
                "id": number * 100 + person,
            }
            if (frame, person) == (1, 0):
                del entry["bbox"]
            annotations.append(entry)
            if np.isfinite(points).any():
                around = tuple(entry["bbox"]) if "bbox" in entry else None
                truths.append(Truth(_JOINTS, split, image, points2d=points, box=around))
    category = {**PERSON, "keypoints": _native_names(), "skeleton": PERSON["skeleton"]}
    return {"images": images, "annotations": annotations, "categories": [category]}, truths


def _labels(points: Floats, seed: int, frame: int, person: int) -> Floats:
    """What annotators gave: never the ears, not all of the others, outside the picture too; one time nothing."""
    rng = np.random.default_rng([seed, frame, person])
    given = rng.random(len(points)) > 0.15
    given[[3, 4]] = False
    if (frame, person) == (0, 1):
        given[:] = False
    return np.where(given[:, None], points.round(7), np.nan)


def _native_names() -> list[Any]:
    return [joint.native for joint in skeleton(_JOINTS).joints]
