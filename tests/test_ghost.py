"""Batch normalisation in groups: against plain batch normalisation of each group, and numpy."""

import copy
import socket
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("timm", reason="needs torch and timm (pip install skelbridge[train])")
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from skelbridge.errors import InputError
from skelbridge.estimator.ghost import GhostBatchNorm2d, synchronise, to_ghost

C = 5


def norm(kind=nn.BatchNorm2d, seed=0):
    torch.manual_seed(seed)
    plain = BatchNormAct2d(C, act_layer=nn.SiLU, eps=1e-3) if kind is BatchNormAct2d else kind(C, momentum=0.3)
    for tensor in (plain.weight.data, plain.bias.data, plain.running_mean, plain.running_var):
        tensor.copy_(torch.rand(C) + 0.5)
    return plain


def batch(size=12, seed=1):
    """Groups that differ in mean and spread, so that mixing them shows."""
    torch.manual_seed(seed)
    return (
        torch.randn(size, C, 3, 4) * torch.linspace(1, 3, size)[:, None, None, None]
        + torch.arange(size)[:, None, None, None]
    )


GROUPS = [((4,), [4, 4, 4]), ((12,), [12]), ((9, 3), [9, 3]), ((1,), [1] * 12)]


@pytest.mark.parametrize(("sizes", "parts"), GROUPS)
@pytest.mark.parametrize("kind", [nn.BatchNorm2d, BatchNormAct2d])
def test_each_group_is_normalised_as_plain_batch_norm_does_it(kind, sizes, parts):
    plain, ghost = norm(kind).train(), GhostBatchNorm2d(norm(kind), sizes).train()
    x, y = batch().requires_grad_(), batch().requires_grad_()
    expected, got = torch.cat([plain(part) for part in x.split(parts)]), ghost(y)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    weight = torch.randn_like(got)
    (expected * weight).sum().backward()
    (got * weight).sum().backward()
    torch.testing.assert_close(y.grad, x.grad)
    torch.testing.assert_close(ghost.weight.grad, plain.weight.grad)
    torch.testing.assert_close(ghost.bias.grad, plain.bias.grad)


@pytest.mark.parametrize(("sizes", "parts"), GROUPS)
def test_sequential_statistics_are_those_of_plain_batch_norm_group_after_group(sizes, parts):
    plain, ghost = norm().train(), GhostBatchNorm2d(norm(), sizes, "sequential").train()
    ghost(batch())
    for part in batch().split(parts):
        plain(part)
    torch.testing.assert_close(ghost.running_mean, plain.running_mean)
    torch.testing.assert_close(ghost.running_var, plain.running_var)


@pytest.mark.parametrize(("sizes", "parts"), GROUPS)
def test_averaged_statistics_are_those_of_the_whole_batch(sizes, parts):
    ghost = GhostBatchNorm2d(norm(), sizes).train()
    before = ghost.running_mean.numpy().copy(), ghost.running_var.numpy().copy()
    x = batch()
    ghost(x)
    values = x.numpy().transpose(1, 0, 2, 3).reshape(C, -1).astype(float)
    np.testing.assert_allclose(ghost.running_mean, 0.7 * before[0] + 0.3 * values.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(ghost.running_var, 0.7 * before[1] + 0.3 * values.var(axis=1, ddof=1), rtol=1e-5)
    assert ghost.num_batches_tracked == 1


def test_the_order_of_the_groups_counts_only_in_sequence():
    x = batch()
    turned = torch.cat(x.split(4)[::-1])
    found = {}
    for update in ("averaged", "sequential"):
        one, other = (GhostBatchNorm2d(norm(), (4,), update).train() for _ in range(2))
        one(x), other(turned)
        found[update] = (one.running_mean - other.running_mean).abs().max()
    assert found["averaged"] < 1e-5 < 0.1 < found["sequential"]


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, BatchNormAct2d])
def test_evaluation_is_plain_batch_norm_and_leaves_statistics_alone(kind):
    plain, ghost = norm(kind).eval(), GhostBatchNorm2d(norm(kind), (4,)).eval()
    x = batch(7)
    assert torch.equal(ghost(x), plain(x))
    assert list(ghost.state_dict()) == list(plain.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ghost.state_dict().values(), plain.state_dict().values(), strict=True))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # tracing is on its way out
def test_it_can_be_exported_and_traced():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(C, C, 1), norm(BatchNormAct2d)

        def forward(self, x):
            return self.norm(self.conv(x))

    plain = Small().eval()
    ghost = copy.deepcopy(plain)
    to_ghost(ghost, (4,))
    x = batch(3)
    expected = plain(x)
    exported = torch.export.export(ghost, (x,)).module()(x)
    traced = torch.jit.trace(ghost, (x,))(x)
    torch.testing.assert_close(exported, expected)
    torch.testing.assert_close(traced, expected)


def test_all_batch_norms_of_a_network_become_ghosts_with_their_weights():
    network = timm.create_model("mobilenetv3_small_050", num_classes=0).eval()
    x = torch.rand(2, 3, 64, 64)
    before, expected = list(network.state_dict()), network(x)
    count = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    to_ghost(network, (2,))
    assert sum(isinstance(module, GhostBatchNorm2d) for module in network.modules()) == count > 30
    assert list(network.state_dict()) == before
    assert torch.equal(network(x), expected)


@pytest.mark.parametrize(("sizes", "size"), [((5,), 12), ((9, 4), 12), ((16,), 12)])
def test_a_batch_that_does_not_divide_into_the_groups_is_an_error(sizes, size):
    with pytest.raises(InputError, match="got 12"):
        GhostBatchNorm2d(norm(), sizes).train()(batch(size))


def test_half_precision_keeps_statistics_in_float32():
    ghost = GhostBatchNorm2d(norm(), (4,)).train()
    out = ghost(batch().bfloat16())
    assert out.dtype == torch.bfloat16
    assert ghost.running_var.dtype == torch.float32
    exact = GhostBatchNorm2d(norm(), (4,)).train()
    exact(batch())
    torch.testing.assert_close(ghost.running_var, exact.running_var, rtol=0.02, atol=0)


def test_without_processes_there_is_nothing_to_synchronise():
    ghost = GhostBatchNorm2d(norm(), (4,)).train()
    before = ghost.running_var.clone()
    synchronise(ghost)
    assert torch.equal(ghost.running_var, before)


PROCESS = """
import sys
import torch
from skelbridge.estimator.ghost import GhostBatchNorm2d, synchronise

rank, port, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
ghost = GhostBatchNorm2d(torch.nn.BatchNorm2d(5, momentum=0.3), (3,)).train()
for batch in torch.load(f"{folder}/batches.pt"):
    ghost(batch[6 * rank : 6 * rank + 6])
    synchronise(ghost)
ghost.eval()
synchronise(ghost)
torch.save(ghost.state_dict(), f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_two_processes_keep_the_statistics_that_one_would(tmp_path):
    batches = [batch(seed=step) for step in range(3)]
    torch.save(batches, tmp_path / "batches.pt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runs = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(port), str(tmp_path)], cwd=tmp_path)
        for rank in (0, 1)
    ]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    one = GhostBatchNorm2d(nn.BatchNorm2d(C, momentum=0.3), (3,)).train()
    for step in batches:
        one(step)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found["running_mean"], one.running_mean)
        # each process's variance is unbiased by its own number of values: 72 and not 144
        torch.testing.assert_close(found["running_var"], one.running_var, rtol=0.01, atol=0)
