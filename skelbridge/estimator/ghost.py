"""Ghost batch normalisation: groups of a batch are normalised apart, after Hoffer et al., "Train longer" (2017).

Batches are ordered by dataset, so a group of neighbours has a mix of datasets that stays the same from step to step.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skelbridge.errors import InputError
from skelbridge.estimator.design import GhostUpdate


class GhostBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d, or timm's with an activation, that in training normalises groups of neighbours in the batch apart.

    sizes: the size of every group, or of each group, which then add up to the batch. update: "averaged" moves the
    running statistics once a step, to those of the whole batch: mean of the groups' means; mean of their variances,
    plus the variance of their means. "sequential" moves them group after group, so that the last ones weigh most.

    In evaluation it is BatchNorm2d with the running statistics. Names and shapes of the weights are the same too.
    """

    momentum: float  # type: ignore[assignment]
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: nn.BatchNorm2d, sizes: tuple[int, ...], update: GhostUpdate = "averaged") -> None:
        if norm.momentum is None or not norm.track_running_stats:
            raise InputError("a batch normalisation", expected="running statistics with a momentum", got=norm)
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, device="meta")
        self.sizes, self.update = sizes, update
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var  # type: ignore[assignment]
        self.num_batches_tracked = norm.num_batches_tracked  # type: ignore[assignment]
        self.drop, self.act = (getattr(norm, name, nn.Identity()) for name in ("drop", "act"))
        self.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) normalised; InputError for a batch that does not divide into the groups."""
        if not self.training:
            normal = F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        else:
            normal = self._by_group(input)
        return self.act(self.drop(normal))

    def extra_repr(self) -> str:
        """The sizes of the groups, beside what BatchNorm2d says."""
        return f"{super().extra_repr()}, sizes={self.sizes}, update={self.update}"

    def _by_group(self, input: Tensor) -> Tensor:
        sizes = group_sizes(self.sizes, len(input))
        found = torch.zeros(2, len(sizes), self.num_features, device=input.device)
        parts = []
        for group, mean, variance in zip(input.split(sizes), found[0], found[1], strict=True):
            # with a momentum of 1 the "running" statistics are those of the group
            parts.append(F.batch_norm(group, mean, variance, self.weight, self.bias, True, 1.0, self.eps))
        with torch.no_grad():
            self.num_batches_tracked += 1
            self._follow(found[0], found[1], sizes, input[0, 0].numel())
        return torch.cat(parts)

    def _follow(self, means: Tensor, variances: Tensor, sizes: list[int], cells: int) -> None:
        """Move the running statistics towards those of the groups, (groups, C), variances unbiased."""
        if self.update == "sequential":
            for mean, variance in zip(means, variances, strict=True):
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance, self.momentum)
            return
        counts = _column(tuple(sizes), means.device) * cells
        total = counts.sum()
        mean = (counts * means).sum(dim=0) / total
        squares = ((counts - 1) * variances + counts * (means - mean).square()).sum(dim=0)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(squares / (total - 1), self.momentum)


@lru_cache(maxsize=256)
def _column(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """Sizes as a tensor (groups, 1), kept: a GPU stops at numbers that come from Python."""
    return torch.tensor(sizes, dtype=torch.float32, device=device)[:, None]


def group_sizes(sizes: tuple[int, ...], batch: int) -> list[int]:
    """The sizes of the groups of a batch; InputError if they do not add up to it."""
    if len(sizes) == 1 and batch % sizes[0] == 0:
        return list(sizes) * (batch // sizes[0])
    if sum(sizes) == batch:
        return list(sizes)
    wanted = f"a multiple of {sizes[0]}" if len(sizes) == 1 else f"{' + '.join(map(str, sizes))} = {sum(sizes)}"
    raise InputError("the batch of a ghost batch normalisation", expected=f"{wanted} examples", got=batch,
                     mend="Change the batch, or the design's `ghost`.")  # fmt: skip


def to_ghost(module: nn.Module, sizes: tuple[int, ...], update: GhostUpdate = "averaged") -> None:
    """Replace every batch normalisation inside of a module by one in groups, with the same weights."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, GhostBatchNorm2d(child, sizes, update))
        else:
            to_ghost(child, sizes, update)


@torch.no_grad()
def synchronise(network: nn.Module) -> None:
    """Make the running statistics of all processes those of all their examples; to be called after each training step.

    Each process has moved statistics s that were equal before to (1 - m) s + m s_p. The mean over processes is then
    right for means; variances also lack m times the variance of the processes' means, which is found from how far
    the moved means differ, m² times it. Of the update "sequential" just the means over processes are taken. Without
    distributed processes, or where batch normalisation is frozen, nothing is done.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d) and module.training]
    if not norms or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return
    means, variances = ([getattr(norm, name) for norm in norms] for name in ("running_mean", "running_var"))
    mean, variance = torch.cat(means).double(), torch.cat(variances).double()
    sizes = [norm.num_features for norm in norms]
    between = torch.cat([mean.new_full((size,), _between(norm)) for size, norm in zip(sizes, norms, strict=True)])
    shared = torch.stack([mean, mean.square(), variance])
    torch.distributed.all_reduce(shared)
    mean, square, variance = shared / torch.distributed.get_world_size()
    variance += between * (square - mean.square()).clamp(min=0)
    torch._foreach_copy_(means, [part.float() for part in mean.split(sizes)])
    torch._foreach_copy_(variances, [part.float() for part in variance.split(sizes)])


def _between(norm: nn.BatchNorm2d) -> float:
    """What the variance of the processes' moved means is multiplied with."""
    sequential = isinstance(norm, GhostBatchNorm2d) and norm.update == "sequential"
    return 0.0 if sequential or not norm.momentum else 1 / norm.momentum
