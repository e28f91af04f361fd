"""JSON with bounds and with errors that name the key: what the JSON containers share."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.io.files import MAX_ABS, damaged, read_text, replacing
from skelbridge.skeletons import Skeleton, formats, skeleton

#: The format a list of key points of that length has where nothing else says it.
FORMAT_BY_COUNT = {17: "coco_17", 26: "halpe_26", 133: "coco_wholebody_133", 136: "halpe_136"}

#: The key under which our own files note the format.
NOTED = "skelbridge_format"


def load_json(path: Path) -> Any:
    """The content of a JSON file; FileFormatError with the line where it breaks."""
    return parse_json(read_text(path), path)


def parse_json(text: str | bytes, path: Path) -> Any:
    """The content of JSON text; FileFormatError with the line where it breaks. `path` is for messages."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise damaged(path, place, expected="JSON", got=error.msg) from None
    except (RecursionError, ValueError) as error:
        raise damaged(path, "", expected="JSON", got=type(error).__name__) from None


def save_json(content: Any, path: Path) -> None:
    """Write JSON, as a whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False, separators=(",", ":")) + "\n", encoding="utf-8")


def entry(path: Path, place: str, mapping: Any, key: str, kind: type | tuple[type, ...] = list) -> Any:
    """`mapping[key]` where it is of that kind; FileFormatError that names the key otherwise."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    expected = f"a JSON object with {key!r}: {' or '.join(k.__name__ for k in kinds)}"
    if not isinstance(mapping, dict):
        raise damaged(path, place, expected=expected, got=type(mapping).__name__)
    if key not in mapping:
        raise damaged(path, place, expected=expected, got=f"keys {', '.join(map(str, list(mapping)[:8])) or 'none'}")
    if not isinstance(mapping[key], kinds):
        raise damaged(path, f"{place}, {key!r}", expected=expected, got=type(mapping[key]).__name__)
    return mapping[key]


def table(path: Path, place: str, values: Any, width: int) -> NDArray[np.float64]:
    """A flat list of numbers, or a list of rows of `width` of them, as (rows, width); null is NaN."""
    if isinstance(values, list) and values and all(isinstance(row, list) and len(row) == width for row in values):
        values = [value for row in values for value in row]
    if not isinstance(values, list) or len(values) % width or not all(map(_is_number, values)):
        wrong = (
            next((v for v in values if not _is_number(v)), f"{len(values)} values")
            if isinstance(values, list)
            else values
        )
        raise damaged(path, place, expected=f"a list of numbers, {width} a point", got=repr(wrong)[:60])
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64).reshape(-1, width)


def _is_number(value: Any) -> bool:
    if value is None:
        return True
    fine = isinstance(value, int | float) and not isinstance(value, bool)
    return fine and (math.isnan(value) or abs(value) < MAX_ABS)


def stacked(path: Path, rows: Iterable[NDArray[np.float64]], what: str) -> NDArray[np.float64]:
    """Equal tables on top of each other, (n, rows, width); FileFormatError where sizes differ or none is."""
    rows = list(rows)
    if not rows:
        raise damaged(path, "", expected=what, got="none")
    for position, row in enumerate(rows):
        if row.shape != rows[0].shape:
            raise damaged(path, f"{what} {position}", expected=f"{len(rows[0])} points", got=len(row))
    return np.stack(rows)


def padded(path: Path, frames: list[list[NDArray[np.float64]]], what: str) -> NDArray[np.float64]:
    """Tables of every frame's people as (frames, people, rows, width), NaN where a frame has fewer people.

    FileFormatError where the tables differ in size, there are none, or one frame has absurdly many.
    """
    sample = stacked(path, [person for frame in frames for person in frame], what)
    people = max(map(len, frames))
    if len(frames) * people > 100 * len(sample) + 1000:
        raise damaged(path, what, expected="about as many in every frame", got=f"up to {people}")
    full = np.full((len(frames), people, *sample.shape[1:]), np.nan)
    for row, frame in zip(full, frames, strict=True):
        row[: len(frame)] = np.array(frame).reshape(-1, *sample.shape[1:])
    return full


def format_by_count(path: Path, count: int) -> Skeleton:
    """The usual format of `count` points without names; InputError names the candidates if none is usual."""
    if count in FORMAT_BY_COUNT:
        return skeleton(FORMAT_BY_COUNT[count])
    same = [card.id for card in formats() if len(card) == count]
    raise InputError(
        f"the format of {path}",
        expected="a list of key points whose format is known",
        got=f"{count} points without names",
        mend=f"Say format=, one of {', '.join(same)}." if same else "No known format has so many: write a card.",
    )


def noted_format(name: Any, count: int) -> Skeleton | None:
    """The format that a file of ours notes, where it is still known and has that many joints."""
    try:
        found = skeleton(name) if isinstance(name, str) else None
    except (LookupError, ValueError):
        return None
    return found if found is not None and len(found) == count else None


def rate_of(mapping: dict[str, Any]) -> float | None:
    """The frame rate under `fps`, None where it is none."""
    rate = mapping.get("fps")
    return float(rate) if isinstance(rate, int | float) and 0 < rate < 1e6 else None


def triples(points: NDArray[Any], confidence: NDArray[Any] | None, flag: bool = False) -> list[list[float]]:
    """Poses (n, joints, dims) as flat lists x, y, (z,) c; missing is all zeros, `flag` makes c 0, 1 or 2."""
    seen = ~np.isnan(points).any(axis=-1)
    sure = np.where(seen, 1.0 if confidence is None else confidence, 0.0)
    if flag:
        sure = np.where(seen, np.where(sure > 0.5, 2, 1), 0)
    full = np.concatenate([np.where(seen[..., None], points, 0.0), sure[..., None]], axis=-1)
    return [[float(value) for value in row] for row in full.reshape(len(full), -1)]
