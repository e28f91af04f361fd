"""What a shard holds, column by column, and what one sample is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from skelbridge.camera import Camera
from skelbridge.skeletons import Skeleton
from skelbridge.store.samples import TEXT

#: Stands for the number of joints in a column's shape.
JOINTS = -1

#: The columns of numbers: type and shape of a row. `points` or `points2d` may be absent from a shard.
NUMBERS: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "points": (np.dtype("<f4"), (JOINTS, 3)),
    "points2d": (np.dtype("<f4"), (JOINTS, 2)),
    "visibility": (np.dtype("u1"), (JOINTS,)),
    "camera": (np.dtype("<i4"), ()),
    "world_known": (np.dtype("u1"), ()),
    "frame": (np.dtype("<i4"), ()),
    "person": (np.dtype("<i4"), ()),
    "video_frame": (np.dtype("<i4"), ()),
    "image_size": (np.dtype("<i4"), (2,)),
    "box": (np.dtype("<f4"), (4,)),
    "crop": (np.dtype("<f4"), (3,)),
}
MAY_LACK = ("points", "points2d")
#: The table of cameras: type and shape of a camera.
CAMERAS: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "matrix": (np.dtype("<f8"), (3, 3)),
    "distortion": (np.dtype("<f8"), (8,)),
    "lens": (np.dtype("u1"), ()),
    "rotation": (np.dtype("<f8"), (3, 3)),
    "translation": (np.dtype("<f8"), (3,)),
}
#: Text columns: codes into words, both in the shard. The split is the shard's own.
WORDS = tuple(name for name in TEXT if name != "split")
#: Columns of bytes of any length: all in one, and where each row's begin; absent where no row has any.
PACKED = ("masks", "pictures")


def row_shape(shape: tuple[int, ...], joints: int) -> tuple[int, ...]:
    """A row's shape with the number of joints in its place."""
    return tuple(joints if size == JOINTS else size for size in shape)


def _said(shape: str, unit: str, meaning: str) -> Any:
    return Field(description=meaning, json_schema_extra={"shape": shape, "unit": unit})


class Sample(BaseModel):
    """One annotated person in one picture. NaN means missing."""

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True, extra="forbid")

    row: int = _said("number", "", "its row in the store that it was taken from")
    dataset: str = _said("text", "", "id of the dataset, as in its card")
    root: str = _said("text", "", "the dataset's folder at the time of ingest; `image` and `native` lie below it")
    skeleton: Skeleton = _said("J joints", "", "the format of the joints: their names and order")
    points: NDArray[np.float32] | None = _said(
        "(J, 3) float32", "mm", "the joints in the camera's axes (x right, y down, z ahead); None in 2D datasets"
    )
    points2d: NDArray[np.float32] | None = _said(
        "(J, 2) float32", "pixels", "the joints in the picture as the dataset gives them; None where it gives none"
    )
    visibility: NDArray[np.uint8] = _said(
        "(J,) uint8", "", "of each joint: 0 missing, 1 given and hidden, 2 given and seen, 3 given and nothing said"
    )
    camera: Camera | None = _said(
        "3×3, 8, lens, 3×3, 3", "pixels, mm",
        "intrinsic matrix, lens distortion and its model, and rotation and translation from the world to the camera "
        "(they say nothing unless `world_known`); None where unknown",
    )  # fmt: skip
    world_known: bool = _said("yes or no", "", "whether the camera's place in the dataset's world is known")
    frame: int = _said("number", "", "the frame's number in its sequence")
    person: int = _said("number", "", "which person of the sequence")
    video_frame: int = _said("number", "", "the picture's number among a video's decoded frames, from 0; -1: a still")
    image_size: NDArray[np.int32] = _said(
        "(2,) int32", "pixels", "width and height of the picture after `transform`; 0 where unknown"
    )
    box: NDArray[np.float32] = _said("(4,) float32", "pixels", "left, top, width, height around the person")
    mask: bytes | None = _said(
        "bytes", "", "the person's pixels, run lengths in COCO's compressed code, image_size large; None: unknown"
    )
    picture: bytes | None = _said("bytes", "", "a JPEG file of the person's part of the picture; None: not packed")
    crop: NDArray[np.float32] = _said(
        "(3,) float32", "pixels, pixels, ratio",
        "left, top, scale: the image's point p is at (p - (left, top)) * scale in the packed picture",
    )  # fmt: skip
    split: str = _said("text", "", TEXT["split"])
    subject: str = _said("text", "", TEXT["subject"])
    sequence: str = _said("text", "", TEXT["sequence"])
    activity: str = _said("text", "", TEXT["activity"])
    view: str = _said("text", "", TEXT["view"])
    image: str = _said("text", "", TEXT["image"])
    transform: str = _said("text", "", TEXT["transform"])
    native: str = _said("text", "", TEXT["native"])
    reader: int = _said("number", "", "version of the dataset's reader that read it; 0 where it was not said")

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:  # pictures and cards would fill pages
        place = self.image or self.native
        place += f", frame {self.video_frame}" if self.video_frame >= 0 else ""
        return f"<Sample {self.row}: {self.dataset}, {self.skeleton}, {self.split}, {place}, person {self.person}>"

    @property
    def world(self) -> NDArray[np.float64] | None:
        """The joints in the dataset's world, (J, 3) mm; None where the camera's place in it is not known."""
        if self.points is None or self.camera is None or not self.world_known:
            return None
        return self.camera.to_world(self.points)


def field_table() -> list[str]:
    """The fields of a sample as the lines of a Markdown table."""
    lines = ["| field | shape | unit | meaning |", "|---|---|---|---|"]
    for name, info in Sample.model_fields.items():
        said = info.json_schema_extra
        assert isinstance(said, dict)
        lines.append(f"| `{name}` | {said['shape']} | {said['unit']} | {info.description} |")
        if name == "points":
            world = (
                "the joints in the dataset's world: `points` taken there by the camera; None where its place is unknown"
            )
            lines.append(f"| `world` | (J, 3) float64 | mm | {world} |")
    return lines
