"""Annotation files in COCO's form: images, and people in them; what the datasets that use it share."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets._parse import array, inside
from skelbridge.datasets._pictures import size_of
from skelbridge.datasets.reader import Part, Reader
from skelbridge.errors import InputError
from skelbridge.io import rle
from skelbridge.io.files import damaged
from skelbridge.io.json_files import entry
from skelbridge.io.json_stream import members
from skelbridge.io.tree import Tree
from skelbridge.store.samples import Samples, Visibility

#: Images in one part of a large file.
IMAGES_A_PART = 2000

#: Larger widths and heights are damage.
_MAX_SIDE = 2**16

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Image:
    """An image of the file with the annotations of its people, each with its place in the file."""

    number: Any
    file_name: str
    size: tuple[int, int]
    people: list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Annotations:
    """A file's images in its order, and how many annotations belong to none of them."""

    path: Path
    images: list[Image]
    stray: int


#: The file parsed last, by its content: parts of a large file follow each other.
_PARSED: dict[bytes, Annotations] = {}


def annotation_file(tree: Tree, path: str) -> Annotations:
    """The annotations of a file, which may be of gigabytes; FileFormatError where it is not in COCO's form."""
    with tree.open(path) as stream:
        digest = hashlib.blake2b(path.encode())
        while chunk := stream.read(2**20):
            digest.update(chunk)
        if (key := digest.digest()) not in _PARSED:
            _PARSED.clear()
            _PARSED[key] = _indexed(tree.root / path, stream)
    return _PARSED[key]


def _indexed(path: Path, stream: BinaryIO) -> Annotations:
    images: dict[Any, Image] = {}
    stream.seek(0)
    for position, image in members(stream, path, "images"):
        place = f"image {position}"
        number = entry(path, place, image, "id", (int, str))
        sides = [image.get(key) for key in ("width", "height")]
        if any(side is not None and not (type(side) is int and 0 < side <= _MAX_SIDE) for side in sides):
            raise damaged(path, f"{place}, 'width', 'height'", expected="pixels", got=sides)
        size = (0, 0) if None in sides else (sides[0], sides[1])
        file_name = inside(path, f"{place}, 'file_name'", entry(path, place, image, "file_name", str))
        images[number] = Image(number, file_name, size, [])
    stray = 0
    stream.seek(0)
    for position, annotation in members(stream, path, "annotations"):
        place = f"annotation {position}"
        number = entry(path, place, annotation, "image_id", (int, str))
        if number in images:
            images[number].people.append((place, annotation))
        else:
            stray += 1
    return Annotations(path, list(images.values()), stray)


@dataclass
class Person:
    """One annotated person: points (J, 2) with NaN where missing, visibility (J,), box (4,); where it was found."""

    points: Floats
    visibility: NDArray[np.uint8]
    box: Floats
    image: str
    size: tuple[int, int]
    mask: bytes | None = None
    frame: int = 0
    person: int = 0


def samples(people: list[Person], format: Any, **said: Any) -> Samples:
    """The people as samples; those without a single joint are to be left out before."""
    return Samples.of(
        format,
        points2d=np.stack([one.points for one in people]),
        visibility=np.stack([one.visibility for one in people]),
        box=np.stack([one.box for one in people]),
        image=[one.image for one in people],
        image_size=np.array([one.size for one in people]),
        masks=[one.mask for one in people],
        frame=[one.frame for one in people],
        person=[one.person for one in people],
        **said,
    )


def flagged(path: Path, place: str, annotation: Any, key: str, count: int) -> Floats:
    """The list of points under `key`: (count, 3), x, y and a flag."""
    listed = entry(path, place, annotation, key)
    if len(listed) != 3 * count:
        raise damaged(path, f"{place}, {key!r}", expected=f"{count} points of x, y and a flag", got=len(listed))
    return array(path, f"{place}, {key!r}", listed, (3 * count,), missing=True).reshape(count, 3)


def seen(flags: Floats) -> NDArray[np.uint8]:
    """COCO's flags as visibility: 1 is hidden, 2 visible; what else is above 0 (scores) is a point and no more."""
    kinds = [flags == 1, flags == 2, flags > 0]
    words = [int(Visibility.OCCLUDED), int(Visibility.VISIBLE), int(Visibility.UNSAID)]
    return np.select(kinds, words, int(Visibility.MISSING)).astype(np.uint8)


def box_of(path: Path, place: str, annotation: dict[str, Any]) -> Floats:
    """Left, top, width, height; NaN where there is none."""
    if annotation.get("bbox") is None:
        return np.full(4, np.nan)
    return array(path, f"{place}, 'bbox'", annotation["bbox"], (4,))


def mask_of(path: Path, place: str, annotation: dict[str, Any], size: tuple[int, int]) -> bytes | None:
    """The code of the segmentation: polygons, run lengths, or a code; None where there is none."""
    segmentation = annotation.get("segmentation")
    if not segmentation or 0 in size:
        return None
    try:
        if isinstance(segmentation, list):
            return rle.from_polygons(segmentation, size)
        if tuple(entry(path, place, segmentation, "size")) != size[::-1]:
            raise InputError("the size of a mask", expected=f"height, width {size[::-1]}", got=segmentation["size"])
        counts = entry(path, place, segmentation, "counts", (list, str))
        return rle.from_counts(counts, size) if isinstance(counts, list) else rle.checked(counts.encode(), size)
    except InputError as error:
        raise damaged(path, f"{place}, 'segmentation'", expected=error.expected, got=error.got) from error


class Stills(Reader):
    """A dataset of single photographs with large annotation files, which are read some thousand images at a time."""

    @abstractmethod
    def sources(self) -> list[tuple[str, str, str]]:
        """The annotation files there are: split, path, and the folder that its file names lie in."""

    @abstractmethod
    def points(self, path: Path, place: str, annotation: dict[str, Any]) -> Floats | None:
        """The points of an annotation, (J, 3): x, y and flag, above 0 where labelled; None where it has none."""

    def parts(self) -> list[Part]:
        found = []
        for split, path, folder in self.sources():
            with self.tree.open(path) as stream:
                count = sum(1 for _ in members(stream, self.tree.root / path, "images"))
            for start in range(0, max(count, 1), IMAGES_A_PART):
                found.append(Part(f"{split}/{start}", split, (path, folder, start)))
        return found

    def read(self, part: Part) -> Iterator[Samples]:
        path, folder, start = part.args
        file = annotation_file(self.tree, path)
        if start == 0 and file.stray:
            self.notes.drop("the image of the annotation is not listed", file.stray)
        people = [
            person
            for image in map(partial(self._sized, folder), file.images[start : start + IMAGES_A_PART])
            for number, (place, annotation) in enumerate(image.people)
            if (person := self._person(file.path, place, annotation, image, folder, number)) is not None
        ]
        if people:
            yield samples(people, self.skeleton, split=part.split, native=path)

    def _sized(self, folder: str, image: Image) -> Image:
        """The image with its size, from its head where the file does not say it."""
        if 0 not in image.size or not image.people:
            return image
        return replace(image, size=size_of(self.tree, f"{folder}/{image.file_name}"))

    def _person(
        self, path: Path, place: str, annotation: dict[str, Any], image: Image, folder: str, number: int
    ) -> Person | None:
        points = self.points(path, place, annotation)
        if points is None or not (points[:, 2] > 0).any():
            self.notes.drop("no point is labelled")
            return None
        return Person(
            points=np.where(points[:, 2:] > 0, points[:, :2], np.nan),
            visibility=seen(points[:, 2]),
            box=box_of(path, place, annotation),
            image=f"{folder}/{image.file_name}",
            size=image.size,
            mask=mask_of(path, place, annotation, image.size),
            frame=number_of(image.number),
            person=number,
        )


def number_of(value: Any) -> int:
    """An image's number as a frame's, where it is one that fits."""
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def frame_of(path: Path, file_name: str) -> int:
    """The frame that a picture's name ends in."""
    stem = PurePosixPath(file_name).stem
    if not (stem.isdecimal() and len(stem) < 10):
        raise damaged(path, "'file_name'", expected="a frame's number", got=file_name)
    return int(stem)


def track_of(path: Path, place: str, annotation: dict[str, Any]) -> int:
    """The number of the annotation's track."""
    track = entry(path, place, annotation, "track_id", int)
    if not 0 <= track < 2**31:
        raise damaged(path, f"{place}, 'track_id'", expected="a number of a track", got=track)
    return int(track)
