"""Configurations of training: ready ones, one's own, changes, and what is wrong with them in one line."""

import os
import subprocess
import sys

import pytest

from skelbridge.errors import CardError, InputError, UnknownNameError
from skelbridge.train import read_config, ready_configs
from skelbridge.train.config import Config, field_table


@pytest.mark.parametrize("name", sorted(ready_configs()))
def test_ready_configurations_are_whole(name):
    config = read_config(name)
    assert str(config.out) == f"runs/{name}"
    assert config.finetune.steps < config.initial.steps


def test_the_papers_figures_are_the_defaults():
    config = read_config("paper-s")
    assert (config.initial.steps, config.finetune.steps) == (400_000, 40_000)
    assert config.initial.frozen_steps == config.finetune.frozen_steps == 1000
    assert config.design.side == 256
    assert config.design.ghost == (16,)
    assert config.fit.latents == (40, 8)
    assert config.finetune.variants == ("output",)
    assert read_config("paper-l").design.backbone == "tf_efficientnetv2_l"


def test_changes_are_toml_values_or_words():
    config = read_config(
        "tiny-cpu", ["initial.steps=300", 'finetune.variants=["none"]', "design.backbone=resnet18", "out=elsewhere"]
    )
    assert config.initial.steps == 300
    assert config.finetune.variants == ("none",)
    assert config.design.backbone == "resnet18"
    assert str(config.out) == "elsewhere"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("initial.step=3", r"initial\.step.*no such field.*steps"),
        ("nonsense.a=3", r"nonsense.*no such field"),
        ("initial.steps=0", r"initial\.steps.*greater than 0"),
        ("initial.steps=many", r"initial\.steps.*integer"),
        ("initial.frozen_steps=999999", "frozen_steps is 999999, more than"),
        ("design.head=latents", r"design\.head is set by the stage"),
        ("machine.precision=half", r"machine\.precision.*bf16-mixed"),
        ("finetune.variants=[]", r"finetune\.variants"),
        ("seeds=[]", "seeds"),
        ("steps", "expected key=value"),
        ("seeds.a=1", "expected a table seeds"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(change, said):
    with pytest.raises(InputError, match=said) as caught:
        read_config("tiny-cpu", [change])
    assert "\n" not in str(caught.value)


def test_unknown_names_and_broken_files(tmp_path):
    with pytest.raises(UnknownNameError, match="tiny-cpu"):
        read_config("tiny")
    broken = tmp_path / "mine.toml"
    broken.write_text("out = [")
    with pytest.raises(CardError, match=r"mine\.toml"):
        read_config(broken)
    with pytest.raises(CardError, match="absent"):
        read_config(tmp_path / "absent.toml")


def test_every_field_is_described():
    rows = field_table(Config)
    assert len(rows) > 60
    assert not [row for row in rows if row.endswith("| None |")]


@pytest.mark.parametrize(("given", "expected"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_the_command_says_how_threads_wait_before_torch_reads_it(given, expected):
    code = (
        "import os, sys; import skelbridge.cli; from skelbridge.train.command import let_threads_sleep; "
        "let_threads_sleep(); print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    )
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=others | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", expected]
