"""The command: what it prints, what it writes, and how it fails."""

import json

import numpy as np
import pytest

from skelbridge import Poses, read, skeleton, write
from skelbridge.bridge import read_bridge, rest_body, shipped_bridge
from skelbridge.cli import main
from skelbridge.skeletons import formats


@pytest.fixture
def coco_file(tmp_path):
    points = np.repeat((skeleton("coco").placement @ rest_body().landmarks)[None], 5, axis=0)
    path = tmp_path / "walk.npz"
    write(Poses(points, "coco_17", units="mm", fps=30.0), path)
    return path


def test_formats_lists_every_format(capsys):
    assert main(["formats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [card.id for card in formats()]


@pytest.mark.parametrize("name", ["h36m", "mediapipe_hand_21:right", "mano"])
def test_formats_shows_one_with_places_and_a_drawing(capsys, name):
    assert main(["formats", name]) == 0
    out = capsys.readouterr().out
    card = skeleton(name)
    assert all(joint in out for joint in card.names)
    assert all(landmark in out for landmark in card.joints[0].at)
    assert any("\u2801" <= letter <= "\u28ff" for letter in out)


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".trc", ".bvh"])
def test_convert_writes_what_the_library_converts(capsys, coco_file, tmp_path, suffix):
    out = tmp_path / f"walk_h36m{suffix}"
    assert main(["convert", str(coco_file), str(out), "--to", "h36m", "--report"]) == 0
    printed = capsys.readouterr().out
    assert "5 frames" in printed
    assert "left_hip" in printed
    got = read(out, format="h36m_17")
    want = read(coco_file).to("h36m_17")
    assert got.skeleton.id == "h36m_17"
    np.testing.assert_allclose(got.in_units("mm").points if suffix != ".bvh" else got.points, want.points, atol=0.1)


def test_convert_to_openpose_and_coco(coco_file, tmp_path):
    assert main(["convert", str(coco_file), str(tmp_path / "out.json"), "--to", "body_25"]) in (0, 2)
    flat = tmp_path / "flat.npz"
    write(Poses(read(coco_file).points[..., :2] + 1000, "coco_17", units="px"), flat)
    assert main(["convert", str(flat), str(tmp_path / "out.json"), "--to", "body_25"]) == 0
    assert len(json.loads((tmp_path / "out.json").read_text())["annotations"]) == 5
    assert main(["convert", str(flat), str(tmp_path / "frames"), "--to", "body_25"]) == 0
    assert len(list((tmp_path / "frames").iterdir())) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convert", "nowhere.npz", "out.npz", "--to", "h36m"], ["nowhere.npz"]),
        (["convert", "IN", "out.xyz", "--to", "h36m"], ["out.xyz", ".npz"]),
        (["convert", "IN", "out.npz", "--to", "h36mm"], ["h36mm", "h36m"]),
        (["convert", "IN", "out.npz", "--to", "h36m", "--from", "smpl"], ["24", "17"]),
        (["convert", "IN", "out.npz", "--to", "h36m", "--noise", "-3"], ["noise"]),
        (["convert", "IN", "out.npz", "--to", "mano"], ["side"]),
        (["formats", "nothing_like_it"], ["skelbridge formats"]),
        (["explain", "coco", "nothing_like_it"], ["nothing_like_it"]),
        (["build-bridge", "--motions", "nowhere", "--bodies", "5"], ["nowhere"]),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(capsys, monkeypatch, coco_file, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out.npz").write_text("precious")
    assert main([str(coco_file) if word == "IN" else word for word in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("skelbridge: ")
    assert len(error.strip().splitlines()) == 1
    assert all(word in error for word in words), error
    assert (tmp_path / "out.npz").read_text() == "precious"


def test_explain_reports_and_draws(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert main(["explain", "coco", "h36m", "--png", str(tmp_path / "w.png")]) == 0
    assert "left_hip" in capsys.readouterr().out
    assert (tmp_path / "w.png").stat().st_size > 10_000
    assert main(["formats", "mano", "--png", str(tmp_path / "f.png")]) == 0
    assert (tmp_path / "f.png").stat().st_size > 10_000


def test_build_bridge_builds_a_small_one_that_converts(tmp_path):
    pytest.importorskip("anny", reason="the virtual body needs anny")
    out = tmp_path / "small.safetensors"
    assert main(["build-bridge", "--bodies", "300", "--seed", "5", "--out", str(out)]) == 0
    bridge = read_bridge(out)
    assert bridge.certificate["bodies"] == 300
    assert bridge.certificate["random_share"] == 1.0
    M = bridge.moments
    mirror = __import__("skelbridge.landmarks", fromlist=["landmarks"]).landmarks().mirror
    assert (M[np.ix_(mirror, mirror)] == M).all()
    from skelbridge.convert import Converter

    small, shipped = (Converter("coco", "h36m", bridge=b) for b in (bridge, shipped_bridge()))
    np.testing.assert_allclose(small.solution.weights.sum(axis=1), 1)
    assert np.abs(small.expected_error - shipped.expected_error).max() < 15
    again = tmp_path / "again.safetensors"
    assert main(["build-bridge", "--bodies", "300", "--seed", "5", "--out", str(again)]) == 0
    np.testing.assert_array_equal(read_bridge(again).moments, M)


def test_the_shipped_bridge_was_built_from_this_registry():
    import hashlib

    from skelbridge.landmarks import registry_dir

    digest = hashlib.sha256((registry_dir() / "landmarks.toml").read_bytes()).hexdigest()
    assert shipped_bridge().certificate["landmarks_sha256"] == digest
    assert {"bodies", "seed", "motions", "sources", "versions"} <= shipped_bridge().certificate.keys()


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_bridge_file_is_one_error(tmp_path, damage):
    from skelbridge.bridge.file import SHIPPED
    from skelbridge.errors import FileFormatError

    content = bytearray(SHIPPED.read_bytes())
    path = tmp_path / "bridge.safetensors"
    content[4 if damage == "flip" else 8] ^= 0xFF if damage in ("flip",) else 0
    path.write_bytes({"cut": content[: len(content) // 2], "flip": content, "empty": b"", "other": b"PK" * 100}[damage])
    with pytest.raises(FileFormatError, match="build-bridge"):
        read_bridge(path)


def test_sheets_are_saved_for_a_format(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs matplotlib (pip install skelbridge[plot])")
    assert main(["formats", "aic_14", "--sheets", str(tmp_path / "sheets")]) == 0
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["aic_14.png"]
    assert "1 saved" in capsys.readouterr().out
