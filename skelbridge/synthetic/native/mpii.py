"""MPII Human Pose: people in stills, 2D points by number in deeply nested MATLAB structs, counted from 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.synthetic.native._files import cell, structs, write_image, write_mat5
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Floats, ring, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "mpii_16"
_NECK, _HEAD_TOP = 8, 9
_NOTHING = np.zeros((0, 0))

#: Pictures: size, in the training set, then for each person the joints that are not labelled; None: no points at all.
_PICTURES: tuple[tuple[tuple[int, int], bool, tuple[tuple[int, ...] | None, ...]], ...] = (
    ((1280, 720), True, ((), (0, 5))),
    ((640, 480), True, ((0, 1, 2, 3, 4, 5),)),
    ((1280, 720), False, ((), ())),
    ((480, 640), True, ((), None)),
    ((1280, 720), True, (None,)),
    ((1280, 720), False, ((),)),
    ((1920, 1080), True, ((7,), (), (10, 11))),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths, pictures = [], []
    for number, (size, train, people) in enumerate(_PICTURES):
        scene = virtual_scene(people=len(people), frames=1, seed=900 + number)
        camera = ring(5, focal=1.1 * max(size), size=size, radius=5600)[number % 5]
        image = camera.project(scene.joints(FORMAT)[0])
        name = f"{15601864 + 977 * number:09d}.jpg"
        write_image(out / "images" / name, coarse(camera, scene, 0, size))
        pictures.append(_picture(name, number, image, train, people))
        for person, lacking in enumerate(people):
            if train and lacking is not None:
                points = np.round(image[person])
                points[list(lacking)] = np.nan
                truths.append(Truth(FORMAT, "train", f"images/{name}", points2d=points))
    release = {
        "annolist": structs(pictures),
        "img_train": np.array([[float(train) for _, train, _ in _PICTURES]]),
        "version": "12",
        "single_person": cell(
            [np.array([[1.0]]) if len(p) == 1 else _NOTHING for *_, p in _PICTURES], len(_PICTURES), 1
        ),
        "act": structs([{"cat_name": "sports", "act_name": "yoga", "act_id": 1.0} for _ in _PICTURES]).T,
        "video_list": cell(["IhW6mKbQ5kY"]),
    }
    write_mat5(out / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    return truths


def _picture(name: str, number: int, image: Floats, train: bool, people: tuple[Any, ...]) -> dict[str, Any]:
    rects = [_person(image[person], train, lacking) for person, lacking in enumerate(people)]
    if not any("annopoints" in rect for rect in rects):
        listed = structs(rects)
    else:
        listed = structs([{**rect, "annopoints": rect.get("annopoints", _NOTHING)} for rect in rects])
    return {
        "image": {"name": name},
        "annorect": listed,
        "frame_sec": float(number) if train else _NOTHING,
        "vididx": 1.0 if train else _NOTHING,
    }


def _person(image: Floats, train: bool, lacking: tuple[int, ...] | None) -> dict[str, Any]:
    low, high = image.min(axis=0), image.max(axis=0)
    middle = np.round((low + high) / 2)
    rect = {"scale": float(high[1] - low[1]) / 200, "objpos": {"x": middle[0], "y": middle[1]}}
    if not train:
        return rect
    corners = np.round(np.concatenate([image[_HEAD_TOP] - 20, image[_NECK] + 20]))
    rect = {**dict(zip(("x1", "y1", "x2", "y2"), map(float, corners), strict=True)), **rect}
    if lacking is None:
        return rect
    order = np.random.default_rng(7).permutation(16)
    return {**rect, "annopoints": {"point": structs([_point(j, image[j]) for j in order if j not in lacking])}}


def _point(joint: int, image: NDArray[np.float64]) -> dict[str, Any]:
    """A joint as MATLAB counts pixels; whether it is visible is said in three ways."""
    seen: Any = (1.0, "1", 0.0, "0")[joint % 4]
    if joint in (_NECK, _HEAD_TOP):
        seen = _NOTHING
    x, y = np.round(image) + 1
    return {"x": x, "y": y, "id": float(joint), "is_visible": seen}
