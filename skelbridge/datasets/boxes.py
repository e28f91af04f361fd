"""Boxes around people: as given, from masks, from points; and matching them with a detector's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.datasets.cards import Boxes
from skelbridge.errors import InputError, need
from skelbridge.io import rle
from skelbridge.store.samples import Samples

Floats = NDArray[np.floating]
#: Finds people in a picture (H, W, 3): their boxes (N, 4), left, top, width, height.
Detector = Callable[[NDArray[np.uint8]], Floats]

#: A detection stands for a person when it overlaps the box at least so much (IoU) and is at most so much larger.
MIN_OVERLAP, MAX_GROWTH = 0.1, 2.0
#: Detections of torchvision below this score are not used.
_SCORE = 0.5


def with_boxes(samples: Samples, rule: Boxes) -> Samples:
    """The samples with a box each: the dataset's own, else around the mask, else around the points in the picture.

    Boxes of points are enlarged by `rule.expand` about their middle. All are clipped to the picture, and NaN where the
    person is not in it, or where neither box, mask nor picture points are known.
    """
    box = np.array(samples.box, np.float64)
    for row in np.flatnonzero(np.isnan(box).any(axis=1)):
        code = samples.masks[row]
        if code is not None:
            left, top, width, height = rle.box(code, tuple(samples.image_size[row]))
            box[row] = left - 0.5, top - 0.5, width, height  # from its first pixel's edge, not its middle
    bare = np.isnan(box).any(axis=1) | (box[:, 2:] <= 0).any(axis=1)
    box[bare] = expanded(box_of(picture_points(samples)[bare]), rule.expand)
    return replace(samples, box=clipped(box, samples.image_size).astype(np.float32))


def picture_points(samples: Samples) -> Floats:
    """The joints in the picture, (N, J, 2) pixels: as given, else projected."""
    if samples.points is None:
        return np.asarray(samples.points2d, float)
    projected = samples.projected()
    return projected if samples.points2d is None else np.where(np.isnan(samples.points2d), projected, samples.points2d)


def box_of(points: ArrayLike) -> Floats:
    """The box around the known points (..., J, 2), (..., 4); NaN where there is none."""
    points = np.asarray(points, float)
    known = np.isfinite(points).all(axis=-1, keepdims=True)
    low = np.where(known, points, np.inf).min(axis=-2)
    high = np.where(known, points, -np.inf).max(axis=-2)
    found = np.isfinite(low).all(axis=-1, keepdims=True)
    return np.where(found, np.concatenate([low, np.where(found, high - low, 0)], axis=-1), np.nan)


def expanded(box: Floats, factor: float) -> Floats:
    """Boxes (..., 4) enlarged about their middle."""
    size = box[..., 2:] * factor
    return np.concatenate([box[..., :2] + (box[..., 2:] - size) / 2, size], axis=-1)


def clipped(box: Floats, image_size: ArrayLike) -> Floats:
    """The part of boxes (N, 4) that lies in the picture (N, 2); NaN where none does, unclipped where the size is 0.

    The picture reaches from -0.5 to its size - 0.5: (0, 0) is the middle of its first pixel.
    """
    size = np.asarray(image_size, float)
    end = np.where(size > 0, size - 0.5, np.inf)
    start = np.where(size > 0, -0.5, -np.inf)
    low = np.clip(box[:, :2], start, end)
    high = np.clip(box[:, :2] + box[:, 2:], start, end)
    inside = ((high - low) > 0).all(axis=1, keepdims=True)
    return np.where(inside, np.concatenate([low, high - low], axis=1), np.nan)


def too_small(samples: Samples, rule: Boxes) -> NDArray[np.bool_]:
    """Which samples have a box smaller than the rule asks, (N,)."""
    size = samples.box[:, 2:]
    return (size.min(axis=1) < rule.min_side) | (size.max(axis=1) < rule.min_longer_side)


def overlap(one: ArrayLike, other: ArrayLike) -> Floats:
    """Intersection over union of every box (N, 4) with every other (M, 4), (N, M)."""
    one, other = np.asarray(one, float).reshape(-1, 1, 4), np.asarray(other, float).reshape(1, -1, 4)
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = np.prod(one[..., 2:], axis=-1) + np.prod(other[..., 2:], axis=-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def matched(boxes: Floats, detections: Floats) -> Floats:
    """The boxes (N, 4) of people in one picture, replaced by the detections that fit them, one to one.

    The assignment with the greatest sum of overlaps (Hungarian method); people without a detection keep their box.
    """
    from scipy.optimize import linear_sum_assignment

    found = np.array(boxes, float)
    fit = overlap(boxes, detections)
    grown = (
        np.prod(np.reshape(detections, (-1, 4))[:, 2:], axis=-1) >= MAX_GROWTH * np.prod(found[:, 2:], axis=-1)[:, None]
    )
    fit = np.where(grown | np.isnan(fit) | (fit < MIN_OVERLAP), 0, fit)
    for person, detection in zip(*linear_sum_assignment(-fit), strict=True):
        if fit[person, detection] > 0:
            found[person] = detections[detection]
    return found


def detector(name: str) -> Detector:
    """A person detector by name; today torchvision's Faster R-CNN, whose weights torchvision fetches on first use."""
    if name != "torchvision":
        raise InputError("the detector", expected="torchvision", got=name)
    torch, models = need("torch", "train"), need("torchvision.models.detection", "train")
    model = models.fasterrcnn_resnet50_fpn_v2(weights="DEFAULT").eval()

    def people(picture: NDArray[np.uint8]) -> Floats:
        with torch.inference_mode():
            found: Any = model([torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1) / 255])[0]
        corners = found["boxes"][(found["labels"] == 1) & (found["scores"] > _SCORE)].numpy()
        # torchvision counts from the corner of the first pixel
        return np.concatenate([corners[:, :2] - 0.5, corners[:, 2:] - corners[:, :2]], axis=1).astype(float)

    return people
