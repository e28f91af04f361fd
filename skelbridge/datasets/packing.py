"""The pictures that samples need: read once each, in order, searched by a detector, cut and packed as JPEG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets.boxes import Detector, clipped, matched
from skelbridge.datasets.reader import Notes
from skelbridge.errors import FileFormatError, need
from skelbridge.io.images import encode_jpeg, read_image, transformed
from skelbridge.io.tfrecord import RecordPictures
from skelbridge.io.tree import MissingFileError, Tree
from skelbridge.io.video import Video
from skelbridge.store.samples import Samples

Image = NDArray[np.uint8]
Rows = NDArray[np.intp]

#: What training may do to a crop: turn it, shift it (of the longer box side), zoom out.
ROTATION, SHIFT, ZOOM_OUT = np.radians(30), 0.10, 0.75
#: The longer side of a box is packed in at most so many pixels, and nothing is enlarged more than so.
LONGER_SIDE, MAX_SCALE = 384, 1.2
#: Displays show a value as its GAMMA-th power; light adds up only after that.
GAMMA = 2.2
#: Pixels kept around the cut part, in pixels of the result, so that the filter sees over the edge.
_RIM = 3

_LIGHT = (np.arange(256) / 255).astype(np.float32) ** np.float32(GAMMA)
_MISSING, _BROKEN, _RESIZED = "picture is missing", "picture cannot be decoded", "picture has not the labels' size"


def with_pictures(samples: Samples, tree: Tree, notes: Notes, *, crop: bool, detector: Detector | None) -> Samples:
    """The samples with what their pictures tell: boxes of the detector, and the person's part as a packed JPEG.

    Samples whose picture is missing or cannot be decoded stay as they are; `notes` counts them.
    """
    boxes, sizes, crops = samples.box.copy(), samples.image_size.copy(), samples.crop.copy()
    pictures = list(samples.pictures)
    for rows, image in each_picture(samples, tree, notes):
        size = image.shape[1::-1]
        if ((sizes[rows] != size) & (sizes[rows] > 0)).any():
            _count(notes, _RESIZED, samples, rows)
            continue
        sizes[rows] = size
        if detector is not None:
            boxes[rows] = clipped(matched(boxes[rows], detector(image)), sizes[rows])
        for row in rows[np.isfinite(boxes[rows]).all(axis=1)] if crop else ():
            pictures[row], crops[row] = cut(image, boxes[row])
    return replace(samples, box=boxes, image_size=sizes, pictures=tuple(pictures), crop=crops)


def each_picture(samples: Samples, tree: Tree, notes: Notes) -> Iterator[tuple[Rows, Image]]:
    """Every picture of the samples with its rows; videos are decoded once, in order."""
    for (path, transform), rows in _groups(samples).items():
        if samples.video_frame[rows[0]] >= 0:
            yield from _frames(samples, tree, notes, path, transform, rows)
            continue
        try:
            with tree.open(path) as stream:
                image = read_image(stream, path, transform)
        except FileFormatError as error:
            _count(notes, _reason(error), samples, rows)
            continue
        yield rows, image


def _frames(
    samples: Samples, tree: Tree, notes: Notes, path: str, transform: str, rows: Rows
) -> Iterator[tuple[Rows, Image]]:
    left = {int(frame): rows[samples.video_frame[rows] == frame] for frame in np.unique(samples.video_frame[rows])}
    try:
        with (RecordPictures if path.endswith(".tfrecord") else Video)(tree.open(path), path) as video:
            for frame, image in video.frames(list(left)):
                yield left.pop(frame), transformed(image, transform)
    except FileFormatError as error:
        _count(notes, _reason(error), samples, np.concatenate(list(left.values())))


def _groups(samples: Samples) -> dict[tuple[str, str], Rows]:
    """The rows of each picture file (and its transform), in order of first use."""
    image, transform = samples.text["image"], samples.text["transform"]
    found: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(image.tolist(), transform.tolist(), strict=True)):
        if key[0]:
            found.setdefault(key, []).append(row)
    return {key: np.array(rows) for key, rows in found.items()}


def _reason(error: FileFormatError) -> str:
    return _MISSING if isinstance(error, MissingFileError) else _BROKEN


def _count(notes: Notes, reason: str, samples: Samples, rows: Rows) -> None:
    """Count what stays without picture, and name one file of each kind."""
    if not any(remark.startswith(reason) for remark in notes.remarks):
        notes.remark(f"{reason}, such as {samples.text['image'][int(rows[0])]}")
    notes.repair(f"{reason}: kept without", len(rows))


def region(box: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float64]:
    """Left, top, right, bottom of what training may see of a box (4,), within a picture of `size`, in pixels.

    The square that training sees has the box's longer side L, L / 0.75 zoomed out; turned by 30 degrees its corners
    reach (cos + sin) times as far; then it is shifted by 0.1 L.
    """
    longer = float(box[2:].max())
    reach = longer * (0.5 / ZOOM_OUT * (np.cos(ROTATION) + np.sin(ROTATION)) + SHIFT)
    middle = np.asarray(box[:2], float) + np.asarray(box[2:], float) / 2
    end = np.array(size) - 0.5
    return np.concatenate([np.clip(middle - reach, -0.5, end), np.clip(middle + reach, -0.5, end)])


def cut(image: Image, box: NDArray[np.floating]) -> tuple[bytes, NDArray[np.float32]]:
    """The part of a picture around a box as JPEG, and its left, top and scale: see `Samples.crop`.

    Pixels are averaged as amounts of light, over the area that each new pixel covers.
    """
    image_module = need("PIL.Image", "data")
    wanted = region(box, image.shape[1::-1])
    scale = min(MAX_SCALE, LONGER_SIDE / float(box[2:].max()))
    size = np.maximum(((wanted[2:] - wanted[:2]) * scale).astype(int), 1)
    start = wanted[:2] + 0.5  # in pixels' edges
    rim = _RIM / scale
    low = np.maximum(np.floor(start - rim), 0).astype(int)
    high = np.ceil(start + size / scale + rim).astype(int)
    light = _LIGHT[image[low[1] : high[1], low[0] : high[0]]]
    edges = [*(start - low), *np.minimum(start - low + size / scale, light.shape[1::-1])]
    channels = [
        np.asarray(
            image_module.fromarray(light[..., channel]).resize(tuple(size), image_module.Resampling.BICUBIC, box=edges)
        )
        for channel in range(3)
    ]
    shown = np.clip(np.stack(channels, axis=-1), 0, 1) ** np.float32(1 / GAMMA)
    corner = wanted[:2] + 0.5 / scale
    return encode_jpeg(np.round(shown * 255).astype(np.uint8)), np.array([*corner, scale], np.float32)
