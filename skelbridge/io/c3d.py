"""C3D (biomechanics): binary, 512-byte blocks: a header, parameters in groups, the points of every frame.

Integers and floats are Intel, DEC (VAX) or MIPS, as the parameter section says. A point has x, y, z and a
fourth word that is negative where the point is invalid.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.io.files import MAX_ABS, PARTIAL, damaged, read_bytes
from skelbridge.io.named import named_poses
from skelbridge.io.trc import UNITS
from skelbridge.poses import MILLIMETRES, Poses, Units
from skelbridge.skeletons import Skeleton

BLOCK = 512
INTEL, DEC, MIPS = 84, 85, 86

#: Groups of "points" that are no places.
NO_POINTS = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS")

Parameters = dict[str, Any]


@dataclass(frozen=True)
class _Numbers:
    """How a file writes its numbers: the byte order, and whether floats are DEC's."""

    order: str
    dec: bool

    def ints(self, data: bytes) -> NDArray[np.int16]:
        return np.frombuffer(data, dtype=f"{self.order}i2")

    def floats(self, data: bytes) -> NDArray[np.float32]:
        if not self.dec:
            return np.frombuffer(data, dtype=f"{self.order}f4")
        # A VAX float is an IEEE float with its halves swapped and four times as large.
        halves = np.frombuffer(data, dtype="<u2").reshape(-1, 2)[:, ::-1]
        return np.ascontiguousarray(halves).view("<f4").ravel() / np.float32(4)


@dataclass(frozen=True)
class _Content:
    """What a file holds: all its points, in the file's unit, with their labels; its parameters; what was noticed."""

    points: NDArray[np.float64]
    labels: list[str]
    rate: float
    units: Units
    parameters: Parameters
    notes: list[str]


def read_c3d(content: bytes, path: Path) -> tuple[NDArray[np.float64], list[str], float]:
    """All points of a C3D file (frames, points, 3) in mm, NaN where invalid or (0, 0, 0); labels; frames a second.

    A label is empty where a point has none. `path` is for messages. Raises FileFormatError for a damaged file, one
    cut off among them, and for points whose unit is none of length.
    """
    found = _decode(content, path, partial=False)
    if found.units not in MILLIMETRES:
        units = _strings(found.parameters.get("POINT:UNITS"))
        raise damaged(path, "POINT:UNITS", expected="mm, cm, m or inches", got=units, mend="Is it of places?")
    return found.points * MILLIMETRES[found.units], found.labels, found.rate


def read(path: Path, card: Skeleton | None, *, partial: bool = False) -> Poses:
    """Read the points of a C3D file, (frames, joints, 3): invalid, NaN and (0, 0, 0) ones are missing.

    Angles, forces and other values that are stored like points are left out, unlabelled points as well.
    Raises FileFormatError for a damaged file, before anything large is allocated; one with fewer frames than
    it declares is read with `partial`.
    """
    found = _decode(read_bytes(path), path, partial)
    count = len(found.labels)
    dropped = {label for group in NO_POINTS for label in _strings(found.parameters.get(f"POINT:{group}"))}
    kept = [k for k, label in enumerate(found.labels) if label and label[0] != "*" and label not in dropped]
    if len(kept) < count:
        left = f"{count - len(kept)} entries that are unlabelled or no places (angles, forces ...) left out"
        found.notes.append(left)
    if not kept:
        raise damaged(path, "POINT:LABELS", expected="labelled points", got=f"none in {count}")
    axes = {axis: _strings(found.parameters.get(f"POINT:{axis}_SCREEN")) for axis in ("X", "Y")}
    return named_poses(
        [found.labels[point].rpartition(":")[2].strip() for point in kept],
        found.points[:, kept],
        source=path,
        card=card,
        units=found.units,
        fps=found.rate if 0 < found.rate < 1e6 else None,
        notes=found.notes,
        meta={
            "container": "c3d",
            **{f"{axis.lower()}_screen": word[0] for axis, word in axes.items() if word},
        },
    )


def _decode(data: bytes, path: Path, partial: bool) -> _Content:
    if len(data) < 2 * BLOCK or data[1] != 0x50 or data[0] < 2:
        raise damaged(
            path,
            "byte 2",
            expected="a C3D file: 0x50",
            got=f"0x{data[1]:02x}" if len(data) > 1 else "no byte",
        )
    style, parameters = _read_parameters(path, data)
    count = _count(parameters, "POINT:USED", style.ints(data[2:4])[0])
    values, notes = _read_points(path, data, style, parameters, count, partial)
    units = (_strings(parameters.get("POINT:UNITS")) or [""])[0].lower()
    rate = _number(parameters, "POINT:RATE", float(style.floats(data[20:24])[0]))
    return _Content(values, _labels(parameters, count), rate, UNITS.get(units, "unknown"), parameters, notes)


def _read_parameters(path: Path, data: bytes) -> tuple[_Numbers, Parameters]:
    """The parameters as "GROUP:NAME" -> array or list of strings, and how numbers are written."""
    start = (data[0] - 1) * BLOCK
    if start + 4 > len(data) or data[start + 3] not in (INTEL, DEC, MIPS):
        got = data[start + 3] if start + 4 <= len(data) else "the end of the file"
        raise damaged(path, f"byte {start + 4}", expected="84, 85 or 86 (Intel, DEC, MIPS)", got=got)
    style = _Numbers(">" if data[start + 3] == MIPS else "<", data[start + 3] == DEC)
    groups: dict[int, str] = {}
    found: list[tuple[int, str, Any]] = []
    position = start + 4
    try:
        while position < len(data) and data[position]:
            length, group = struct.unpack_from("bb", data, position)
            name_end = position + 2 + abs(length)
            name = data[position + 2 : name_end].decode("latin-1").strip().upper()
            if group < 0:
                groups[-group] = name
            else:
                found.append((group, name, _parameter(data, name_end + 2, style)))
            offset = int(style.ints(data[name_end : name_end + 2])[0])
            if offset <= 0:
                break
            position = name_end + offset
    except (struct.error, IndexError, ValueError):
        raise damaged(path, f"byte {position + 1}", expected="a parameter", got="the end of the file") from None
    return style, {f"{groups.get(group, group)}:{name}": value for group, name, value in found}


def _parameter(data: bytes, position: int, style: _Numbers) -> NDArray[Any] | list[str]:
    """One parameter's value: a flat array of numbers, or a list of strings."""
    kind, dimensions = struct.unpack_from("bB", data, position)
    shape = list(data[position + 2 : position + 2 + dimensions])
    begin = position + 2 + dimensions
    size = int(np.prod(shape, dtype=object)) if shape else 1
    content = data[begin : begin + size * abs(kind)]
    if kind not in (-1, 1, 2, 4) or len(shape) != dimensions or len(content) != size * abs(kind):
        raise ValueError("not a parameter")
    if kind == -1:
        width = shape[0] if shape else 1
        text = content.decode("latin-1")
        return [text[k : k + width].strip(" \0") for k in range(0, len(text), width)] if width else []
    if kind == 1:
        return np.frombuffer(content, np.int8)
    return style.ints(content) if kind == 2 else style.floats(content)


def _number(parameters: Parameters, name: str, default: float) -> float:
    """A parameter that is one number."""
    value = parameters.get(name)
    return float(value[0] if isinstance(value, np.ndarray) and value.size else default)


def _count(parameters: Parameters, name: str, default: int) -> int:
    """A parameter that is a count: 16 bits, unsigned (frames go beyond 32767)."""
    value = _number(parameters, name, default)
    return int(value) & 0xFFFF if np.isfinite(value) else default


def _strings(value: object) -> list[str]:
    return [text for text in value if text] if isinstance(value, list) else []


def _labels(parameters: Parameters, count: int) -> list[str]:
    """The label of each point; more than 255 go on in LABELS2, LABELS3 ..."""
    labels: list[str] = []
    for key in ("LABELS", *(f"LABELS{number}" for number in range(2, 100))):
        value = parameters.get(f"POINT:{key}")
        if not isinstance(value, list):
            break
        labels += value
    return (labels + [""] * count)[:count]


def _read_points(
    path: Path, data: bytes, style: _Numbers, parameters: Parameters, count: int, partial: bool
) -> tuple[NDArray[np.float64], list[str]]:
    """The points, (frames, count, 3), NaN where invalid; and what was noticed."""
    scale = _number(parameters, "POINT:SCALE", float(style.floats(data[12:16])[0]))
    first_block = _count(parameters, "POINT:DATA_START", style.ints(data[16:18])[0]) or 1
    analog = int(style.ints(data[4:6])[0]) & 0xFFFF
    size = 4 if scale < 0 else 2
    width = (4 * count + analog) * size
    content = data[(first_block - 1) * BLOCK :]
    if not count or not np.isfinite(scale) or scale == 0:
        raise damaged(path, "POINT:USED, POINT:SCALE", expected="points and their scale", got=f"{count}, {scale}")
    available = len(content) // width
    frames = _declared_frames(style, data, parameters, available)
    told = []
    if frames > available and partial:
        told.append(f"{available} of {frames} declared frames are in the file")
        frames = available
    if not 0 < frames <= available:
        got = f"{available} in the file"
        raise damaged(path, "POINT:FRAMES", expected=f"{frames} frames", got=got, mend=PARTIAL)
    raw = content[: frames * width]
    with np.errstate(all="ignore"):
        table = (style.floats(raw) if scale < 0 else style.ints(raw)).reshape(frames, -1)[:, : 4 * count]
        points = table.reshape(frames, count, 4).astype(np.float64)
        if scale > 0:
            points[..., :3] *= scale
        zero = ~points[..., :3].any(axis=-1)
        valid = (points[..., 3] > -1) & (np.abs(points[..., :3]) < MAX_ABS).all(axis=-1)
    points[~valid | zero] = np.nan
    if (zero & valid).any():
        told.append(f"{int((zero & valid).sum())} points at (0, 0, 0) taken as missing")
    return points[..., :3], told


def _declared_frames(style: _Numbers, data: bytes, parameters: Parameters, available: int) -> int:
    """The declared number of frames; beyond 65535 the two 16-bit counts give way to the long ones.

    Where POINT:FRAMES and the header disagree, the one that the file has room for is taken.
    """
    first, last = (int(word) & 0xFFFF for word in style.ints(data[6:10]))
    declared = _count(parameters, "POINT:FRAMES", 0)
    if not 0 < declared <= available:
        declared = last - first + 1
    if available > 0xFFFF:
        begin, end = (_long(parameters, f"TRIAL:ACTUAL_{name}_FIELD") for name in ("START", "END"))
        long_frames = _number(parameters, "POINT:LONG_FRAMES", end - begin + 1 if begin and end else 0)
        declared = max(declared, int(min(long_frames, available + 1)))
    return declared


def _long(parameters: Parameters, name: str) -> int:
    """A count of two 16-bit words, the low one first; 0 where there is none."""
    value = parameters.get(name)
    if not isinstance(value, np.ndarray) or value.dtype.kind != "i" or value.size != 2:
        return 0
    return int(value[0]) & 0xFFFF | (int(value[1]) & 0xFFFF) << 16
