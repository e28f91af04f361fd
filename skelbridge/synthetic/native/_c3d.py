"""A writer of C3D files: floats, Intel, points only."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from skelbridge.synthetic.native._files import new

BLOCK = 512
Value = str | Sequence[str] | int | float


def write_c3d(
    path: Path,
    points: ArrayLike,
    labels: Sequence[str],
    rate: float,
    *,
    units: str = "mm",
    first_frame: int = 1,
    more: Mapping[str, Mapping[str, Value]] | None = None,
) -> None:
    """Points (frames, points, 3), NaN where invalid: stored as zeros with -1 in the fourth word.

    more: further parameters, group -> name -> text, list of texts, whole number or float; groups in capitals.
    """
    places = np.asarray(points, float)
    frames, count = places.shape[:2]
    invalid = ~np.isfinite(places).all(axis=-1)
    table = np.zeros((frames, count, 4), "<f4")
    table[..., :3] = np.where(invalid[..., None], 0, places)
    table[..., 3] = np.where(invalid, -1, 0)
    groups: dict[str, dict[str, Value]] = {
        "POINT": {
            "USED": count, "FRAMES": frames, "SCALE": -1.0, "RATE": float(rate), "DATA_START": 0,
            "UNITS": units, "LABELS": list(labels), "DESCRIPTIONS": [""] * count,
        },
        "ANALOG": {"USED": 0, "RATE": 0.0},
    }  # fmt: skip
    for group, values in (more or {}).items():
        groups.setdefault(group, {}).update(values)
    start = 2 + len(_section(groups)) // BLOCK
    groups["POINT"]["DATA_START"] = start
    header = struct.pack(
        "<BBhHHHhfhHf", 2, 0x50, count, 0, first_frame, first_frame + frames - 1, 0, -1.0, start, 0, rate
    )
    data = table.tobytes()
    new(path).write_bytes(_blocks(header) + _section(groups) + _blocks(data))


def _blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def _section(groups: Mapping[str, Mapping[str, Value]]) -> bytes:
    """The parameters, whole blocks; byte 4 of them says Intel."""
    body = b""
    for number, (group, values) in enumerate(groups.items(), 1):
        body += _entry(-number, group, b"\0")
        for name, value in values.items():
            body += _entry(number, name, _value(value) + b"\0")
    blocks = -(-(len(body) + 5) // BLOCK)
    return _blocks(bytes([1, 0x50, blocks, 84]) + body)


def _entry(group: int, name: str, content: bytes) -> bytes:
    """A group or parameter: length of the name, group, name, offset to the next one, content with its description."""
    return struct.pack("<bb", len(name), group) + name.encode() + struct.pack("<h", len(content) + 2) + content


def _value(value: Value) -> bytes:
    """Type, dimensions and data of a parameter."""
    if isinstance(value, int):
        return struct.pack("<bBH", 2, 0, value)
    if isinstance(value, float):
        return struct.pack("<bBf", 4, 0, value)
    if isinstance(value, str):
        return struct.pack("<bBB", -1, 1, len(value)) + value.encode()
    width = max(len(text) for text in value)
    data = b"".join(text.encode().ljust(width) for text in value)
    return struct.pack("<bBBB", -1, 2, width, len(value)) + data
