"""Where a fit starts: the joints from which the others are best combined, chosen one after the other."""

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
    Wolfe's method over the joints. `pairs` of sided latents are chosen, the others central.
    """
    mirror, everyone = objective.mirror, torch.arange(len(V), device=V.device)
    sided, first = mirror != everyone, mirror > everyone
    usual = TOLERABLE * ((V**2).sum() / len(V)).sqrt()
    price = (objective.prices[1] / objective.stiffness(usual)).expand(len(V))
    wanted = {True: pairs, False: objective.latents - 2 * pairs}
    chosen: dict[bool, list[int]] = {True: [], False: []}
    estimate = torch.zeros_like(V)
    while any(len(chosen[kind]) < wanted[kind] for kind in wanted):
        gain = _gain(V, estimate, mirror, objective.weight.double())
        for kind, candidates in ((True, first), (False, ~sided)):
            if len(chosen[kind]) == wanted[kind]:
                gain[candidates] = -1
        gain[sided & ~first] = gain[[*chosen[True], *chosen[False]]] = -1
        best = int(gain.argmax())
        chosen[bool(sided[best])].append(best)
        taken = _listed(chosen, mirror)
        decoder = Split.of(torch.full((len(V), len(taken)), 1 / len(taken), dtype=V.dtype, device=V.device))
        improve_decoder(decoder, V, V[taken], price, steps=STEPS)
        estimate = decoder.affine @ V[taken]
    encoder = torch.zeros(objective.latents, len(V), dtype=V.dtype, device=V.device)
    encoder[torch.arange(objective.latents), taken] = 1.0
    return encoder, decoder.affine


def _gain(V: torch.Tensor, estimate: torch.Tensor, mirror: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Squared error that each candidate takes off for each point it adds, (K,).

    Each joint may move towards the candidate or its mirror image, from 0 to all the way.
    """
    off = V - estimate
    along = off @ V.T - (off * estimate).sum(dim=1, keepdim=True)
    length = (estimate**2).sum(dim=1, keepdim=True) - 2 * estimate @ V.T + (V**2).sum(dim=1)
    step = (along / length.clamp(min=1e-12)).clamp(0, 1)
    taken_off = 2 * step * along - step**2 * length
    gain = weight @ taken_off.maximum(taken_off[:, mirror])
    return gain / (1 + (mirror != torch.arange(len(mirror), device=mirror.device)))


def _listed(chosen: dict[bool, list[int]], mirror: torch.Tensor) -> list[int]:
    """Left ones, their mirror images, central ones."""
    return [*chosen[True], *mirror[chosen[True]].tolist(), *chosen[False]]
