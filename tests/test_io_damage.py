"""Damaged, hostile and wrong files: one clear error or valid poses, nothing else."""

from __future__ import annotations

import io
import json
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pose_files import AMC, BVH, SAMPLES, c3d_bytes, small_poses

from skelbridge.errors import FileFormatError, InputError, SkelbridgeError
from skelbridge.io import CONTAINERS, read, write
from skelbridge.poses import Poses

Edit = tuple[str, float, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "remove", "insert", "double"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=4),
            st.sampled_from(
                [
                    b"9",
                    b"-",
                    b"e",
                    b"nan",
                    b"1e400",
                    b"{",
                    b"}",
                    b"[",
                    b'"',
                    b"null",
                    b"\t",
                    b"\n",
                    b"99999999",
                ]
            ),
        ),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[Edit]) -> bytes:
    for kind, at, data in edits:
        k = int(at * len(content))
        if kind == "flip":
            content = content[:k] + data + content[k + len(data) :]
        elif kind == "cut":
            content = content[:k]
        elif kind == "remove":
            content = content[:k] + content[k + 3 * len(data) :]
        elif kind == "insert":
            content = content[:k] + data + content[k:]
        else:
            content = content[: k + 40] + content[k:]
    return content


def read_sample(path: Path) -> Poses:
    target = path.with_name("01_02.amc") if path.suffix == ".asf" else path
    return read(target, "coco_17" if path.suffix == ".npy" else None)


def read_or_error(path: Path) -> Poses | SkelbridgeError:
    """What reading gives; any error but ours goes through."""
    try:
        return read_sample(path)
    except SkelbridgeError as error:
        return error


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_undamaged_samples_are_read(kind: str, tmp_path: Path) -> None:
    assert len(read_sample(SAMPLES[kind](tmp_path)))


@pytest.mark.parametrize("kind", SAMPLES)
def test_damage_gives_one_clear_error(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = SAMPLES[kind](tmp_path_factory.mktemp(kind))
    content = path.read_bytes()

    @settings(max_examples=120, deadline=2000, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(EDITS)
    def damaged(edits: list[Edit]) -> None:
        path.write_bytes(edited(content, edits))
        outcome = read_or_error(path)
        if isinstance(outcome, Poses):
            assert not np.isinf(outcome.points).any()
        else:
            assert str(path.parent) in str(outcome) or isinstance(outcome, InputError)
            assert len(str(outcome)) < 1500

    damaged()


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_cut_of_the_head_is_an_error_or_poses(kind: str, tmp_path: Path) -> None:
    path = SAMPLES[kind](tmp_path)
    content = path.read_bytes()
    for end in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:end])
        assert isinstance(read_or_error(path), Poses | SkelbridgeError)


@pytest.mark.parametrize("suffix", sorted({container.suffix for container in CONTAINERS} - {""}))
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\0" * 5000, b"\x89PNG\r\n\x1a\n" + b"x" * 2000, b"hello world"])
def test_empty_and_foreign_content(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises((FileFormatError, InputError), match="a\\" + suffix):
        read(path, "coco_17")


def test_missing_and_unknown_kinds(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="nothing there"):
        read(tmp_path / "no.bvh")
    (tmp_path / "a.xyz").write_text("1")
    with pytest.raises(FileFormatError, match=r"\.bvh"):
        read(tmp_path / "a.xyz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match="OpenPose"):
        read(tmp_path / "empty")
    (tmp_path / "a.bvh").write_text(BVH)
    with pytest.raises(InputError, match="partial"):
        read(tmp_path / "a.bvh", asf_path="x")


class Hostile:
    """Would make a folder when unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple:
        return (Path.mkdir, (self.mark,))


@pytest.mark.parametrize("kind", ["npz", "npy", "renamed", "own"])
def test_a_pickle_is_refused_and_not_run(kind: str, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    array = np.array([Hostile(mark)], dtype=object)
    path = tmp_path / ("a.npy" if kind in ("npy", "renamed") else "a.npz")
    if kind == "npz":
        np.savez(path, points=array)
    elif kind == "own":
        np.savez(path, points=np.zeros((2, 17, 3)), skelbridge=array)
    elif kind == "npy":
        np.save(path, array, allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Hostile(mark)))
    with pytest.raises(FileFormatError):
        read(path, "coco_17")
    assert not mark.exists()


def peak_of_failing_read(path: Path, format: str | None = None) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(SkelbridgeError):
            read(path, format)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_huge_declared_counts_allocate_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(BVH.replace("Frames: 2", "Frames: 99999999999"))
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 17, 3)})
    (tmp_path / "a.npy").write_bytes(stream.getvalue() + b"\0" * 64)
    bomb = io.BytesIO()
    np.lib.format.write_array_header_1_0(bomb, {"descr": "<f8", "fortran_order": False, "shape": (2**19, 17, 3)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("points.npy", bomb.getvalue() + bytes(2**19 * 17 * 3 * 8))
    data = bytearray(c3d_bytes(np.zeros((2, 2, 3)), ["a", "b"]))
    data[2:4] = data[8:10] = b"\xff\xff"
    (tmp_path / "a.c3d").write_bytes(data)
    deep = tmp_path / "a.json"
    deep.write_text('{"people": ' + "[" * 100_000)
    for name in ("a.bvh", "a.npy", "a.npz", "a.c3d", "a.json"):
        assert peak_of_failing_read(tmp_path / name, "coco_17") < 30e6, name


def test_cut_motion_says_so_and_is_read_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(BVH.rsplit("\n", 2)[0] + "\n")
    with pytest.raises(FileFormatError, match="partial=True"):
        read(path)
    assert len(read(path, partial=True)) == 1
    c3d = tmp_path / "a.c3d"
    c3d.write_bytes(c3d_bytes(np.ones((5, 2, 3)), ["a", "b"])[:-40])
    with pytest.raises(FileFormatError, match="partial=True"):
        read(c3d)
    assert len(read(c3d, partial=True)) == 3
    trc = tmp_path / "a.trc"
    write(small_poses(frames=5), trc)
    trc.write_text("\n".join(trc.read_text().split("\n")[:-3]) + "\n")
    with pytest.raises(FileFormatError, match="partial=True"):
        read(trc)
    assert len(read(trc, partial=True)) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"annotations": 3}, ["annotations", "int"]),
        ({"annotations": []}, ["annotation", "none"]),
        ({"annotations": [{"bbox": []}]}, ["annotation 0", "keypoints", "bbox"]),
        ({"annotations": [{"keypoints": [1, 2, "x"]}]}, ["annotation 0", "'x'"]),
        ({"annotations": [{"keypoints": [1, 2]}]}, ["annotation 0", "keypoints"]),
        (
            {"annotations": [{"keypoints": [1, 2, 2] * 17}, {"keypoints": [1, 2, 2] * 16}]},
            ["annotation 1", "16"],
        ),
        ({"annotations": [{"keypoints": [1, 2, 0.7] * 17}]}, ["0, 1 or 2", "results"]),
        ({"people": [{"pose_keypoints_2d": {}}]}, ["person 0", "pose_keypoints_2d", "dict"]),
        ({"people": []}, ["people", "none"]),
        ({"people": [{"pose_keypoints_2d": [1, 2, 0.5] * 23}]}, ["23 points", "coco_23"]),
        (
            [{"frame_id": 0, "instances": [{"keypoints": [[1, 2]], "keypoint_scores": []}]}],
            ["keypoint_scores"],
        ),
        ({"format": "mediapipe_pose_33", "frames": [{"landmarks": []}]}, ["frame 0", "world_landmarks"]),
        ({"boxes": []}, ["OpenPose", "boxes"]),
        ([], ["COCO", "list"]),
        (7, ["COCO", "int"]),
    ],
)
def test_wrong_json_names_the_key(content: object, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises((FileFormatError, InputError)) as caught:
        read(path)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("OFFSET 0 5 0", "OFFSET 0 5", ["line 8", "3 numbers"]),
        ("OFFSET 0 5 0", "OFFSET 0 five 0", ["line 8", "five"]),
        ("CHANNELS 3 Yrotation", "CHANNELS 4 Yrotation", ["line 9", "CHANNELS"]),
        ("1 2 3 90 0 0 30", "1 2 3 90 0 0 nan", ["line 34", "nan"]),
        ("1 2 3 90 0 0 30", "1 2 3 90 0 0 3O", ["line 34", "3O"]),
        ("Frame Time: 0.0083333", "Frame Time: soon", ["line 32", "soon"]),
        ("}\nMOTION", "MOTION", ["braces"]),
        ("HIERARCHY", "HIERARCHIE", ["line 1", "BVH"]),
    ],
)
def test_wrong_bvh_names_the_line(old: str, new: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(BVH.replace(old, new, 1))
    with pytest.raises(FileFormatError) as caught:
        read(path)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_wrong_amc_names_the_frame_and_the_bone(tmp_path: Path) -> None:
    path = SAMPLES["amc"](tmp_path)
    for old, new, words in [
        ("ltibia 40", "ltibia x", ["ltibia", "x"]),
        ("ltibia 40", "rtibia 40", ["frame 2", "ltibia", "rtibia"]),
        ("ltibia 40", "", ["frame 2", "words"]),
        ("lfemur 0 0 0", "femur 0 0 0", ["frame 1", "femur", "belong together"]),
    ]:
        path.write_text(AMC.replace(old, new))
        with pytest.raises(FileFormatError) as caught:
            read(path)
        assert all(word in str(caught.value) for word in words), str(caught.value)
    (tmp_path / "01.asf").unlink()
    with pytest.raises(FileFormatError, match=r"asf_path="):
        read(path)


def test_a_failing_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    for name, dims in (("a.trc", 3), ("a.json", 2), ("a.npz", 3), ("a.csv", 3), ("a.bvh", 3), ("op", 2)):
        with pytest.raises(OSError, match="disk full"):
            write(small_poses(dims=dims), tmp_path / name)
    assert not list(tmp_path.iterdir())
