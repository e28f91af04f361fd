"""The commands fit and inspect: what they print and write, how they stop, go on and fail."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from acae_poses import FORMATS, poses

pytest.importorskip("torch", reason="fitting needs torch (pip install skelbridge[fit])")

from skelbridge.bridge.acae import ACAE, fit_acae, run
from skelbridge.bridge.acae.descent import Descent
from skelbridge.bridge.file import SHIPPED, read_bridge
from skelbridge.cli import main

SIZE = ["--latents", "12,4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Poses in three formats: one array a format in metres, and side by side in camera space in mm."""
    folder = tmp_path_factory.mktemp("poses")
    joints, points = poses(FORMATS, 400)
    np.savez(folder / "apart.npz", **{name: points[:, own] / 1000 for name, own in joints.slices.items()}, units="m")
    np.savez_compressed(folder / "camera.npz", points=poses(FORMATS, 400, depth=4000)[1], formats=FORMATS)
    return folder


def test_fit_writes_what_the_library_fits(folder, tmp_path, capsys):
    out = tmp_path / "own.safetensors"
    assert main(["fit", str(folder / "apart.npz"), *SIZE, "--l1", "0.3,0.2", "--out", str(out), "--seed", "5"]) == 0
    printed = capsys.readouterr().out
    acae = ACAE.load(out)
    joints, points = poses(FORMATS, 400)
    want = fit_acae((points / 1000).astype(np.float32) * 1000.0, joints, (12, 4), l1=(0.3, 0.2), seed=5)
    np.testing.assert_allclose(acae.decoder, want.decoder, atol=1e-6)
    assert acae.report() in printed
    assert str(out) in printed
    assert list(tmp_path.iterdir()) == [out]


def test_all_options_reach_the_fit(folder, tmp_path):
    out = tmp_path / "own.safetensors"
    options = ["--latents=8,2", "--l1=0.2", "--projection", "--loss=huber", "--seed=7", "--held-out=0.25"]
    options += ["--sample=300", "--device=cpu", "--solver=adam"]
    assert main(["fit", str(folder / "camera.npz"), "--out", str(out), *options]) == 0
    found = ACAE.load(out).certificate
    want = {"latents": [8, 2], "l1": [0.2, 0.2], "projection": True, "loss": "huber", "seed": 7, "held_out": 0.25,
            "solver": "adam", "poses": 400, "fitted_on": 225, "judged_on": 75}  # fmt: skip
    assert {name: found[name] for name in want} == want


def test_fit_leaves_the_rest_of_a_bridge_file(folder, tmp_path, capsys):
    out = tmp_path / "bridge.safetensors"
    read_bridge(SHIPPED).save(out)
    assert main(["fit", str(folder / "apart.npz"), *SIZE, "--out", str(out)]) == 0
    np.testing.assert_array_equal(read_bridge(out).moments, read_bridge(SHIPPED).moments)
    capsys.readouterr()
    assert main(["inspect", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"moments of {len(read_bridge(out).moments)} landmarks" in printed
    assert "bodies: 40000" in printed
    assert "fitted_on: 360" in printed
    assert ACAE.load(out).report() in printed


def test_inspect_says_what_is_not_there(folder, tmp_path, capsys):
    read_bridge(SHIPPED).save(tmp_path / "moments.safetensors")
    assert main(["inspect", str(tmp_path / "moments.safetensors")]) == 0
    assert "no autoencoder" in capsys.readouterr().out
    assert main(["fit", str(folder / "apart.npz"), *SIZE, "--out", str(tmp_path / "own.safetensors")]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "own.safetensors")]) == 0
    assert "moments" not in capsys.readouterr().out


def test_inspect_draws(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs matplotlib (pip install skelbridge[plot])")
    out = tmp_path / "own.safetensors"
    assert main(["fit", str(folder / "apart.npz"), *SIZE, "--out", str(out)]) == 0
    assert main(["inspect", str(out), "--png", str(tmp_path / "pictures")]) == 0
    names = ["errors.png", "latents.png", "weights.png"]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == names
    assert all((tmp_path / "pictures" / name).stat().st_size > 10_000 for name in names)


def test_an_interrupted_fit_goes_on_to_the_same_bits(folder, tmp_path, capsys, monkeypatch):
    command = ["fit", str(folder / "apart.npz"), *SIZE, "--out"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    step, done = Descent.step, []

    def stopping(self, number):
        if number == 40:
            raise KeyboardInterrupt
        step(self, number)

    monkeypatch.setattr(run, "SAVE_EVERY", -1.0)
    monkeypatch.setattr(Descent, "step", stopping)
    capsys.readouterr()
    assert main([*command, str(tmp_path / "stopped")]) == 130
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == f"skelbridge: interrupted; the same command goes on from {tmp_path / 'stopped.part'}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped.part", "whole"]
    monkeypatch.setattr(Descent, "step", lambda self, number: (done.append(number), step(self, number)))
    assert main([*command, str(tmp_path / "stopped")]) == 0
    assert done[0] == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped", "whole"]
    assert (tmp_path / "stopped").read_bytes() == (tmp_path / "whole").read_bytes()


def test_an_interrupt_before_anything_is_done(folder, tmp_path, capsys, monkeypatch):
    def stopping(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("skelbridge.bridge.acae.sample._blocks", stopping)
    monkeypatch.setattr("skelbridge.bridge.acae.fit.gather", stopping)
    assert main(["fit", str(folder / "apart.npz"), *SIZE, "--out", str(tmp_path / "own")]) == 130
    assert "interrupted; the same command begins anew" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_control_c_stops_the_process_in_one_line(folder, tmp_path):
    code = """
import sys
from skelbridge.bridge.acae import descent, run
from skelbridge.cli import main
descent.Recipe.__init__.__kwdefaults__["epochs"] = 10_000
run.SAVE_EVERY = 0.0
sys.exit(main())
"""
    out = tmp_path / "own"
    command = [
        sys.executable,
        "-c",
        code,
        "fit",
        str(folder / "apart.npz"),
        *SIZE,
        "--solver",
        "adam",
        "--out",
        str(out),
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, env=dict(os.environ, OMP_NUM_THREADS="1"), text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not out.with_name("own.part").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
    assert process.returncode == 130
    assert f"the same command goes on from {out}.part" in error
    assert "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["own.part"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "nowhere.npz", "--out", "own"], ["nowhere.npz"]),
        (["fit", "IN", "--out", "no/such/folder/own"], ["--out", "folder"]),
        (["fit", "IN", "--out", "notes.txt"], ["notes.txt", "not a bridge file"]),
        (["fit", "IN", "--out", "own", "--latents", "12"], ["--latents", "40,8", "'12'"]),
        (["fit", "IN", "--out", "own", "--latents", "12,x"], ["--latents"]),
        (["fit", "IN", "--out", "own", "--latents", "11,4"], ["latents", "even", "(11, 4)"]),
        (["fit", "IN", "--out", "own", "--latents", "80,4"], ["latents", "at most", "(80, 4)"]),
        (["fit", "IN", "--out", "own", "--l1", "much"], ["--l1", "'much'"]),
        (["fit", "IN", "--out", "own", "--l1", "1,2,3"], ["--l1", "'1,2,3'"]),
        (["fit", "IN", "--out", "own", *SIZE, "--l1", "-1"], ["l1", "0 or more"]),
        (["fit", "IN", "--out", "own", *SIZE, "--projection"], ["projection", "camera space"]),
        (["fit", "IN", "--out", "own", *SIZE, "--held-out", "1.5"], ["held_out", "1.5"]),
        (["fit", "IN", "--out", "own", *SIZE, "--sample", "3"], ["sample", "3"]),
        (["fit", "IN", "--out", "own", *SIZE, "--device", "abacus"], ["device", "abacus"]),
        (["fit", "IN", "--out", "own", *SIZE, "--solver", "cvxpy"], ["exact", "fewer poses"]),
        (["fit", "FEW", "--out", "own", *SIZE], ["at least 20", "19"]),
        (["fit", "notes.txt", "--out", "own"], ["notes.txt", "npz archive"]),
        (["inspect", "nowhere"], ["nowhere"]),
        (["inspect", "notes.txt"], ["notes.txt", "not a bridge file"]),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(capsys, monkeypatch, folder, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("precious")
    np.savez(folder / "few.npz", coco_17=poses("coco_17", 19)[1])
    files = {"IN": str(folder / "apart.npz"), "FEW": str(folder / "few.npz")}
    assert main([files.get(word, word) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("skelbridge: ")
    assert len(error.strip().splitlines()) == 1
    assert all(word in error for word in words), error
    assert (tmp_path / "notes.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_checkpoint_of_another_command_is_not_taken_for_ones_own(folder, tmp_path, capsys, monkeypatch):
    part = tmp_path / "own.part"
    monkeypatch.setattr(run.Run, "finish", lambda self: None)
    assert main(["fit", str(folder / "apart.npz"), *SIZE, "--out", str(tmp_path / "own")]) == 0
    monkeypatch.undo()
    before = part.read_bytes(), (tmp_path / "own").read_bytes()
    assert main(["fit", str(folder / "apart.npz"), *SIZE, "--l1", "0.1", "--out", str(tmp_path / "own")]) == 2
    assert f"{part} is of a fit with other poses or settings" in capsys.readouterr().err
    assert (part.read_bytes(), (tmp_path / "own").read_bytes()) == before


def test_help_says_how_poses_are_given(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("np.savez", "coco_17=", "formats", "units", ".part", "--latents"))
