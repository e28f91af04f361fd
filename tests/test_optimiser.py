"""AdamW and averaged weights: closed forms of their first steps, and going on bit by bit from a file."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install skelbridge[train]")

import torch
from safetensors.torch import load, save
from torch import nn

from skelbridge.errors import InputError
from skelbridge.train.optimiser import (
    Ema,
    load_optimiser_state,
    make_optimiser,
    optimiser_state,
    set_rates,
    weight_decay,
)
from skelbridge.train.schedule import Rates, Schedule


class Small(nn.Module):
    """A backbone with batch normalisation, a head, and a parameter that no gradient reaches."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Conv2d(4, 2, 1)
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, images):
        return self.head(self.backbone(images))


def train(network, optimiser, steps, ema=None):
    for step in steps:
        torch.manual_seed(step)
        set_rates(optimiser, Schedule(base=1e-2).fine_tuning(step, 10))
        network(torch.randn(2, 3, 6, 6)).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
        if ema:
            ema.update()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_decay_of_the_paper():
    assert weight_decay(400_000, 2.121e-4) == pytest.approx(0.02236, rel=1e-3)
    assert 2.121e-4 * weight_decay(400_000, 2.121e-4) == pytest.approx(4.74e-6, rel=1e-3)
    with pytest.raises(InputError):
        weight_decay(0, 1e-4)


def test_the_first_step_in_closed_form():
    """Bias-corrected moments are g and g², so a weight moves by rate · sign(g), after shrinking by rate · decay."""
    model = Small()
    optimiser = make_optimiser(model, decay=0.5)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for name, value in model.named_parameters():
        if name != "unused":
            value.grad = torch.full_like(value, -3.0 if name.startswith("head") else 7.0)
    set_rates(optimiser, Rates(head=0.1, backbone=0.01))
    optimiser.step()
    for name, value in model.named_parameters():
        rate, sign = (0.1, -1) if name.startswith("head") else (0.01, 1)
        expected = before[name] if name == "unused" else before[name] * (1 - rate * 0.5) - rate * sign
        torch.testing.assert_close(value.detach(), expected, rtol=1e-6, atol=1e-6)


def test_biases_and_norms_decay_too_and_the_groups_are_head_and_backbone():
    optimiser = make_optimiser(Small(), decay=0.1)
    names = {group["part"]: set(group["names"]) for group in optimiser.param_groups}
    norm = {"backbone.1.weight", "backbone.1.bias"}
    rest = {"backbone.0.weight", "backbone.0.bias", "unused"}
    assert names == {"head": {"head.weight", "head.bias"}, "backbone": rest | norm}
    assert all(group["weight_decay"] == 0.1 for group in optimiser.param_groups)


def test_frozen_parameters_are_left_alone():
    model = Small()
    model.backbone.requires_grad_(False)
    names = [name for group in make_optimiser(model, 0.1).param_groups for name in group["names"]]
    assert sorted(names) == ["head.bias", "head.weight", "unused"]


def test_a_network_without_a_head_is_refused():
    with pytest.raises(InputError, match="head"):
        make_optimiser(nn.Sequential(nn.Linear(2, 2)), 0.1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_going_on_from_a_file_gives_the_same_bits(layout):
    whole = Small().to(memory_format=layout)
    optimiser, ema = make_optimiser(whole, 0.1), Ema(whole, 0.9)
    train(whole, optimiser, range(5), ema)
    tensors, settings = optimiser_state(optimiser)
    files = save(tensors), save(ema.state()), save({k: v.contiguous() for k, v in whole.state_dict().items()})
    settings = json.loads(json.dumps(settings))
    train(whole, optimiser, range(5, 10), ema)

    again = Small().to(memory_format=layout)
    with torch.no_grad():
        for value in again.parameters():
            value.fill_(9)
    other, average = make_optimiser(again, 0.7), Ema(again, 0.9)
    again.load_state_dict(load(files[2]))
    load_optimiser_state(other, load(files[0]), settings)
    average.load(load(files[1]))
    train(again, other, range(5, 10), average)
    assert same(whole.state_dict(), again.state_dict())
    assert same(optimiser_state(optimiser)[0], optimiser_state(other)[0])
    assert same(ema.state(), average.state())
    assert not same(Small().state_dict(), again.state_dict())


def test_a_kept_state_does_not_change_with_training():
    model = Small()
    optimiser = make_optimiser(model, 0.1)
    train(model, optimiser, range(2))
    tensors, _ = optimiser_state(optimiser)
    kept = {name: value.clone() for name, value in tensors.items()}
    train(model, optimiser, range(2, 4))
    assert same(tensors, kept)
    assert not same(optimiser_state(optimiser)[0], kept)
    assert not any("unused" in name for name in tensors)


def damaged(tensors, how):
    if how == "another network":
        return {name.replace("head", "tail"): value for name, value in tensors.items()}
    if how == "half a state":
        return {name: value for name, value in tensors.items() if name != "exp_avg_sq/head.weight"}
    return {name: value[:1] if name == "exp_avg/head.weight" else value for name, value in tensors.items()}


@pytest.mark.parametrize(
    ("how", "said"), [("another network", "tail"), ("half a state", "head.weight"), ("another shape", "head.weight")]
)
def test_the_state_of_another_network_is_refused_and_nothing_changes(how, said):
    model = Small()
    optimiser = make_optimiser(model, 0.1)
    train(model, optimiser, range(2))
    tensors, settings = optimiser_state(optimiser)
    with pytest.raises(InputError, match=said):
        load_optimiser_state(optimiser, damaged(tensors, how), settings)
    assert same(optimiser_state(optimiser)[0], tensors)


# -- averaged weights -------------------------------------------------------------------------------------------------


def test_the_average_in_closed_form():
    model = Small()
    values = np.random.default_rng(0).normal(size=(4, 3))
    with torch.no_grad():
        model.unused.copy_(torch.from_numpy(values[0]))
    ema, expected = Ema(model, 0.75), values[0]
    for value in values[1:]:
        with torch.no_grad():
            model.unused.copy_(torch.from_numpy(value))
        ema.update()
        expected = 0.75 * expected + 0.25 * value
    np.testing.assert_allclose(ema.state()["unused"], expected, rtol=1e-5)


def test_what_does_not_change_is_its_own_average_to_the_bit_and_counters_are_copied():
    model = Small()
    ema = Ema(model, 0.9)
    model.backbone[1].num_batches_tracked += 5
    for _ in range(3):
        ema.update()
    assert same(ema.state(), dict(model.state_dict()))


def test_the_network_has_its_own_weights_again_after_the_swap():
    model = Small()
    optimiser, ema = make_optimiser(model, 0.1), Ema(model, 0.9)
    train(model, optimiser, range(3), ema)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with ema.swapped() as averaged:
        assert averaged is model
        assert same(dict(model.state_dict()), ema.state())
        assert not same(dict(model.state_dict()), own)
    assert same(dict(model.state_dict()), own)
    with pytest.raises(RuntimeError, match="stop"), ema.swapped():
        raise RuntimeError("stop")
    assert same(dict(model.state_dict()), own)


def test_averages_of_another_network_are_refused():
    ema = Ema(Small(), 0.9)
    with pytest.raises(InputError, match=r"head\.bias"):
        ema.load({name: value for name, value in ema.state().items() if name != "head.bias"})
    with pytest.raises(InputError, match="0 to 1"):
        Ema(Small(), 1.5)
