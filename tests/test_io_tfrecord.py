"""TFRecord files, held against bytes written by the format's definition, and damage."""

import io
import struct

import numpy as np
import pytest

from skelbridge.errors import FileFormatError
from skelbridge.io.tfrecord import RecordPictures, read_examples


def varint(value):
    value &= 2**64 - 1
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(value, packed=True):
    if isinstance(value, bytes):
        return field(1, field(1, value))
    values = np.atleast_1d(value)
    if values.dtype.kind == "f":
        content = values.astype("<f4").tobytes()
        singles = b"".join(varint(1 << 3 | 5) + content[at : at + 4] for at in range(0, len(content), 4))
        return field(2, field(1, content) if packed else singles)
    whole = [varint(int(value)) for value in values]
    return field(3, field(1, b"".join(whole)) if packed else b"".join(varint(1 << 3) + one for one in whole))


def example(values, packed=True):
    return field(1, b"".join(field(1, field(1, k.encode()) + field(2, feature(v, packed))) for k, v in values.items()))


#: The masked checksum of a length, by a bitwise CRC-32C; that of "123456789" is known to be 0xE3069283.
def crc(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 * (value & 1))
    return value ^ 0xFFFFFFFF


def record(content):
    head = struct.pack("<Q", len(content))
    turned = crc(head)
    masked = ((turned >> 15 | turned << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return head + struct.pack("<I", masked) + content + b"\0\0\0\0"


def read(content):
    return list(read_examples(io.BytesIO(content), "some.tfrecord"))


def test_the_checksum_is_crc_32c():
    assert crc(b"123456789") == 0xE3069283


@pytest.mark.parametrize("packed", [True, False])
def test_examples_come_with_their_features(packed):
    values = {
        "image": b"\xff\xd8pixels" * 50,
        "joints": np.array([1.5, -2, 3e6], "f4"),
        "count": np.array([-1, 0, 2**62]),
    }
    found = read(record(example(values, packed)) + record(example({})))
    assert len(found) == 2
    assert found[1] == {}
    assert found[0].keys() == values.keys()
    assert found[0]["image"] == [values["image"]]
    np.testing.assert_array_equal(found[0]["joints"], values["joints"])
    np.testing.assert_array_equal(found[0]["count"], values["count"])


def test_damage():
    whole = record(example({"a": np.array([1.0])}))
    longer = struct.pack("<Q", 2**50)
    for content in (
        whole[:-3], whole[:5], b"PK\x03\x04" * 10, whole[:8] + b"\0\0\0\0" + whole[12:], record(b"\xff" * 20),
        record(b"\x0a\x7fabc"), record(field(1, field(1, b"\x0b"))), whole + longer,
    ):  # fmt: skip
        with pytest.raises(FileFormatError, match="some"):
            read(content)


def test_every_flipped_byte_is_an_error_or_a_value():
    content = record(example({"a": np.array([1.0, 2.0]), "b": b"xyz", "c": np.array([3])}))
    for at in range(len(content)):
        for flip in (1, 8, 128, 255):
            broken = bytearray(content)
            broken[at] ^= flip
            try:
                found = read(bytes(broken))
            except FileFormatError:
                continue
            assert isinstance(found, list)


def test_pictures_come_in_order_with_their_colours():
    image_module = pytest.importorskip("PIL.Image")
    content = b""
    for shade in (10, 20, 30):
        stream = io.BytesIO()
        image_module.fromarray(np.full((4, 6, 3), (shade, 0, 200), np.uint8)).save(stream, format="PNG")
        content += record(example({"image/rgb": stream.getvalue()}))
    with RecordPictures(io.BytesIO(content), "some.tfrecord") as pictures:
        found = list(pictures.frames([2, 0]))
    assert [number for number, _ in found] == [0, 2]
    assert [image[0, 0].tolist() for _, image in found] == [[200, 0, 10], [200, 0, 30]]
    with (
        RecordPictures(io.BytesIO(content), "some.tfrecord") as pictures,
        pytest.raises(FileFormatError, match="record 7"),
    ):
        list(pictures.frames([7]))
