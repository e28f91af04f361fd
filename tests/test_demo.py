"""The demo: it runs on what the package carries and on a person's own poses, unifies datasets, and stays light."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the demo draws: pip install skelbridge[plot]")
pytest.importorskip("h5py", reason="the demo's datasets need h5py: pip install skelbridge[data]")
pytest.importorskip("av", reason="the demo's datasets have videos: pip install skelbridge[data]")

from skelbridge.bridge import rest_body
from skelbridge.demo import DATASETS, SAMPLES, main, print_table
from skelbridge.io import read, write
from skelbridge.poses import Poses
from skelbridge.skeletons import skeleton
from skelbridge.store import open_store


def is_picture(path):
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 10_000


def walk(frames=4):
    """A short made-up recording in COCO's format."""
    card = skeleton("coco_17")
    points = card.placement @ rest_body().landmarks
    return Poses(points + np.arange(frames)[:, None, None] * [0.0, 0, 100], card, units="mm", fps=30.0)


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """The demo without input, in a process of its own: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("tour")
    (folder / "demo_data").mkdir()
    (folder / "demo_data" / "old").write_text("of an earlier run")
    code = (
        "import sys; from skelbridge.demo import main\n"
        f"code = main(['--out', {str(folder)!r}])\n"
        "heavy = ('torch', 'anny', 'cdflib', 'pandas')\n"
        "print('heavy', [name for name in heavy if name in sys.modules]); sys.exit(code)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder, run.stdout


def test_it_runs_on_what_the_package_carries_without_heavy_packages(tour):
    folder, printed = tour
    assert "heavy []" in printed
    pictures = sorted(folder.glob("*.png"))
    assert {p.stem for p in pictures} == {
        "batch", "errors", "hip", "latents", "motion", "photograph", "store", "weights",
    }  # fmt: skip
    assert all(map(is_picture, pictures))
    assert all(str(path) in printed for path in pictures)
    assert max(map(len, printed.replace(str(folder), "out/demo").splitlines())) < 140


def test_on_the_carried_motion_converting_beats_renaming(tour):
    rows = [line.split() for line in tour[1].splitlines() if line.startswith(("  smpl_24", "  h36m_17"))]
    for row in rows[:2]:
        renaming, ours = map(float, (row[7], row[8]))
        assert ours < renaming / 2


def test_its_datasets_are_one_store_of_which_the_table_tells(tour):
    folder, printed = tour
    store = open_store(folder / "demo_data" / "all.h5")
    assert set(store.datasets) == set(DATASETS)
    for name in DATASETS:
        (row,) = (line.split() for line in printed.splitlines() if line.startswith(f"  {name} "))
        part = store.select(dataset=name)
        assert row[:3] == [name, str(part.skeleton), str(len(part))]
    assert f"{len(store)} samples, {len(store.union)} joints; every byte is as it was written" in printed
    assert not (folder / "demo_data" / "old").exists()


def test_a_persons_own_poses_are_converted(tmp_path, capsys):
    write(walk(), tmp_path / "walk.npz")
    assert main(["--input", str(tmp_path / "walk.npz"), "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("coco_17", "smpl_24", "h36m_17", "body_25", "mediapipe_pose_33"))
    assert {p.stem for p in (tmp_path / "out").glob("*.png")} == {"poses", "converted", "weights", "errors"}


def test_a_file_that_does_not_say_its_format_is_told(tmp_path, capsys):
    np.save(tmp_path / "walk.npy", walk().points)
    arguments = ["--input", str(tmp_path / "walk.npy"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--from", "coco_17"]) == 0
    assert "coco_17" in capsys.readouterr().out


def test_of_several_people_the_one_seen_most_is_shown(tmp_path, capsys):
    both = np.stack([walk().points, walk().points + 500], axis=1)
    both[:, 0, :9] = np.nan
    write(Poses(both, skeleton("coco_17"), units="mm"), tmp_path / "two.npz")
    assert main(["--input", str(tmp_path / "two.npz"), "--out", str(tmp_path / "out")]) == 0
    assert "2 people; shown is number 1" in capsys.readouterr().out


def test_joints_of_unknown_places_are_drawn_and_not_converted(tmp_path, capsys):
    write(walk(), tmp_path / "walk.bvh")
    renamed = (tmp_path / "walk.bvh").read_text().replace("left_", "sinister_").replace("right_", "dexter_")
    (tmp_path / "walk.bvh").write_text(renamed)
    assert main(["--input", str(tmp_path / "walk.bvh"), "--out", str(tmp_path / "out")]) == 0
    assert "not converted" in capsys.readouterr().out
    assert {p.stem for p in (tmp_path / "out").glob("*.png")} == {"poses"}


@pytest.mark.parametrize("content", [None, b"no poses in here", b"\x00" * 64])
@pytest.mark.parametrize("suffix", [".bvh", ".json", ".npz", ".c3d", ".xyz"])
def test_a_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, suffix, content):
    path = tmp_path / f"bad{suffix}"
    if content is not None:
        path.write_bytes(content)
    assert main(["--input", str(path), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("skelbridge: ")
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.glob("out/*.png"))


def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_2(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["--out", str(tmp_path / "file" / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_recorded_detector_says_where_it_comes_from_and_saw_the_upper_body():
    path = SAMPLES / "astronaut_mediapipe_pose.json"
    made = json.loads(path.read_text(encoding="utf-8"))["provenance"]
    assert {"photo", "source", "licence", "tool", "version", "settings", "command"} <= set(made)
    assert "public domain" in made["licence"]
    seen = read(path, space="image")
    card, confidence = seen.skeleton, seen.confidence.reshape(-1)
    assert card.id == "mediapipe_pose_33"
    assert confidence[[card.index(name) for name in ("nose", "left_shoulder", "right_shoulder")]].min() > 0.9
    assert confidence[[card.index(name) for name in ("left_knee", "right_ankle")]].max() < 0.1
    assert (SAMPLES / "astronaut.jpg").stat().st_size <= 60_000


def test_tables_are_aligned(capsys):
    print_table("name|n|worst", [["a", "1", "x"], ["long_name", "100", "y"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.index(end) for line, end in zip(lines, ("worst", "x", "y"), strict=True)] == [18, 18, 18]
