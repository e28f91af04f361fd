"""Samples: what one annotated person in one picture is, as columns of many, and one by one.

Lengths are millimetres, the camera looks along +z with x right and y down, (0, 0) is the centre of the image's first
pixel. NaN means missing. 3D points are kept in the camera's axes; in the world they follow from the camera.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.camera import Camera, Lens
from skelbridge.errors import InputError
from skelbridge.skeletons import Skeleton, skeleton

LENSES: tuple[str, ...] = get_args(Lens)


class Visibility(IntEnum):
    """What a dataset says of a joint; a joint that it does not give is NaN and MISSING."""

    MISSING = 0
    OCCLUDED = 1
    VISIBLE = 2
    UNSAID = 3  #: given, and nothing is said of its being seen


@dataclass(frozen=True, eq=False)
class Words:
    """A column of text: row n says entries[codes[n]]."""

    entries: tuple[str, ...]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, values: str | Iterable[str], count: int) -> Words:
        """A column of `count` rows from one word for all, or from a word for each."""
        if isinstance(values, str):
            return cls((values,), np.zeros(count, np.int32))
        listed = list(values)
        places = {word: code for code, word in enumerate(dict.fromkeys(listed))}
        return cls(tuple(places), np.fromiter((places[word] for word in listed), np.int32, len(listed)))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Any:
        """The word of one row; for a slice or an array of rows, their column."""
        if isinstance(rows, (int, np.integer)):
            return self.entries[self.codes[rows]]
        return Words(self.entries, self.codes[rows])

    def tolist(self) -> list[str]:
        return [self.entries[code] for code in self.codes]

    @staticmethod
    def joined(columns: Sequence[Words]) -> Words:
        """Columns one below the other."""
        places: dict[str, int] = {}
        codes = [
            np.array([places.setdefault(word, len(places)) for word in column.entries], np.int32)[column.codes]
            for column in columns
            if len(column)
        ]
        return Words(tuple(places), np.concatenate(codes) if codes else np.zeros(0, np.int32))


#: The text columns of samples, and what each says.
TEXT = {
    "split": "the dataset's own word: train, val, test ...",
    "subject": "who, as the dataset calls the person; empty where it does not say",
    "sequence": "the recording; frames of it belong together in time",
    "activity": "what is done, where the dataset says it",
    "view": "the camera's name; empty where there is one",
    "image": "path of the picture or video below the dataset's folder; empty where there is none",
    "transform": "what to do to the decoded picture before points fit it: '', 'mirror', 'rotate_clockwise' or "
    "'bayer_grbg'",
    "native": "path of the file that the annotation was read from, below the dataset's folder",
}


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples of one skeleton, as columns. `Samples.of` makes them, and fills what is not said.

    skeleton: the joints' format; J joints.
    points: (N, J, 3) float32, mm in the camera's axes, NaN where missing; None in a dataset of 2D points.
    points2d: (N, J, 2) float32, pixels, as the dataset gives them; None where it gives none (then `projected`).
    visibility: (N, J) uint8, of `Visibility`.
    cameras, camera: the cameras that occur, and which is each sample's, (N,) int32, -1 where none is known.
    world_known: (N,) bool: the camera's place in the world is known. Else its rotation and translation say nothing.
    frame: (N,) int32, the frame's number in its sequence. person: (N,) int32, which person of the sequence.
    video_frame: (N,) int32, the picture's number among the decoded frames of a video, from 0; -1 for a still image.
    image_size: (N, 2) int32, width and height in pixels, 0 where unknown (of the picture after `transform`).
    box: (N, 4) float32, left, top, width, height in pixels around the person, NaN where unknown.
    masks: N run-length codes of the person's pixels (COCO's compressed code, image_size large), None where unknown.
    pictures: N JPEG files of the person's part of the picture, None where none is packed.
    crop: (N, 3) float32, left, top, scale: pixel (x, y) of the image is ((x, y) - (left, top)) * scale in the packed
        picture; NaN where none is packed.
    text: the columns of `TEXT`.
    """

    skeleton: Skeleton
    points: NDArray[np.float32] | None
    points2d: NDArray[np.float32] | None
    visibility: NDArray[np.uint8]
    cameras: tuple[Camera, ...]
    camera: NDArray[np.int32]
    world_known: NDArray[np.bool_]
    frame: NDArray[np.int32]
    person: NDArray[np.int32]
    video_frame: NDArray[np.int32]
    image_size: NDArray[np.int32]
    box: NDArray[np.float32]
    masks: tuple[bytes | None, ...]
    pictures: tuple[bytes | None, ...]
    crop: NDArray[np.float32]
    text: dict[str, Words] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        format: str | Skeleton,
        *,
        points: ArrayLike | None = None,
        world: ArrayLike | None = None,
        points2d: ArrayLike | None = None,
        visibility: ArrayLike | None = None,
        camera: Camera | Sequence[Camera] | None = None,
        world_known: ArrayLike | None = None,
        frame: ArrayLike = 0,
        person: ArrayLike = 0,
        video_frame: ArrayLike = -1,
        image_size: ArrayLike = (0, 0),
        box: ArrayLike | None = None,
        masks: Sequence[bytes | None] | None = None,
        **text: str | Iterable[str],
    ) -> Samples:
        """Samples from arrays of N rows; what is the same for all rows may be given once.

        points (N, J, 3): mm in the camera's axes; or world (N, J, 3): mm in the world, brought into the camera here;
        or neither, for 2D points. camera: one, or one a row (the same object where it is the same). world_known: by
        default, whether `world` was given. Other arguments as the fields and `TEXT` say.

        Raises InputError where counts or shapes do not fit the skeleton and each other.
        """
        card = skeleton(format)
        count = len(np.asarray(next(x for x in (points, world, points2d, [None]) if x is not None)))
        cameras, which = _table(camera, count)
        if world is not None:
            if camera is None:
                raise InputError("samples with points in the world", expected="a camera", got="none")
            points = _in_cameras(np.asarray(world, float), cameras, which)
        flat = None if points2d is None else _shaped("points2d", points2d, (count, len(card), 2))
        deep = None if points is None else _shaped("points", points, (count, len(card), 3))
        known = flat if deep is None else deep
        if known is None:
            raise InputError("samples", expected="points, world or points2d", got="none of them")
        if unknown := set(text) - set(TEXT):
            raise InputError("samples", expected=f"columns among {', '.join(TEXT)}", got=", ".join(sorted(unknown)))
        given = np.isfinite(known).all(axis=-1)
        seen = np.where(given, Visibility.UNSAID, Visibility.MISSING) if visibility is None else visibility
        made = cls(
            skeleton=card,
            points=deep,
            points2d=flat,
            visibility=np.ascontiguousarray(np.broadcast_to(seen, (count, len(card))), dtype=np.uint8),
            cameras=cameras,
            camera=which,
            world_known=_column(
                "world_known", world is not None if world_known is None else world_known, (count,), bool
            ),
            frame=_column("frame", frame, (count,), np.int32),
            person=_column("person", person, (count,), np.int32),
            video_frame=_column("video_frame", video_frame, (count,), np.int32),
            image_size=_column("image_size", image_size, (count, 2), np.int32),
            box=_column("box", np.full(4, np.nan) if box is None else box, (count, 4), np.float32),
            masks=(None,) * count if masks is None else tuple(masks),
            pictures=(None,) * count,
            crop=np.full((count, 3), np.nan, np.float32),
            text={name: Words.of(text.get(name, ""), count) for name in TEXT},
        )
        if (made.world_known & (made.camera < 0)).any():
            raise InputError("samples whose camera's place in the world is known", expected="a camera", got="none")
        if lengths := {len(made.masks), *map(len, made.text.values())} - {count}:
            raise InputError("samples", expected=f"{count} rows in every column", got=f"{lengths} in some")
        return made

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Samples:
        """Some of the rows: a slice, indices or a mask."""
        chosen = np.arange(len(self))[rows]
        arrays: dict[str, Any] = {
            f.name: value[chosen] for f in fields(self) if isinstance(value := getattr(self, f.name), np.ndarray)
        }
        return replace(
            self,
            **arrays,
            masks=tuple(self.masks[row] for row in chosen),
            pictures=tuple(self.pictures[row] for row in chosen),
            text={name: column[chosen] for name, column in self.text.items()},
        )

    @staticmethod
    def joined(blocks: Sequence[Samples]) -> Samples:
        """Blocks of the same skeleton, one below the other."""
        first = blocks[0]
        cameras = {camera: number for number, camera in enumerate(dict.fromkeys(c for b in blocks for c in b.cameras))}
        which = [
            np.append(np.array([cameras[c] for c in block.cameras], np.int32), np.int32(-1))[block.camera]
            for block in blocks
        ]
        for name in ("points", "points2d"):
            if len({getattr(block, name) is None for block in blocks}) > 1:
                raise InputError("blocks of samples to be joined", expected=f"{name} in all or in none of them")
        arrays: dict[str, Any] = {
            f.name: np.concatenate([getattr(block, f.name) for block in blocks])
            for f in fields(first)
            if isinstance(getattr(first, f.name), np.ndarray)
        }
        return replace(
            first,
            **{**arrays, "camera": np.concatenate(which)},
            cameras=tuple(cameras),
            masks=tuple(mask for block in blocks for mask in block.masks),
            pictures=tuple(picture for block in blocks for picture in block.pictures),
            text={name: Words.joined([block.text[name] for block in blocks]) for name in TEXT},
        )

    def world(self) -> NDArray[np.float64]:
        """The 3D points in the world, (N, J, 3) mm; NaN where the camera's place is not known."""
        if self.points is None:
            raise InputError("samples of 2D points", expected="3D points", got="none")
        found = np.full(self.points.shape, np.nan)
        for number, camera in enumerate(self.cameras):
            rows = (self.camera == number) & self.world_known
            found[rows] = camera.to_world(self.points[rows])
        return found

    def projected(self) -> NDArray[np.float64]:
        """The 3D points projected into the picture, (N, J, 2) pixels; NaN without a camera or behind it."""
        if self.points is None:
            raise InputError("samples of 2D points", expected="3D points", got="none")
        found = np.full((*self.points.shape[:-1], 2), np.nan)
        for number, camera in enumerate(self.cameras):
            rows = self.camera == number
            found[rows] = camera.project_seen(self.points[rows])
        return found


def _shaped(what: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = np.asarray(values)
    if array.shape != shape:
        raise InputError(f"{what} of samples", expected=f"shape {shape}", got=f"shape {array.shape}")
    array = np.array(array, dtype=np.float32)
    array[~np.isfinite(array).all(axis=-1)] = np.nan
    return array


def _column(name: str, values: ArrayLike, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    try:
        return np.ascontiguousarray(np.broadcast_to(np.asarray(values), shape), dtype=dtype)
    except ValueError as error:
        raise InputError(f"{name} of samples", expected=f"shape {shape}", got=np.shape(values)) from error


def _table(camera: Camera | Sequence[Camera] | None, count: int) -> tuple[tuple[Camera, ...], NDArray[np.int32]]:
    """The cameras that occur, each once, and which is each row's."""
    if camera is None:
        return (), np.full(count, -1, np.int32)
    if isinstance(camera, Camera):
        return (camera,), np.zeros(count, np.int32)
    if len(camera) != count:
        raise InputError("cameras of samples", expected=f"one, or one a row ({count})", got=f"{len(camera)}")
    places = {one: number for number, one in enumerate(dict.fromkeys(camera))}
    return tuple(places), np.array([places[one] for one in camera], np.int32)


def _in_cameras(world: NDArray[Any], cameras: tuple[Camera, ...], which: NDArray[np.int32]) -> NDArray[np.float64]:
    found = np.empty(world.shape)
    for number, camera in enumerate(cameras):
        found[which == number] = camera.to_camera(world[which == number])
    return found
