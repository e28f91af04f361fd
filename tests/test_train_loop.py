"""The loop of training: going on exactly, what stops it and what does not, what it writes."""

import os
import resource
import signal

import numpy as np
import pytest
import torch
from training import configuration, stage_loop, training_store

from skelbridge.errors import InputError, SkelbridgeError
from skelbridge.train.log import read_log


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    return configuration(folder, training_store(folder))


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    """The weights and the log of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return weights_of(stage_loop(config, folder)), losses(folder)


def weights_of(loop):
    loop.run()
    return {name: tensor.clone() for name, tensor in loop.network.state_dict().items()}


def losses(folder):
    return [line["loss"] for line in read_log(folder) if "loss" in line]


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name


class Interrupted(torch.utils.data.Dataset):
    """Data in which something happens as a step's examples are asked for."""

    def __init__(self, data, step, happens):
        self.data, self.step, self.happens, self.batch = data, step, happens, data.batch

    def __len__(self):
        return len(self.data)

    def __getitem__(self, step):
        if step == self.step:
            self.happens()
        return self.data[step]


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("at", [0, 2, 6])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_to_the_same_bits(config, undisturbed, tmp_path, number, at, ema):
    loop = stage_loop(config, tmp_path, ema=ema)
    loop.data = Interrupted(loop.data, at, lambda: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt, match=f"goes on from step {at + 1}"):
        loop.run()
    again = stage_loop(config, tmp_path, ema=ema)
    assert_equal(weights_of(again), undisturbed[0])
    assert losses(tmp_path) == undisturbed[1]
    if ema:
        averaged = stage_loop(config, tmp_path / "averaged", ema=ema)
        averaged.run()
        assert_equal(again.ema.state(), averaged.ema.state())


def test_a_killed_run_goes_on_from_its_last_checkpoint(config, undisturbed, tmp_path):
    def fail():
        raise MemoryError

    loop = stage_loop(config, tmp_path)
    loop.data = Interrupted(loop.data, 5, fail)
    with pytest.raises(MemoryError):
        loop.run()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003.safetensors"]
    assert_equal(weights_of(stage_loop(config, tmp_path)), undisturbed[0])
    assert losses(tmp_path) == undisturbed[1]  # lines beyond the checkpoint were dropped


def test_a_damaged_checkpoint_gives_way_to_the_one_before(config, undisturbed, tmp_path):
    weights_of(stage_loop(config, tmp_path))
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="cannot be read"):
        assert_equal(weights_of(stage_loop(config, tmp_path)), undisturbed[0])


def test_checkpoints_of_another_training_are_refused(config, tmp_path):
    weights_of(stage_loop(config, tmp_path))
    with pytest.raises(InputError, match="other settings or data"):
        stage_loop(config, tmp_path, identity="another").run()


def test_a_step_without_a_finite_gradient_leaves_no_trace(config, tmp_path):
    def spoiled(loop, steps):
        objective, count = loop.step_module.module.objective, iter(range(99))

        def forward(prediction, examples, step):
            terms = type(objective).forward(objective, prediction, examples, step)
            return {**terms, "loss": terms["loss"] * (torch.nan if next(count) in steps else 1)}

        objective.forward = forward
        return loop

    loop = spoiled(stage_loop(config, tmp_path / "a", steps=1, frozen_steps=0), {0})
    before = {name: tensor.clone() for name, tensor in loop.network.state_dict().items()}
    loop.data = torch.utils.data.Subset(loop.data, range(1))
    loop.data.batch = 12
    after = weights_of(loop)
    assert loop.counts["skipped"] == 1
    assert_equal(
        {name: t for name, t in after.items() if "tracked" not in name},
        {name: t for name, t in before.items() if "tracked" not in name},
    )
    assert np.isnan(losses(tmp_path / "a")).all()
    some = spoiled(stage_loop(config, tmp_path / "b"), {2, 4})
    found = weights_of(some)
    assert some.counts["skipped"] == 2
    assert all(torch.isfinite(tensor).all() for tensor in found.values())


def test_gradients_that_stay_infinite_end_a_run(config, tmp_path, monkeypatch):
    monkeypatch.setattr("skelbridge.train.loop.MOST_SKIPPED", 3)
    loop = stage_loop(config, tmp_path)
    with torch.no_grad():
        next(iter(loop.network.parameters())).fill_(torch.inf)
    with pytest.raises(SkelbridgeError, match=r"not finite in 3 steps in a row.*learning rate"):
        loop.run()


def test_a_full_disk_at_a_checkpoint_is_told_and_the_one_before_stays(config, undisturbed, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    loop = stage_loop(config, tmp_path)
    loop.data = Interrupted(loop.data, 4, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1])))
    try:
        with pytest.raises(SkelbridgeError, match=r"step-00000006.*cannot be written.*goes on from step-00000003"):
            loop.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003.safetensors"]
    assert_equal(weights_of(stage_loop(config, tmp_path)), undisturbed[0])


def test_what_a_log_says(undisturbed, config, tmp_path):
    loop = stage_loop(config, tmp_path)
    loop.run()
    lines = read_log(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 9))
    assert [line["step"] for line in lines if "validation/mpjpe" in line] == [4, 8]
    first = next(line for line in lines if "loss" in line)
    assert {"relative", "projection", "weak_2d", "rate/head", "rate/backbone", "gradient", "steps/s"} <= first.keys()
    assert any(path.name.startswith("events") for path in tmp_path.iterdir())
    assert loop.network.frozen


def test_filters_stay_small(config, tmp_path):
    loop = stage_loop(config, tmp_path, max_norm=0.5)
    loop.run()
    norms = [w.flatten(1).norm(dim=1).max() for n, w in loop.network.backbone.named_parameters() if w.ndim == 4]
    assert min(norms) < 0.5001


@pytest.mark.parametrize("channels_last", [True, False])
def test_filters_lie_in_memory_as_asked_for_and_learn_alike(config, undisturbed, tmp_path, channels_last):
    loop = stage_loop(config, tmp_path, channels_last=channels_last)
    loop.run()
    form = torch.channels_last if channels_last else torch.contiguous_format
    wide = [weight for weight in loop.network.parameters() if weight.ndim == 4 and min(weight.shape[1:3]) > 1]
    assert wide
    assert all(weight.is_contiguous(memory_format=form) for weight in wide)
    np.testing.assert_allclose(losses(tmp_path), undisturbed[1], rtol=0.02)
