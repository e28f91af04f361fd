"""The tiny configuration, shortened, from rendering to report: it learns, and fine-tuning makes formats agree."""

import json

import numpy as np
import pytest
import torch

from skelbridge.cli import main
from skelbridge.estimator import Estimator
from skelbridge.store import open_store
from skelbridge.store.batch import decoded
from skelbridge.train.log import read_log

#: Factors that the loss and the error on held-out people fall by at least, and inconsistency by fine-tuning.
LOSS, ERROR, INCONSISTENCY = 1.3, 1.15, 1.3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run by the command, of all stages, with one thread."""
    out, before = tmp_path_factory.mktemp("tiny") / "run", torch.get_num_threads()
    changes = {
        "out": out, "data.store": out / "data/virtual.h5", "data.truth": out / "data/truth.h5", "seeds": [1],
        "data.virtual.train": 64, "data.virtual.test": 12, "data.virtual.workers": 0, "data.workers": 0,
        "machine.threads": 1, "initial.steps": 120, "initial.frozen_steps": 10, "finetune.steps": 50,
        "finetune.frozen_steps": 5, "finetune.variants": '["output"]', "losses.absolute_from": 20,
        "weak_perspective_steps": 10, "keeping.log_every": 5, "keeping.validate_every": 20,
    }  # fmt: skip
    options = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    assert main(["train", "tiny-cpu", "--quiet", *options]) == 0
    torch.set_num_threads(before)
    return out


def test_loss_and_error_on_held_out_people_fall(run):
    log = read_log(run / "seed-1" / "initial")
    losses = [line["loss"] for line in log if "loss" in line]
    errors = [line["validation/mpjpe"] for line in log if "validation/mpjpe" in line]
    assert np.mean(losses[:2]) > LOSS * np.mean(losses[-4:])
    assert errors[0] > ERROR * errors[-1]


def test_fine_tuning_makes_formats_agree(run):
    before, after = (
        json.loads((run / "seed-1" / name / "judged.json").read_text())["mean"]
        for name in ("initial", "finetune-output")
    )
    assert before["inconsistency reconstruction"] > INCONSISTENCY * after["inconsistency reconstruction"]
    assert after["inconsistency conversion"] < before["inconsistency conversion"]
    assert after["everywhere mpjpe"] < 1.1 * before["everywhere mpjpe"]


def test_every_format_is_judged_on_every_picture(run):
    judged = json.loads((run / "seed-1" / "initial" / "judged.json").read_text())
    assert judged["pictures"] == 5 * 12
    assert judged["own"].keys() == {"virtual_lab", "virtual_studio", "virtual_dome", "virtual_street"}
    assert judged["everywhere"].keys() == {"h36m_17", "mpi_inf_3dhp_28", "panoptic_19", "smpl_24"}
    assert 0 < judged["inconsistency"]["conversion of true poses"] < judged["inconsistency"]["conversion"]


def test_the_report_has_its_pictures(run):
    for name in ("report.md", "networks.png", "predictions.png"):
        assert (run / name).stat().st_size > 500


def test_the_result_predicts(run):
    estimator = Estimator.load(run / "seed-1" / "finetune-output" / "model.safetensors")
    sample = open_store(run / "data" / "virtual.h5").select(split="test")[0]
    poses = estimator.predict(decoded([sample.picture])[0], skeleton="smpl_24", flip_test=True)
    assert poses.points.shape == (1, 24, 3)
    assert "camera is not known" in " ".join(poses.notes)
