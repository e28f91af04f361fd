"""Stochastic descent on the objective itself, by Adam: the last part of a fit, and the paper's recipe as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skelbridge.bridge.acae.alternating import on_support
from skelbridge.errors import need

if TYPE_CHECKING:
    import torch

    from skelbridge.bridge.acae.objective import Objective
else:
    torch = need("torch", "fit")

Weights = tuple["torch.Tensor", "torch.Tensor"]

#: Poses in a step, and the step size at first, which falls to zero.
BATCH, RATE = 256, 1e-3
#: The recipe of Sárándi et al.: poses in a step, step sizes with the step from which they hold, passes over the poses.
RECIPE_BATCH, RECIPE_RATES, RECIPE_EPOCHS = 32, ((0, 3e-2), (150_000, 3e-3), (300_000, 3e-4)), 30
#: Sums of a row that are smaller than this are not divided by.
LEAST_SUM = 1e-2


def divided(weights: torch.Tensor) -> torch.Tensor:
    """Rows divided by their sums, which are kept away from zero; what then is left to one is spread over the row."""
    total = weights.sum(dim=1, keepdim=True)
    safe = torch.where(total.abs() < LEAST_SUM, LEAST_SUM, total)
    result = weights / safe
    return result + (1 - result.sum(dim=1, keepdim=True)) / result.shape[1]


class Descent:
    """Adam on the weights that are not zero, in the hyperplane of rows that sum to one.

    That is the plain gradient without its mean over each row: nothing is divided, and symmetry is kept by averaging
    with the mirror image. The state can be stopped and gone on with: steps draw their poses from seed and epoch alone.
    """

    def __init__(
        self, objective: Objective, encoder: torch.Tensor, decoder: torch.Tensor, *, epochs: float, seed: int,
        batch: int = BATCH, rate: float = RATE,
    ):  # fmt: skip
        self.objective, self.seed, self.rate = objective, seed, rate
        start = [W.to(objective.points.dtype) for W in objective.tied(encoder, decoder)]
        self.support = [W != 0 for W in start]
        self.free = [W.clone().requires_grad_() for W in start]
        self.optimizer = torch.optim.Adam(self.free, lr=rate, betas=(0.9, 0.99))
        self.draw = Draw(len(objective.points), batch, seed, objective.points.device)
        self.rounds = max(round(epochs * self.draw.steps), 1)

    @property
    def weights(self) -> Weights:
        """Encoder and decoder as they are now."""
        encoder, decoder = (on_support(W, support) for W, support in zip(self.free, self.support, strict=True))
        return self.objective.tied(encoder, decoder)

    def step(self, number: int) -> None:
        """One step of Adam."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * (1 - number / self.rounds)
        _descend(self.objective, self.weights, self.optimizer, self.draw.poses(number))

    def state(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step."""
        support = {f"support.{i}": support for i, support in enumerate(self.support)}
        return support | _state(self.free, self.optimizer)

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put a state back."""
        self.support = [state[f"support.{i}"].to(self.free[i].device) for i in range(2)]
        _restore(self.free, self.optimizer, state)


class Recipe:
    """The paper's recipe: weights divided by the sum of their row, from U(-0.1, 1), Adam in small batches."""

    def __init__(self, objective: Objective, *, seed: int, epochs: float = RECIPE_EPOCHS, batch: int = RECIPE_BATCH):
        self.objective = objective
        generator = torch.Generator().manual_seed(seed)
        L, K = objective.latents, len(objective.weight)
        random = [torch.rand(shape, generator=generator) * 1.1 - 0.1 for shape in ((L, K), (K, L))]
        points, (latent, joint) = objective.points, (objective.latent_mirror, objective.mirror)
        maps = (latent, joint), (joint, latent)
        self.free = [
            _mirrored(W.to(points.device, points.dtype), *both).requires_grad_()
            for W, both in zip(random, maps, strict=True)
        ]
        self.optimizer = torch.optim.Adam(self.free, eps=1e-7)
        self.draw = Draw(len(points), batch, seed, points.device)
        self.rounds = max(round(epochs * self.draw.steps), 1)

    @property
    def weights(self) -> Weights:
        """Encoder and decoder as they are now."""
        encoder, decoder = map(divided, self.objective.tied(*self.free))
        return encoder, decoder

    def step(self, number: int) -> None:
        """One step of Adam."""
        for group in self.optimizer.param_groups:
            group["lr"] = next(rate for start, rate in reversed(RECIPE_RATES) if number >= start)
        _descend(self.objective, self.weights, self.optimizer, self.draw.poses(number))

    def state(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step."""
        return _state(self.free, self.optimizer)

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put a state back."""
        _restore(self.free, self.optimizer, state)


class Draw:
    """The poses of each step: every epoch a new order, that only seed and epoch determine."""

    def __init__(self, count: int, batch: int, seed: int, device: torch.device):
        self.count, self.batch, self.seed, self.device = count, min(batch, count), seed, device
        self.steps = count // self.batch
        self._epoch, self._order = -1, torch.empty(0)

    def poses(self, number: int) -> torch.Tensor:
        """The positions of the poses of a step."""
        epoch, place = divmod(number, self.steps)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator).to(self.device)
        return self._order[place * self.batch : (place + 1) * self.batch]


def _descend(objective: Objective, weights: Weights, optimizer: torch.optim.Optimizer, poses: torch.Tensor) -> None:
    loss = objective.data(*weights, poses) + objective.penalty(*weights)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _mirrored(weights: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Weights of which each is equal to its mirror image: the one of the two that comes first."""
    position = torch.arange(weights.numel(), device=weights.device).reshape(weights.shape)
    return weights.flatten()[torch.minimum(position, position[rows][:, columns])]


def _state(free: list[torch.Tensor], optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    moments = optimizer.state_dict()["state"]
    state = {f"{i}.{name}": torch.as_tensor(value) for i, parts in moments.items() for name, value in parts.items()}
    return state | {f"free.{i}": weights for i, weights in enumerate(free)}


def _restore(free: list[torch.Tensor], optimizer: torch.optim.Optimizer, state: dict[str, torch.Tensor]) -> None:
    moments: dict[int, dict[str, torch.Tensor]] = {0: {}, 1: {}}
    for name, value in state.items():
        first, _, part = name.partition(".")
        if first.isdigit():
            moments[int(first)][part] = value
    for i, weights in enumerate(free):
        weights.data.copy_(state[f"free.{i}"])
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
