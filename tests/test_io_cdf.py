"""NASA CDF against files that cdflib writes, and against damage."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skelbridge.errors import FileFormatError
from skelbridge.io.cdf import read_cdf

cdfwrite = pytest.importorskip("cdflib.cdfwrite")

POSE = np.random.default_rng(0).normal(0, 1000, (7, 96)).astype(np.float32)


def written(folder: Path, spec: dict[str, Any] | None = None, *variables: tuple[dict[str, Any], Any]) -> bytes:
    """A CDF file of cdflib's; without variables, one like Human3.6M's: a Pose of one record."""
    path = folder / f"{len(list(folder.iterdir()))}.cdf"
    if not variables:
        variables = ((variable("Pose", 44, POSE.shape), POSE[None]),)
    spec = {"Majority": "row_major", **(spec or {})}
    with cdfwrite.CDF(str(path), cdf_spec=spec) as file:
        for one, data in variables:
            file.write_var(one, var_data=data if spec["Majority"] == "row_major" else in_columns(data, one))
    return path.read_bytes()


def in_columns(data: Any, one: dict[str, Any]) -> Any:
    """What cdflib, which writes arrays as they lie in memory, must be given for a file of column majority."""
    shape = one["Dim_Sizes"]
    if len(shape) < 2:
        return data
    return np.stack([record.ravel(order="F").reshape(shape) for record in data])


def variable(name: str, kind: int, shape: tuple[int, ...], **more: Any) -> dict[str, Any]:
    base = {"Variable": name, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": list(shape)}
    return {**base, "Var_Type": "zVariable", "Compress": 0, **more}


def read(content: bytes) -> dict[str, np.ndarray]:
    return read_cdf(io.BytesIO(content), "a.cdf")


@pytest.mark.parametrize("encoding", [1, 6], ids=["big endian", "little endian"])
@pytest.mark.parametrize("majority", ["row_major", "column_major"])
@pytest.mark.parametrize("packed", [0, 6], ids=["plain", "packed variable"])
def test_a_pose_reads_as_cdflib_wrote_it(tmp_path: Path, encoding: int, majority: str, packed: int) -> None:
    content = written(
        tmp_path,
        {"Encoding": encoding, "Majority": majority},
        (variable("Pose", 44, (7, 96), Compress=packed), POSE[None]),
    )
    (name,), (values,) = zip(*read(content).items(), strict=True)
    assert name == "Pose"
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, POSE[None])


def test_a_packed_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    plain = written(tmp_path)
    np.testing.assert_array_equal(read(written(tmp_path, {"Compressed": 6}))["Pose"], read(plain)["Pose"])
    np.testing.assert_array_equal(read(packed_whole(plain))["Pose"], POSE[None])


def packed_whole(content: bytes) -> bytes:
    """The file as one gzip record, by the format description."""
    gzip = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    data = gzip.compress(content[8:]) + gzip.flush()
    size = 32 + len(data)
    head = struct.pack(">qiqqi", size, 10, 8 + size, len(content) - 8, 0)
    return content[:4] + b"\xcc\xcc\x00\x01" + head + data + struct.pack(">qiiiii", 28, 11, 5, 0, 1, 6)


@pytest.mark.parametrize("majority", ["row_major", "column_major"])
def test_kinds_of_variables(tmp_path: Path, majority: str) -> None:
    rng = np.random.default_rng(1)
    cube = rng.integers(-100, 100, (5, 2, 3, 4)).astype(np.int16)
    line, single = rng.normal(size=(300, 3)), np.array([[7, 8]], np.uint8)
    found = read(
        written(
            tmp_path,
            {"Majority": majority, "rDim_sizes": [3]},
            (variable("cube", 2, (2, 3, 4)), cube),
            (variable("line", 45, (3,), Var_Type="rVariable", Dim_Vary=[True], Block_Factor=7), line),
            (variable("fixed", 11, (2,), Rec_Vary=False), single[0]),
            (variable("words", 51, (), Num_Elements=5), ["frame", "pose "]),
        )
    )
    np.testing.assert_array_equal(found["cube"], cube)
    np.testing.assert_array_equal(found["line"], line)
    np.testing.assert_array_equal(found["fixed"], single)
    assert found["words"].tolist() == [b"frame", b"pose "]


def test_a_file_cut_anywhere_is_damaged_or_still_whole(tmp_path: Path) -> None:
    content = written(tmp_path)
    end = len(content)
    for length in [0, 5, 9, 40, *range(300, end, 97)]:
        with pytest.raises(FileFormatError, match=r"a\.cdf"):
            read(content[:length])


def test_no_flipped_byte_of_the_records_brings_another_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for content in (written(tmp_path), packed_whole(written(tmp_path))):
        for _ in range(1500):
            wrong = bytearray(content)
            for at in rng.integers(0, min(len(content), 1400), 2):
                wrong[at] = rng.integers(256)
            with contextlib.suppress(FileFormatError):
                read(bytes(wrong))


def test_what_is_refused_says_so(tmp_path: Path) -> None:
    content = written(tmp_path)
    with pytest.raises(FileFormatError, match=r"version 2\.6 or later"):
        read(b"\x89HDF\r\n\x1a\n" + content)
    with pytest.raises(FileFormatError, match="IEEE numbers, got 3"):
        read(content[:36] + struct.pack(">i", 3) + content[40:])


def test_a_declared_size_is_checked_before_it_is_allocated(tmp_path: Path) -> None:
    content = written(tmp_path, None, (variable("Pose", 44, (7, 96), Compress=6), POSE[None]))
    at = content.index(struct.pack(">ii", 7, 96))
    with pytest.raises(FileFormatError, match="records in the file"):
        read(content[:at] + struct.pack(">ii", 2**30, 2**30) + content[at + 8 :])
    bomb = packed_whole(content)
    at = 8 + 8 + 4 + 8
    with pytest.raises(FileFormatError, match="size that gzip reaches"):
        read(bomb[:at] + struct.pack(">q", 2**50) + bomb[at + 8 :])


def test_circles_of_records_end(tmp_path: Path) -> None:
    content = written(tmp_path)
    first = struct.unpack_from(">q", content, struct.unpack_from(">q", content, 20)[0] + 20)[0]
    circle = content[: first + 12] + struct.pack(">q", first) + content[first + 20 :]
    with pytest.raises(FileFormatError, match="circle"):
        read(circle)
