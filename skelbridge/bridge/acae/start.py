"""Where a fit starts: the joints from which the others are best combined, chosen one by one, then exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skelbridge.bridge.acae.alternating import Split, improve_decoder
from skelbridge.errors import need

if TYPE_CHECKING:
    import torch

    from skelbridge.bridge.acae.objective import Objective

else:
    torch = need("torch", "fit")

#: Steps of the decoder after each choice.
STEPS = 20
#: An error that is usual for a joint, a share of the joints' distance from the body's middle.
TOLERABLE = 0.04


def greedy_start(objective: Objective, V: torch.Tensor, pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Encoder (L, K) that takes single joints, and the near-convex decoder (K, L) that goes with it, float64.

    V (K, R): the joints, such that V Vᵀ are their moments. Each new latent is the joint (with its mirror image) towards
    which moving the estimates of all joints, as far as each likes, takes off most squared error: a step of Frank and
    Wolfe's method over the joints. Then each is given up once and chosen anew beside all others, for the first choices
    knew nothing of the later ones. `pairs` of sided latents are chosen, the others central.
    """
    choice = _Choice(objective, V, pairs)
    while choice.open():
        choice.add()
    for joint in choice.joints():
        choice.remove(joint)
        choice.add()
    taken, decoder = choice.taken(), choice.decoder()
    encoder = torch.zeros(objective.latents, len(V), dtype=V.dtype, device=V.device)
    encoder[torch.arange(objective.latents), taken] = 1.0
    return encoder, decoder


class _Choice:
    """The joints that are latents so far: left ones of pairs, and central ones."""

    def __init__(self, objective: Objective, V: torch.Tensor, pairs: int):
        self.V, self.mirror, self.weight = V, objective.mirror, objective.weight.double()
        everyone = torch.arange(len(V), device=V.device)
        self.sided, self.first = self.mirror != everyone, self.mirror > everyone
        self.wanted = {True: pairs, False: objective.latents - 2 * pairs}
        self.chosen: dict[bool, list[int]] = {True: [], False: []}
        usual = TOLERABLE * ((V**2).sum() / len(V)).sqrt()
        self.price = (objective.prices[1] / objective.stiffness(usual)).expand(len(V))

    def open(self) -> bool:
        """Whether more are wanted."""
        return any(len(self.chosen[kind]) < count for kind, count in self.wanted.items())

    def joints(self) -> list[int]:
        """The left ones of pairs and the central ones."""
        return [*self.chosen[True], *self.chosen[False]]

    def taken(self) -> list[int]:
        """All: left ones, their mirror images, central ones."""
        return [*self.chosen[True], *self.mirror[self.chosen[True]].tolist(), *self.chosen[False]]

    def decoder(self) -> torch.Tensor:
        """Near-convex combinations of those chosen, (K, chosen)."""
        Q = self.V[self.taken()]
        even = torch.full((len(self.V), len(Q)), 1 / len(Q), dtype=self.V.dtype, device=self.V.device)
        decoder = Split.of(even)
        improve_decoder(decoder, self.V, Q, self.price, steps=STEPS)
        return decoder.affine

    def remove(self, joint: int) -> None:
        """Give one up."""
        self.chosen[bool(self.sided[joint])].remove(joint)

    def add(self) -> None:
        """Choose the joint that takes off most error, of a kind that is still wanted."""
        gain = self._gain(self.decoder() @ self.V[self.taken()] if self.joints() else torch.zeros_like(self.V))
        for kind, candidates in ((True, self.first), (False, ~self.sided)):
            if len(self.chosen[kind]) == self.wanted[kind]:
                gain[candidates] = -1
        gain[self.sided & ~self.first] = gain[self.joints()] = -1
        best = int(gain.argmax())
        self.chosen[bool(self.sided[best])].append(best)

    def _gain(self, estimate: torch.Tensor) -> torch.Tensor:
        """Squared error that each candidate takes off for each point it adds, (K,).

        Each joint may move towards the candidate or its mirror image, from 0 to all the way.
        """
        off = self.V - estimate
        along = off @ self.V.T - (off * estimate).sum(dim=1, keepdim=True)
        length = (estimate**2).sum(dim=1, keepdim=True) - 2 * estimate @ self.V.T + (self.V**2).sum(dim=1)
        step = (along / length.clamp(min=1e-12)).clamp(0, 1)
        taken_off = 2 * step * along - step**2 * length
        return self.weight @ taken_off.maximum(taken_off[:, self.mirror]) / (1 + self.sided.double())
