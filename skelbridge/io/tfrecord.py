"""TFRecord files of tf.train.Example messages, read without TensorFlow.

A record is its length (8 bytes) and the length's checksum (4), the content, and the content's checksum (4). The
content is a protocol buffer: features { feature: map of name to a list of bytes, of floats, or of whole numbers }.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from skelbridge.io.files import MAX_BYTES, damaged
from skelbridge.io.images import read_image

#: What a feature holds.
Feature = list[bytes] | NDArray[np.float32] | NDArray[np.int64]

_CASTAGNOLI, _MASK = 0x82F63B78, 0xA282EAD8


def read_examples(stream: BinaryIO, name: str | Path) -> Iterator[dict[str, Feature]]:
    """The examples of a file, one by one, each as feature by name.

    The checksums of the lengths are verified, which finds what is cut off or no such file; those of the contents are
    not. name: the path for error messages. Raises FileFormatError where the file is damaged.
    """
    path, number = Path(name), 0
    while head := stream.read(12):
        place = f"record {number}"
        length = int.from_bytes(head[:8], "little")
        if len(head) < 12 or struct.pack("<I", _checksum(head[:8])) != head[8:]:
            raise damaged(path, place, expected="a record's length and its checksum", got=head)
        content = stream.read(min(length, MAX_BYTES) + 4)
        if len(content) != length + 4:
            raise damaged(path, place, expected=f"{length} bytes", got=len(content))
        try:
            yield _example(memoryview(content)[:-4])
        except (ValueError, IndexError, KeyError) as error:
            raise damaged(path, place, expected="an example", got=str(error)) from error
        number += 1


def _checksum(data: bytes) -> int:
    """CRC-32C, turned and shifted as TFRecord stores it."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF


def _example(data: memoryview) -> dict[str, Feature]:
    found = {}
    for number, features in _fields(data):
        for entry in (value for inner, value in _fields(features) if inner == 1) if number == 1 else ():
            parts = dict(_fields(entry))
            found[bytes(parts[1]).decode("utf-8")] = _feature(parts[2]) if 2 in parts else []
    return found


def _feature(data: memoryview) -> Feature:
    for number, content in _fields(data):
        if number == 1:
            return [bytes(value) for inner, value in _fields(content) if inner == 1]
        if number == 2:
            # packed into one field, or each number in a field of its own
            return np.frombuffer(b"".join(value for inner, value in _fields(content) if inner == 1), "<f4")
        if number == 3:
            packed = [value for inner, value in _fields(content) if inner == 1]
            return np.array([whole for value in packed for whole in _varints(value)], np.uint64).astype(np.int64)
    return []


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the fields of a message; a whole number's content is its bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        start, kind = at, tag & 7
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 1:
            at += 8
        elif kind == 5:
            at += 4
        elif kind == 2:
            length, start = _varint(data, at)
            at = start + length
        else:
            raise ValueError(f"a field of kind {kind}")
        if at > len(data):
            raise ValueError(f"a field of {at - start} bytes in {len(data)}")
        yield tag >> 3, data[start:at]


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


class RecordPictures:
    """The pictures of a file of records, one in each, given as `skelbridge.io.video.Video` gives a video's frames.

    stream: the file, which the `with` block closes. name: its path, for messages. They are stored with the colours in
    reverse order, as HSPACE has them.
    """

    def __init__(self, stream: BinaryIO, name: str):
        self._stream, self._name = stream, name

    def __enter__(self) -> RecordPictures:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def frames(self, indices: Iterable[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Index and picture (H, W, 3) RGB of some records, counted from 0, in ascending order.

        Raises FileFormatError where a record is damaged, has no picture, or is not there.
        """
        wanted = set(indices)
        for number, record in enumerate(read_examples(self._stream, self._name) if wanted else ()):
            if number in wanted:
                content = record.get("image/rgb")
                if not isinstance(content, list) or len(content) != 1:
                    raise damaged(Path(self._name), f"record {number}, image/rgb", expected="a picture")
                picture = read_image(io.BytesIO(content[0]), f"{self._name}, record {number}")
                yield number, np.ascontiguousarray(picture[..., ::-1])
                wanted.discard(number)
            if not wanted:
                return
        if wanted:
            raise damaged(Path(self._name), f"record {min(wanted)}", expected="a picture", got="the end of the file")
