"""CSV: a column `joint_x` for each coordinate, `joint_confidence` where known; `frame` and `person` first.

Our own files begin with a comment that names the format, the units and the rate. Other files with such
columns (also `joint_score`, `joint_visibility`, `joint_likelihood`), or without any header, are read as well.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.io.files import damaged, numbers, read_text, replacing, short
from skelbridge.io.json_files import noted_format
from skelbridge.io.named import named_poses
from skelbridge.poses import Poses, Units
from skelbridge.skeletons import Skeleton

SCORES = ("confidence", "score", "visibility", "likelihood", "c")
COLUMN = re.compile(r"(.+)[_. ](x|y|z|" + "|".join(SCORES) + ")$", re.IGNORECASE)


def read(path: Path, card: Skeleton | None) -> Poses:
    """Read a CSV file: (frames, joints, dims), or (frames, people, joints, dims) with a column `person`.

    Empty cells are missing. A file without a header needs its format named: its columns are then x, y (, z)
    of each joint in order. Raises FileFormatError with the line.
    """
    lines = read_text(path).split("\n")
    told = _comment(lines[0]) if lines[0].startswith("#") else {}
    try:
        rows = [row for row in csv.reader(lines[1 if told else 0 :]) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise damaged(path, "", expected="CSV", got=str(error)) from None
    if not rows:
        raise damaged(path, "line 1", expected="a header and frames", got="none")
    header = [cell.strip() for cell in rows[0]]
    if not any(COLUMN.fullmatch(cell) for cell in header):
        return _headless(path, rows, card)
    return _with_header(path, header, rows[1:], card, told)


def _comment(line: str) -> dict[str, str]:
    """The words `key=value` of the first line of our own files."""
    return dict(word.partition("=")[::2] for word in line.lstrip("# ").split() if "=" in word)


def _values(path: Path, rows: list[list[str]], width: int) -> NDArray[np.float64]:
    """The cells as numbers, (rows, width), NaN where empty."""
    table = np.full((len(rows), width), np.nan)
    for number, row in enumerate(rows):
        if len(row) != width:
            raise damaged(path, f"row {number + 1}", expected=f"{width} cells", got=len(row))
        cells = [cell.strip() for cell in row]
        full = np.array([cell != "" and cell.lower() != "nan" for cell in cells])
        words = [cell for cell, is_full in zip(cells, full, strict=True) if is_full]
        table[number, full] = numbers(words, path, f"row {number + 1}")
    return table


def _headless(path: Path, rows: list[list[str]], card: Skeleton | None) -> Poses:
    if card is None:
        mend = "Say format=, or give a header with columns joint_x, joint_y."
        raise InputError(f"the format of {path}", expected="a header", got=short(", ".join(rows[0])), mend=mend)
    width = len(rows[0])
    if width not in (2 * len(card), 3 * len(card)):
        expected = f"{2 * len(card)} or {3 * len(card)} columns for {card}"
        raise damaged(path, "line 1", expected=expected, got=width, mend="Is it in another format?")
    points = _values(path, rows, width).reshape(len(rows), len(card), -1)
    return Poses(points, card, meta={"source": str(path), "container": "csv", "notes": []})


def _with_header(
    path: Path, header: list[str], rows: list[list[str]], card: Skeleton | None, told: dict[str, str]
) -> Poses:
    places = _places(path, header)
    table = _values(path, rows, len(header))
    if not len(table):
        raise damaged(path, "line 2", expected="frames", got="none")
    names = list(places)
    axes = [axis for axis in "xyz" if axis in places[names[0]]]
    for name, found in places.items():
        if [axis for axis in "xyz" if axis in found] != axes or axes not in (["x", "y"], ["x", "y", "z"]):
            raise damaged(path, f"column {name}", expected="x, y (and z for all)", got=", ".join(found))
    points = np.stack([table[:, [places[name][axis] for axis in axes]] for name in names], axis=1)
    confidence = None
    if all("confidence" in found for found in places.values()):
        confidence = np.nan_to_num(table[:, [places[name]["confidence"] for name in names]])
        if confidence.min(initial=0) < 0 or confidence.max(initial=0) > 1:
            raise damaged(path, "confidence", expected="numbers in [0, 1]", got=confidence.max())
    if "person" in header:
        points, confidence = _by_person(path, header, table, points, confidence)
    card = card or noted_format(told.get("format"), len(names))
    rate = told.get("fps", "")
    units: Units = next((name for name in get_args(Units) if name == told.get("units")), "unknown")
    return named_poses(
        names,
        points,
        source=path,
        card=card,
        confidence=confidence,
        units=units,
        fps=float(numbers([rate], path, "line 1, fps")[0]) if rate else None,
        meta={"container": "csv"},
    )


def _places(path: Path, header: list[str]) -> dict[str, dict[str, int]]:
    """Joint -> axis (x, y, z, confidence) -> column."""
    places: dict[str, dict[str, int]] = {}
    for column, cell in enumerate(header):
        if match := COLUMN.fullmatch(cell):
            axis = "confidence" if match[2].lower() in SCORES else match[2].lower()
            if axis in places.setdefault(match[1], {}):
                raise damaged(path, f"column {column + 1}", expected="each column once", got=cell)
            places[match[1]][axis] = column
    return places


def _by_person(
    path: Path,
    header: list[str],
    table: NDArray[np.float64],
    points: NDArray[np.float64],
    confidence: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Rows of (frame, person) as arrays (frames, people, ...), NaN where a person is not in a frame."""
    if "frame" not in header:
        raise damaged(path, "line 1", expected="a column `frame` beside `person`", got="none")
    frames, frame = np.unique(table[:, header.index("frame")], return_inverse=True)
    people, person = np.unique(table[:, header.index("person")], return_inverse=True)
    shape = (len(frames), len(people))
    if shape[0] * shape[1] > 100 * len(table) + 1000:
        raise damaged(path, "column person", expected="about as many people in every frame", got=f"{shape}")
    full = np.full((*shape, *points.shape[1:]), np.nan)
    full[frame, person] = points
    if confidence is None:
        return full, None
    sure = np.zeros(full.shape[:-1])
    sure[frame, person] = confidence
    return full, sure


def write(poses: Poses, path: Path) -> list[str]:
    """Write a comment that names format, units and rate, a header, and a row for each frame and person."""
    points, confidence = poses.frames_and_people()
    several = poses.points.ndim > 3
    rate = f" fps={poses.fps!r}" if poses.fps else ""
    axes = ["x", "y", "z"][: poses.dims] + (["confidence"] if confidence is not None else [])
    columns = ["frame", *(["person"] if several else [])]
    columns += [f"{name}_{axis}" for name in poses.skeleton.names for axis in axes]
    table = points if confidence is None else np.concatenate([points, confidence[..., None]], axis=-1)
    text = io.StringIO()
    text.write(f"# format={poses.skeleton} units={poses.units}{rate}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for frame, people in enumerate(table):
        for number, person in enumerate(people):
            cells = ["" if np.isnan(value) else repr(float(value)) for value in person.ravel()]
            writer.writerow([frame, *([number] if several else []), *cells])
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return []
