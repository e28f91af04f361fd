"""What changes the weights: AdamW for head and backbone, and a running average of the weights.

Their state is kept as flat named tensors and a few numbers, named after the network's parameters, so that it fits into
a safetensors file and training goes on from it bit by bit as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from skelbridge.errors import InputError
from skelbridge.train.schedule import Rates

#: How strongly weights decay: the rate falls with the root of the steps, as in Loshchilov and Hutter, "Decoupled
#: Weight Decay Regularization".
DECAY = 3e-3
#: What AdamW remembers of each parameter.
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_SETTINGS = ("betas", "eps", "weight_decay")


def weight_decay(steps: int, base: float, strength: float = DECAY) -> float:
    """The decay of AdamW, strength / (√steps · base), of initial training of that many steps and base rate.

    Weights shrink by rate · decay each step, so by strength / √steps at the base rate. Fine-tuning keeps the decay of
    its initial training.
    """
    if steps < 1 or base <= 0:
        raise InputError("weight decay", expected="1 step or more and a base rate above 0", got=(steps, base))
    return strength / (math.sqrt(steps) * base)


# -- AdamW ------------------------------------------------------------------------------------------------------------


def make_optimiser(network: nn.Module, decay: float, head: str = "head", *, scaled: bool = False) -> AdamW:
    """AdamW over all trainable parameters, biases and norms included, in two groups: the head, and the backbone.

    decay: see `weight_decay`. head: the module whose parameters are the head. The rates are 0 until `set_rates`.
    scaled: whether losses are scaled for the sake of 16-bit gradients, which PyTorch's fused optimiser would scale back
    by itself, unseen by whoever looks at their norm; else on a CPU it is the fused one.
    Raises InputError for a network without such a module.
    """
    parameters = {name: value for name, value in network.named_parameters() if value.requires_grad}
    inside = {name for name in parameters if name.startswith(f"{head}.")}
    if not inside:
        raise InputError("the network's head", expected=f"trainable parameters in a module {head!r}", got="none")
    groups = []
    for part, names in (("head", sorted(inside)), ("backbone", sorted(parameters.keys() - inside))):
        groups.append({"params": [parameters[name] for name in names], "names": names, "part": part, "lr": 0.0})
    fused = not scaled and all(parameter.device.type == "cpu" for parameter in parameters.values())
    way = {"fused": True} if fused else {"foreach": True}
    return AdamW(groups, lr=0.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay, **way)


def set_rates(optimiser: torch.optim.Optimizer, rates: Rates) -> None:
    """Set the learning rates of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = float(getattr(rates, group["part"]))


def optimiser_state(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What the optimiser remembers: copies as tensors "MOMENT/PARAMETER" on the CPU, and its settings for JSON."""
    tensors = {}
    for name, parameter in _named(optimiser).items():
        for moment, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{moment}/{name}"] = _copy(value)
    settings = {group["part"]: {key: group[key] for key in ("lr", *_SETTINGS)} for group in optimiser.param_groups}
    return tensors, settings


def load_optimiser_state(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> None:
    """Go on from a kept state; InputError if it is of another network.

    A parameter that had never been updated has no state, and begins anew.
    """
    named, states = _named(optimiser), {}
    for name, parameter in named.items():
        kept = {moment: tensors[f"{moment}/{name}"] for moment in _MOMENTS if f"{moment}/{name}" in tensors}
        if kept and len(kept) < len(_MOMENTS):
            raise InputError(f"the optimiser's state of {name}", expected=", ".join(_MOMENTS), got=", ".join(kept))
        if kept and any(kept[moment].shape != parameter.shape for moment in _MOMENTS[:2]):
            raise InputError(f"the optimiser's state of {name}", expected=tuple(parameter.shape),
                             got=tuple(kept["exp_avg"].shape))  # fmt: skip
        states[parameter] = {moment: _like(value, parameter) for moment, value in kept.items()}
    unknown = {name.partition("/")[2] for name in tensors} - named.keys()
    if unknown:
        raise InputError("the optimiser's state", expected="parameters of this network", got=sorted(unknown)[0])
    for parameter, state in states.items():
        optimiser.state.pop(parameter, None)
        if state:
            optimiser.state[parameter] = state
    for group in optimiser.param_groups:
        own = settings[group["part"]]
        group.update({key: tuple(value) if isinstance(value, list) else value for key, value in own.items()})


def _named(optimiser: torch.optim.Optimizer) -> dict[str, nn.Parameter]:
    pairs = [pair for group in optimiser.param_groups for pair in zip(group["names"], group["params"], strict=True)]
    return dict(pairs)


def _copy(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True).contiguous()


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A kept value where and laid out as the optimiser would have it; AdamW counts its steps on the CPU."""
    if value.shape != parameter.shape or value.ndim == 0:
        return value.detach().clone()
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


# -- running average --------------------------------------------------------------------------------------------------


class Ema:
    """A running average of a network's weights, and of its buffers such as the statistics of batch normalisation."""

    def __init__(self, network: nn.Module, decay: float):
        """decay: the part of the average that stays each step, 0 to 1, such as 0.999; it begins at the weights."""
        if not 0 <= decay <= 1:
            raise InputError("the decay of averaged weights", expected="0 to 1", got=decay)
        self.decay = decay
        self._network = network
        self._average = {name: value.detach().clone() for name, value in self._current().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights of now; call it after each step."""
        current = self._current()
        real = [name for name, value in current.items() if value.is_floating_point()]
        averages, weights = [self._average[name] for name in real], [current[name].detach() for name in real]
        torch._foreach_lerp_(averages, weights, 1 - self.decay)
        for name in current.keys() - set(real):  # such as counters
            self._average[name].copy_(current[name])

    @contextmanager
    def swapped(self) -> Iterator[nn.Module]:
        """The network with the averaged weights; afterwards it has its own again, to the bit."""
        own = {name: value.detach().clone() for name, value in self._current().items()}
        try:
            self._write(self._average)
            yield self._network
        finally:
            self._write(own)

    def state(self) -> dict[str, Tensor]:
        """Copies of the averages on the CPU, named as in the network's own state."""
        return {name: _copy(value) for name, value in self._average.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from kept averages; InputError if they are of another network."""
        shapes = {name: tuple(value.shape) for name, value in self._average.items()}
        found = {name: tuple(value.shape) for name, value in tensors.items()}
        if shapes != found:
            wrong = sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name))[0]
            raise InputError(f"averaged weights: {wrong}", expected=shapes.get(wrong, "no such tensor"),
                             got=found.get(wrong, "none"))  # fmt: skip
        for name, value in tensors.items():
            self._average[name].copy_(value)

    def _current(self) -> dict[str, Tensor]:
        return self._network.state_dict(keep_vars=True)

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for name, value in self._current().items():
            value.copy_(values[name])
