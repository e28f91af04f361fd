"""The pictures that samples need: read once each, in order, searched by a detector, cut and packed as JPEG."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO

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
_MISSING, _BROKEN = "picture is missing", "picture cannot be decoded"


def with_pictures(
    samples: Samples, tree: Tree, notes: Notes, *, crop: bool, detector: Detector | None, need: bool = False
) -> Samples:
    """The samples with what their pictures tell: boxes of the detector, and the person's part as a packed JPEG.

    Samples whose picture is missing or cannot be used stay as they are, or go if one is needed; `notes` counts them.
    """
    boxes, sizes, crops = samples.box.copy(), samples.image_size.copy(), samples.crop.copy()
    pictures, without = list(samples.pictures), np.array([not path for path in samples.text["image"].tolist()])

    def failed(reason: str, rows: Rows) -> None:
        without[rows] = True
        _note(notes, reason, samples, rows, need)

    for rows, image in each_picture(samples, tree, failed):
        size = image.shape[1::-1]
        if ((sizes[rows] != size) & (sizes[rows] > 0)).any():
            failed("picture has not the labels' size", rows)
            continue
        sizes[rows] = size
        if detector is not None:
            boxes[rows] = clipped(matched(boxes[rows], detector(image)), sizes[rows])
        for row in rows[np.isfinite(boxes[rows]).all(axis=1)] if crop else ():
            pictures[row], crops[row] = cut(image, boxes[row])
    found = replace(samples, box=boxes, image_size=sizes, pictures=tuple(pictures), crop=crops)
    return found[~without] if need else found


def with_files(samples: Samples, tree: Tree, notes: Notes) -> Samples:
    """Only the samples whose picture file is there; it is not decoded."""
    there = {path: bool(path) and tree.exists(path) for path in samples.text["image"].entries}
    missing = np.array([not there[path] for path in samples.text["image"].tolist()], bool)
    _note(notes, _MISSING, samples, np.flatnonzero(missing), True)
    return samples[~missing]


def each_picture(samples: Samples, tree: Tree, failed: Callable[[str, Rows], None]) -> Iterator[tuple[Rows, Image]]:
    """Every picture of the samples with its rows; videos are decoded once, in order. `failed` is told of the others."""
    for (path, transform), rows in _groups(samples).items():
        left = {int(frame): rows[samples.video_frame[rows] == frame] for frame in np.unique(samples.video_frame[rows])}
        try:
            with tree.open(path) as stream:
                for frame, image in frames_of(stream, path, transform, list(left)):
                    yield left.pop(frame), image
        except FileFormatError as error:
            failed(_MISSING if isinstance(error, MissingFileError) else _BROKEN, np.concatenate(list(left.values())))


def frames_of(stream: BinaryIO, path: str, transform: str, frames: list[int]) -> Iterator[tuple[int, Image]]:
    """A still image, whose number is -1, or frames of a video by number."""
    if frames == [-1]:
        yield -1, read_image(stream, path, transform)
        return
    with (RecordPictures if path.endswith(".tfrecord") else Video)(stream, path) as video:
        for frame, image in video.frames(frames):
            yield frame, transformed(image, transform)


def _groups(samples: Samples) -> dict[tuple[str, str], Rows]:
    """The rows of each picture file (and its transform), in order of first use."""
    image, transform = samples.text["image"], samples.text["transform"]
    found: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(image.tolist(), transform.tolist(), strict=True)):
        if key[0]:
            found.setdefault(key, []).append(row)
    return {key: np.array(rows) for key, rows in found.items()}


def _note(notes: Notes, reason: str, samples: Samples, rows: Rows, dropped: bool) -> None:
    """Count samples without a picture, and name one file of each kind."""
    if not len(rows):
        return
    if not any(remark.startswith(reason) for remark in notes.remarks):
        notes.remark(f"{reason}, such as {samples.text['image'][int(rows[0])] or 'that of samples that name none'}")
    if dropped:
        notes.drop(reason, len(rows))
    else:
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
