"""TRC (track row column; Motion Analysis, OpenSim): tab-separated, a line a frame, three cells a marker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.io.files import PARTIAL, damaged, numbers, read_text, replacing
from skelbridge.io.named import named_poses
from skelbridge.poses import Poses, Units
from skelbridge.skeletons import Skeleton

UNITS: dict[str, Units] = {
    "mm": "mm", "millimeters": "mm", "millimetres": "mm", "cm": "cm", "m": "m", "meters": "m", "metres": "m",
    "in": "inch", "inch": "inch", "inches": "inch", "px": "px",
}  # fmt: skip


def read(path: Path, card: Skeleton | None, *, partial: bool = False) -> Poses:
    """Read a TRC file, (frames, joints, 3); empty cells and NaN are missing.

    Raises FileFormatError with the line; without `partial` also where the frames are not as many as declared.
    """
    lines = read_text(path).split("\n")
    if not lines[0].startswith("PathFileType") or len(lines) < 5:
        raise damaged(path, "line 1", expected="a TRC file: PathFileType ...", got=lines[0])
    header = dict(zip(_cells(lines[1]), _cells(lines[2]), strict=False))
    names, columns = _markers(path, lines[3])
    rows = [(number, line) for number, line in enumerate(lines[5:], start=6) if line.strip()]
    declared = header.get("NumFrames", "")
    if declared != str(len(rows)) and not partial:
        got = f"{len(rows)} lines"
        raise damaged(path, "line 3, NumFrames", expected=declared or "a count", got=got, mend=PARTIAL)
    if not rows:
        raise damaged(path, "line 6", expected="frames", got="none")
    points = np.stack([_row(path, number, line, columns) for number, line in rows])
    rate = float(numbers([header.get("DataRate") or "0"], path, "line 3, DataRate")[0])
    return named_poses(
        names,
        points,
        source=path,
        card=card,
        units=UNITS.get(header.get("Units", "").lower(), "unknown"),
        fps=rate if rate > 0 else None,
        meta={"container": "trc"},
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")]


def _markers(path: Path, line: str) -> tuple[list[str], list[int]]:
    """Marker names of line 4 and the column of each one's x."""
    cells = _cells(line)
    if [cell.lower() for cell in cells[:2]] != ["frame#", "time"]:
        raise damaged(path, "line 4", expected="Frame#, Time, marker names", got=line)
    columns = [column for column, cell in enumerate(cells) if cell and column >= 2]
    if not columns or any((column - 2) % 3 for column in columns):
        raise damaged(path, "line 4", expected="a marker name in every third column", got=line)
    return [cells[column] for column in columns], columns


def _row(path: Path, number: int, line: str, columns: list[int]) -> NDArray[np.float64]:
    """The points of one line, (markers, 3); missing cells at the end of a line count as empty."""
    cells = line.split("\t")
    place = f"line {number}"
    width = columns[-1] + 3
    if not cells[0].strip().isdecimal() or any(cell.strip() for cell in cells[width:]):
        expected = f"a frame number, a time and {width - 2} coordinates"
        raise damaged(path, place, expected=expected, got=f"{len(cells)} cells, first {cells[0]!r}")
    cells += [""] * (width - len(cells))
    words = [cells[column + axis].strip() for column in columns for axis in range(3)]
    blank = np.array([word == "" or word.lower() == "nan" for word in words])
    points = np.full(len(words), np.nan)
    points[~blank] = numbers([word for word in words if word and word.lower() != "nan"], path, place)
    return points.reshape(-1, 3)


def write(poses: Poses, path: Path) -> list[str]:
    """Write a TRC file; missing points become empty cells. Returns what the container could not keep.

    Raises InputError for 2D points, several people, or no frame rate (the container wants one).
    """
    points = poses.one_person()
    if poses.dims != 3 or poses.fps is None:
        raise InputError(
            f"poses for {path}",
            expected="3D points and a frame rate",
            got=f"{poses.dims}D, {poses.fps or 'no'} fps",
            mend="Give the rate where the file is read: read(path, fps=120), or --fps 120.",
        )
    names = poses.skeleton.names
    fields = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame OrigNumFrames"
    rate = f"{poses.fps:.10g}"
    values = [rate, rate, len(points), len(names), poses.units, rate, 1, len(points)]
    axes = [f"{axis}{marker}" for marker in range(1, len(names) + 1) for axis in "XYZ"]
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        fields.replace(" ", "\t"),
        "\t".join(map(str, values)),
        "Frame#\tTime\t" + "\t\t\t".join(names),
        "\t\t" + "\t".join(axes),
        "",
    ]
    for frame, row in enumerate(points.reshape(len(points), -1)):
        cells = ["" if np.isnan(value) else repr(float(value)) for value in row]
        lines.append("\t".join([str(frame + 1), repr(frame / poses.fps), *cells]))
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["confidence is not kept"] if poses.confidence is not None else []
