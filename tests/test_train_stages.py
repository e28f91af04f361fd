"""Training as a whole: stages, variants, several processes, what is wrong told before anything starts."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from training import configuration, training_store

from skelbridge.bridge.acae import ACAE
from skelbridge.cli import main
from skelbridge.datasets.cards import Thinning
from skelbridge.errors import InputError
from skelbridge.estimator.estimator import Estimator
from skelbridge.estimator.weights import load_model
from skelbridge.io.paired import read_paired
from skelbridge.store import open_store
from skelbridge.store.batch import decoded
from skelbridge.train import check, read_config, train
from skelbridge.train.config import Pseudo
from skelbridge.train.log import read_log
from skelbridge.train.pseudo import chosen_rows
from skelbridge.train.record import read_record
from skelbridge.train.report import read_results

ALL = '["none", "output", "latents", "hybrid"]'


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return training_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    """A run of all stages and variants, for two seeds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    config = configuration(tmp_path_factory.mktemp("whole"), store, **{"finetune.variants": ALL, "seeds": "[1, 2]"})
    train(config, progress=False)
    torch.set_num_threads(before)
    return config


def test_every_stage_leaves_what_the_next_one_needs(run, store):
    seed = run.out / "seed-1"
    poses = read_paired(seed / "pseudo" / "poses.npz")
    assert [str(card) for card in poses.formats] == ["h36m_17", "smpl_24"]
    assert len(poses) == 24  # what is trained on, of the two datasets with 3D labels
    acae = ACAE.load(seed / "fit" / "autoencoder.safetensors")
    assert acae.decoder.shape == (41, 12)
    for variant, head in (("none", "joints"), ("output", "joints"), ("latents", "latents"), ("hybrid", "both")):
        model = load_model(seed / f"finetune-{variant}" / "model.safetensors")
        assert model.network.design.head == head
        assert model.about["stage"] == f"finetune-{variant}"
    estimator = Estimator.load(seed / "finetune-hybrid" / "model.safetensors")
    sample = open_store(store)[0]
    poses = estimator.predict(decoded([sample.picture])[0], [sample.box], sample.camera.matrix, skeleton="smpl_24")
    assert poses.points.shape == (1, 24, 3)
    assert np.isfinite(poses.points).all()


def test_fine_tuning_begins_where_batch_normalisation_froze(run):
    seed = run.out / "seed-1"
    files = (seed / "initial" / name for name in ("before_frozen.safetensors", "model.safetensors"))
    first, last = (load_model(file).network.state_dict() for file in files)
    assert not torch.equal(first["head.conv.weight"], last["head.conv.weight"])
    statistics = [name for name in first if name.endswith("running_mean")]
    assert all(torch.equal(first[name], last[name]) for name in statistics)
    log = read_log(seed / "finetune-output")
    assert {"consistency_3d", "consistency_2d"} <= log[0].keys()


def test_the_report_tells_all_networks_with_their_spread(run):
    text = (run.out / "report.md").read_text()
    for name in ("initial", "finetune-none", "finetune-output", "finetune-latents", "finetune-hybrid"):
        assert f"| {name} |" in text
    assert "over 2 seeds" in text
    results = json.loads((run.out / "results.json").read_text())
    judged = json.loads((run.out / "seed-1" / "initial" / "judged.json").read_text())
    assert results["initial"]["own mpjpe"][0] == judged["mean"]["own mpjpe"]
    assert judged["own"].keys() == {"lab", "street"}
    assert all((run.out / name).stat().st_size > 10_000 for name in ("networks.png", "predictions.png"))


def test_a_seed_that_is_not_through_is_left_out_of_the_report(run, tmp_path):
    shutil.copytree(run.out, tmp_path / "run")
    whole = read_results(tmp_path / "run")
    (tmp_path / "run" / "seed-1" / "finetune-hybrid" / "judged.json").unlink()
    left = read_results(tmp_path / "run")
    assert left.keys() == whole.keys()
    assert left["initial"]["own mpjpe"] == whole["initial"]["own mpjpe"][1:]


def test_a_run_says_exactly_what_was_run(run):
    record = read_record(run.out / "seed-2")
    assert record["seed"] == 2
    call = record["calls"][-1]
    assert call["config"]["initial"]["steps"] == 8
    assert call["versions"]["torch"] == torch.__version__.split("+")[0] or call["versions"]["torch"]


def test_what_is_done_is_not_done_again_and_other_settings_are_refused(run):
    model = run.out / "seed-1" / "initial" / "model.safetensors"
    before = model.stat().st_mtime_ns
    train(run, ["initial", "finetune"], progress=False)
    assert model.stat().st_mtime_ns == before
    other = run.model_copy(update={"max_norm": 3.0})
    with pytest.raises(InputError, match="initial is the result of other settings or data"):
        train(other, ["initial"], progress=False)
    fewer = run.model_copy(update={"fit": run.fit.model_copy(update={"latents": (6, 2)})})
    with pytest.raises(InputError, match="fit is the result of other settings or data"):
        train(fewer, ["fit"], progress=False)


def test_equal_seeds_give_equal_weights(run, store, tmp_path):
    config = configuration(tmp_path, store, **{"data.workers": 2})
    train(config, ["initial"], progress=False)
    one, two = (
        load_model(folder / "initial" / "model.safetensors").network.state_dict()
        for folder in (run.out / "seed-1", config.out / "seed-1")
    )
    for name, tensor in one.items():
        assert torch.equal(two[name], tensor), name
    other = load_model(run.out / "seed-2" / "initial" / "model.safetensors").network.state_dict()
    assert any(not torch.equal(other[name], tensor) for name, tensor in one.items())


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_learns_nearly_the_same(run, store, tmp_path, precision):
    config = configuration(tmp_path, store, **{"machine.precision": precision})
    train(config, ["initial"], progress=False)
    exact, mixed = (
        [line["loss"] for line in read_log(out / "seed-1" / "initial") if "loss" in line]
        for out in (run.out, config.out)
    )
    assert mixed[0] == pytest.approx(exact[0], rel=0.02)
    assert mixed != exact
    assert np.isfinite(mixed).all()
    state = load_model(config.out / "seed-1" / "initial" / "model.safetensors").network.state_dict()
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("launcher", ["fabric", "torchrun"])
def test_two_processes_give_the_losses_of_one(store, tmp_path, launcher):
    configuration(tmp_path, store)
    runs = {}
    for count in (1, 2):
        module = ["-m", "skelbridge.train"]
        if launcher == "torchrun" and count == 2:
            module = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *module]
        # small steps: Adam makes large ones of gradients that are nothing but rounding
        options = [f"machine.devices={count}", "design.ghost=[2]", "initial.schedule.base=1e-4",
                   f"out={tmp_path / str(count)}"]  # fmt: skip
        done = subprocess.run(
            [sys.executable, *module, str(tmp_path / "mine.toml"), "--stages", "initial", "--quiet",
             *(word for option in options for word in ("--set", option))],
            capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        runs[count] = read_log(tmp_path / str(count) / "seed-1" / "initial")
    for one, two in zip(*runs.values(), strict=True):
        for name in set(one) - {"steps/s"}:
            assert two[name] == pytest.approx(one[name], rel=1e-2 if name == "gradient" else 5e-4, abs=1e-6), name
    assert runs[2][0]["loss"] == pytest.approx(runs[1][0]["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data.store": '"nowhere.h5"'}, "there is no store nowhere.h5"),
        ({"design.backbone": '"mobilenet"'}, "design.backbone: expected a timm model such as mobilenet"),
        ({"design.ghost": "[5]"}, "sizes that make up a batch of 12"),
        ({"data.formats": '["h36m_17"]'}, "data.formats: expected smpl_24 as well"),
        ({"data.judged": '["train"]'}, "lab would be trained on what it is judged by"),
        ({"data.judged": '["elsewhere"]'}, "elsewhere"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_starts(store, tmp_path, change, said):
    config = configuration(tmp_path, store, **change)
    for action in (check, train):
        with pytest.raises((InputError, LookupError), match=said):
            action(config)
    assert not config.out.exists()


def test_the_command_tells_errors_in_one_line(store, tmp_path, capsys):
    configuration(tmp_path, store)
    mine = str(tmp_path / "mine.toml")
    assert main(["train", mine, "--check"]) == 0
    assert "41 joints of h36m_17, smpl_24" in capsys.readouterr().out
    for arguments in (["--set", "initial.stepz=3"], ["--stages", "first"], ["--stages", "fit"]):
        assert main(["train", mine, "--quiet", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_frames_that_hardly_differ_are_not_predicted_on(store):
    everything, opened = Pseudo(datasets=(), splits=("train",)), open_store(store)
    counts = [
        len(chosen_rows(opened, everything.model_copy(update={"thinning": Thinning(rule="since_any", mm=mm)}), names))
        for names in (["lab"], ["lab", "street"])  # whose sequences have the same name
        for mm in (1e-6, 1e6)
    ]
    assert counts == [12, 1, 24, 2]
    limited = everything.model_copy(update={"thinning": Thinning(rule="none"), "limit": 5})
    assert len(chosen_rows(opened, limited, ["lab", "street"])) == 5
    with pytest.raises(InputError, match="pseudo"):
        chosen_rows(opened, Pseudo(datasets=("lab",), splits=("elsewhere",)), [])


def test_a_stage_without_the_one_before_says_which(store, tmp_path):
    config = configuration(tmp_path, store)
    with pytest.raises(InputError, match="Carry out the stage pseudo first"):
        train(config, ["fit"], progress=False)


def test_the_papers_configuration_reads_the_registry(tmp_path):
    config = read_config("paper-s", [f"data.store={tmp_path / 'all.h5'}"])
    with pytest.raises(InputError, match="skelbridge merge"):
        check(config)
