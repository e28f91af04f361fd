"""Plain NumPy files: npz (our own, complete), and npz or npy of others with a format named by the user.

They are parsed here rather than by numpy.load: nothing is unpickled, and a declared size is compared with the
file before anything is allocated.
"""

from __future__ import annotations

import io
import json
import math
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError
from skelbridge.io.files import MAX_ABS, damaged, read_bytes, replacing
from skelbridge.io.json_files import noted_format
from skelbridge.poses import Poses, looks_like_scores
from skelbridge.skeletons import Skeleton

#: Under which key others keep points, in the order of trying.
KEYS = ("points", "keypoints", "keypoints_3d", "positions", "joints", "positions_3d", "arr_0")

#: A member of an archive may unpack to this many bytes, or to a hundred times its packed size.
UNPACKED = 2**26


def read_npy(path: Path, card: Skeleton | None) -> Poses:
    """Read a .npy array (..., joints, 2 or 3) whose format must be given."""
    points = parsed(path, path.name, read_bytes(path))
    return _foreign(path, points, None, card, "npy")


def read_npz(path: Path, card: Skeleton | None, *, key: str | None = None) -> Poses:
    """Read a .npz of ours, or another's array `key` (..., joints, 2 or 3) whose format must be given.

    Without `key` the usual names are tried, and a lone array is taken. Object arrays (pickles) are refused.
    """
    with _archive(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if "skelbridge" in names:
            return _own(path, archive, card)
        key = key or next((name for name in KEYS if name in names), names[0] if len(names) == 1 else None)
        if key not in names:
            expected = f"an array {key!r}" if key else f"one of {', '.join(KEYS)}"
            raise damaged(path, "", expected=expected, got=", ".join(names[:12]) or "none", mend="Say key=.")
        confidence = _member(path, archive, "confidence") if "confidence" in names else None
        return _foreign(path, _member(path, archive, key), confidence, card, "npz")


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(read_bytes(path)))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise damaged(path, "", expected="an npz archive", got=str(error)) from None


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> NDArray[Any]:
    """One array of the archive, refused where it would unpack to something out of proportion."""
    try:
        info = archive.getinfo(f"{key}.npy")
        check_packing(path, info)
        with archive.open(info) as member:
            content = member.read(info.file_size)
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise damaged(path, key, expected="a readable array", got=str(error) or type(error).__name__) from None
    return parsed(path, key, content)


def check_packing(path: Path, info: zipfile.ZipInfo) -> None:
    """FileFormatError for a member of an archive that unpacks to something out of proportion."""
    if info.file_size > max(UNPACKED, 100 * info.compress_size):
        got = f"{info.file_size} bytes unpacked"
        raise damaged(path, info.filename.removesuffix(".npy"), expected="a packing of at most 1:100", got=got)


def parsed(path: Path, place: str, content: bytes) -> NDArray[Any]:
    """The array of a .npy's bytes; FileFormatError for a pickle, another size than declared, or damage."""
    stream = io.BytesIO(content)
    shape, fortran, dtype = npy_header(path, place, stream, len(content))
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")


def npy_header(path: Path, place: str, stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype of a .npy of `size` bytes; the stream stands at the numbers then.

    FileFormatError for a pickle, another size than declared, or damage.
    """
    try:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a header as Python 2 wrote it
            shape, fortran, dtype = header(stream)
    except Exception as error:  # numpy's parser raises many kinds for damaged headers
        raise damaged(path, place, expected="a NumPy array", got=f"{type(error).__name__}: {error}") from None
    if dtype.hasobject or dtype.kind not in "fiuU":
        mend = "Objects are pickles and are never loaded; save the array as floats."
        raise damaged(path, place, expected="an array of floats", got=f"dtype {dtype}", mend=mend)
    count = math.prod(shape)
    left = size - stream.tell()
    if count * dtype.itemsize != left or any(side < 0 for side in shape) or not dtype.itemsize:
        raise damaged(path, place, expected=f"{count} numbers of {dtype}", got=f"{left} bytes")
    return shape, fortran, dtype


def _foreign(
    path: Path, points: NDArray[Any], confidence: NDArray[Any] | None, card: Skeleton | None, container: str
) -> Poses:
    """Poses of an array whose format the user names; x, y, score is told apart by the numbers."""
    if card is None:
        raise InputError(
            f"the format of {path}",
            expected="format=, for the file does not name it",
            got=f"shape {points.shape}",
        )
    notes = []
    points = as_floats(path, points)
    if confidence is None and points.ndim >= 2 and _ends_in_scores(points):
        points, confidence = points[..., :-1], points[..., -1]
        notes.append("last column read as confidence")
    meta = {"source": str(path), "container": container, "notes": notes}
    return Poses(points, card, None if confidence is None else as_floats(path, confidence), "unknown", None, meta)


def _ends_in_scores(points: NDArray[Any]) -> bool:
    """Whether the last of three or four columns is a confidence."""
    if points.shape[-1] != 4 and not looks_like_scores(points):
        return False
    return bool(points.size and points[..., -1].min() >= 0 and points[..., -1].max() <= 1)


def as_floats(path: Path, values: NDArray[Any], place: str = "") -> NDArray[Any]:
    """Numbers as floats of the machine's byte order; FileFormatError for text, infinities and absurd values."""
    if values.dtype.kind == "U":
        raise damaged(path, place, expected="numbers", got="text")
    native = values.dtype.newbyteorder("=") if values.dtype.kind == "f" else np.dtype(np.float64)
    if native.itemsize < 4:  # a half holds neither metres in mm nor the bound below
        native = np.dtype(np.float32)
    floats = values.astype(native)  # a copy, for the bytes of the file are read-only
    with np.errstate(invalid="ignore"):
        if (np.abs(floats) > MAX_ABS).any():
            raise damaged(path, place, expected="finite numbers", got="larger ones")
    return floats


def _own(path: Path, archive: zipfile.ZipFile, card: Skeleton | None) -> Poses:
    """What `write` wrote: the points, the confidence, and the rest as JSON."""
    points = as_floats(path, _member(path, archive, "points"))
    confidence = None
    if "confidence.npy" in archive.namelist():
        confidence = as_floats(path, _member(path, archive, "confidence"))
    try:
        told = json.loads(str(_member(path, archive, "skelbridge")[()]))
        skeleton_of_file = noted_format(told["format"], points.shape[-2])
        found = card or skeleton_of_file or Skeleton.model_validate(told["skeleton"])
        meta = {**told["meta"], "source": str(path), "container": "npz"}
        return Poses(points, found, confidence, told["units"], told["fps"], meta)
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise damaged(path, "skelbridge", expected="format, units, fps, meta as JSON", got=str(error)) from None


def write_npz(poses: Poses, path: Path) -> list[str]:
    """Write everything: points, confidence, format, units, rate and those notes that JSON can hold."""
    told = {
        "format": str(poses.skeleton),
        "skeleton": poses.skeleton.model_dump(mode="json"),
        "units": poses.units,
        "fps": poses.fps,
        "meta": {key: value for key, value in poses.meta.items() if _is_plain(value)},
    }
    arrays: dict[str, Any] = {"points": poses.points, "skelbridge": np.array(json.dumps(told))}
    if poses.confidence is not None:
        arrays["confidence"] = poses.confidence
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return []


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
