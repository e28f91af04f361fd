"""HSPACE: virtual people in TFRecord files, a record a frame: joints, encoded picture and label picture."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.errors import need
from skelbridge.synthetic.native._files import new
from skelbridge.synthetic.scene import Image, Scene, draw, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE = (640, 480)
FOLDER = "2021_01/train"

#: Number of the file, people, frames.
_FILES = ((0, 2, 4), (1, 1, 3))


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give: a picture is a record of its file."""
    truths = []
    for number, people, frames in _FILES:
        path = f"{FOLDER}/hspace-{number:05d}-of-00002.tfrecord"
        scene = virtual_scene(people, frames, seed=700 + number)
        records = []
        for frame in range(frames):
            camera = _camera(number, frame)
            joints = camera.to_camera(scene.joints("ghum_63")[frame])
            records.append(_example(scene, frame, camera, joints / 1000))
            truths += [Truth("ghum_63", "train", path, frame, points=points) for points in joints]
        new(out / path).write_bytes(b"".join(map(_framed, records)))
    return truths


def _camera(number: int, frame: int) -> Camera:
    at = (4300 * np.sin(number + 0.03 * frame), 1500, 4300 * np.cos(number + 0.03 * frame))
    return look_at(at, (0, 950, 0), focal=610, size=SIZE)


def _example(scene: Scene, frame: int, camera: Camera, joints: np.ndarray) -> bytes:
    picture, seen = draw(camera, scene, frame, SIZE)
    labels = np.zeros(seen.shape[1:], np.uint8)
    for person, pixels in enumerate(seen):
        labels[pixels] = 2 * person + 2
        labels[: SIZE[1] // 2][pixels[: SIZE[1] // 2]] = 2 * person + 1  # clothes or hair have the number below
    matrix = np.asarray(camera.matrix)
    features = {
        "camera_intrinsics": _floats([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]),
        "image/rgb": _bytes(_png(picture[..., ::-1])),
        "character_masks": _bytes(_png(labels)),
        "number_of_rigged_characters": _integers([scene.people]),
    }
    for person in range(scene.people):
        features[f"RIGGED_{person}/joints_3d"] = _floats(joints[person].ravel())
        features[f"RIGGED_{person}/mask_id"] = _integers([2 * person + 2])
    return _message(features)


def _png(image: Image) -> bytes:
    stream = io.BytesIO()
    need("PIL.Image", "data").fromarray(np.ascontiguousarray(image)).save(stream, "png")
    return stream.getvalue()


# tf.train.Example, in the wire format of protocol buffers: https://protobuf.dev/programming-guides/encoding


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _field(number: int, content: bytes) -> bytes:
    """A field of a length and bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _bytes(value: bytes) -> bytes:
    return _field(1, _field(1, value))


def _floats(values: Sequence[float] | np.ndarray) -> bytes:
    return _field(2, _field(1, np.asarray(values, "<f4").tobytes()))


def _integers(values: Sequence[int]) -> bytes:
    return _field(3, _field(1, b"".join(map(_varint, values))))


def _message(features: Mapping[str, bytes]) -> bytes:
    entries = [_field(1, _field(1, name.encode()) + _field(2, value)) for name, value in features.items()]
    return _field(1, b"".join(entries))


def _framed(record: bytes) -> bytes:
    """A record of a TFRecord file: length and content, each with its masked CRC-32C (Castagnoli)."""
    length = struct.pack("<Q", len(record))
    return length + struct.pack("<I", _masked(length)) + record + struct.pack("<I", _masked(record))


def _masked(content: bytes) -> int:
    table, crc = _table(), 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _table() -> list[int]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        found.append(byte)
    return found
