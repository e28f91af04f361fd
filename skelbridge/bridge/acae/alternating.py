"""Alternating convex steps on the moments: decoder and encoder in turn, each by a few steps of ADMM.

With V Vᵀ the moments of the K joints, Q = E V the latents, a_j the weight of joint j and c_j its stiffness (how fast
its loss grows with its squared error), both half-steps are quadratic with an L1 price and rows that sum to one:

    decoder   min  Σ_j a_j (c_j / 2 |D_j Q - V_j|² + price |D_j|₁)
    encoder   min  Σ_j a_j  c_j / 2 |D_j E V - V_j|² + price |E|₁

The decoder's Hessian Q Qᵀ is shared by all joints; the encoder's is the Kronecker product of Dᵀ C D and V Vᵀ, diagonal
in their eigenvectors. So a step of ADMM (Boyd et al. 2011) is two products of small matrices, and L1 gives exact zeros.
The stiffness is that of the present error, which makes squared errors stand for absolute ones.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from skelbridge.errors import need

if TYPE_CHECKING:
    import torch

    from skelbridge.bridge.acae.objective import Objective
else:
    torch = need("torch", "fit")

#: Steps of each half between two changes of the other.
STEPS = 10
#: The penalty of ADMM, a share of the joints' mean squared distance from the body's middle. Half-steps that are cut
#: short can drift apart; when the objective has grown by WORSE, the best weights come back, with a penalty STIFFER.
RHO, WORSE, STIFFER = 0.016, 1.3, 4.0
#: Rounds, and weights below which the sparse copies hold only what ADMM leaves of zeros.
ROUNDS, DUST = 100, 1e-3
#: Steps of the decoder before the first round: from a decoder that is not its best, the encoder would run away.
WARM_UP = 100


@dataclass
class Split:
    """A matrix of weights as ADMM has it: rows that sum to one, the sparse copy, and the scaled multiplier."""

    affine: torch.Tensor
    sparse: torch.Tensor
    multiplier: torch.Tensor

    @classmethod
    def of(cls, weights: torch.Tensor) -> Split:
        """At the start."""
        return cls(weights, weights.clone(), weights * 0)

    def take(self, affine: torch.Tensor, threshold: torch.Tensor | float) -> None:
        """The sparse copy and the multiplier after a new affine one."""
        self.affine = affine
        total = affine + self.multiplier
        self.sparse = total.sign() * (total.abs() - threshold).clamp(min=0)
        self.multiplier = total - self.sparse

    def tie(self, rows: torch.Tensor, columns: torch.Tensor) -> None:
        """Make all three equal to their mirror images."""
        for part in fields(self):
            weights = getattr(self, part.name)
            setattr(self, part.name, (weights + weights[rows][:, columns]) / 2)


def on_support(weights: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
    """The nearest weights that are zero outside `support` and whose rows sum to one."""
    weights, support = weights * support, support.to(weights.dtype)
    return weights + support * ((1 - weights.sum(dim=1, keepdim=True)) / support.sum(dim=1, keepdim=True))


def factor(moments: torch.Tensor, least: float = 1e-9) -> torch.Tensor:
    """V (K, R) with V Vᵀ the moments, of the principal components that matter; its columns are orthogonal."""
    values, vectors = torch.linalg.eigh(moments)
    kept = values > least * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


def improve_decoder(
    decoder: Split, V: torch.Tensor, Q: torch.Tensor, price: torch.Tensor, penalty: float = RHO, steps: int = STEPS
) -> None:
    """Steps towards the decoder (K, L) that minimises ½ |D_j Q - V_j|² + price_j |D_j|₁ for each joint, in place."""
    rho = penalty * float((V**2).sum() / len(V))
    hessian = Q @ Q.T + rho * torch.eye(len(Q), dtype=V.dtype, device=V.device)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    pull, ones = V @ Q.T, inverse.sum(dim=1)
    for _ in range(steps):
        free = (pull + rho * (decoder.sparse - decoder.multiplier)) @ inverse
        affine = free - (free.sum(dim=1, keepdim=True) - 1) * (ones / ones.sum())
        decoder.take(affine, (price / rho)[:, None])


def improve_encoder(
    encoder: Split,
    V: torch.Tensor,
    decoder: torch.Tensor,
    stiffness: torch.Tensor,
    price: float,
    penalty: float = RHO,
    steps: int = STEPS,
) -> None:
    """Steps towards the encoder (L, K) that minimises Σ_j stiffness_j / 2 |D_j E V - V_j|² + price |E|₁, in place.

    V's columns must be orthogonal and sum to zero, as those of `factor` do for centred poses.
    """
    weighted = decoder.T * stiffness
    values, vectors = torch.linalg.eigh(weighted @ decoder)
    moments = (V**2).sum(dim=0)
    basis = V / moments.sqrt()
    rho = penalty * float(moments.sum() / len(V)) * float(values.mean())
    curvature = values[:, None] * moments
    goal = vectors.T @ (weighted @ basis) * moments
    for _ in range(steps):
        start = encoder.sparse - encoder.multiplier
        along = vectors.T @ (start @ basis)
        change = (goal + rho * along) / (curvature + rho) - along
        affine = start + vectors @ change @ basis.T
        affine = affine + (1 - affine.sum(dim=1, keepdim=True)) / affine.shape[1]
        encoder.take(affine, price / rho)


class Alternating:
    """Alternating steps on an objective's moments."""

    def __init__(
        self, objective: Objective, V: torch.Tensor, encoder: torch.Tensor, decoder: torch.Tensor, rounds: int = ROUNDS
    ):
        self.objective, self.V, self.rounds = objective, V, rounds
        self.encoder, self.decoder = Split.of(encoder), Split.of(decoder)
        self.penalty, self.least, self.best = RHO, float("inf"), self._halves()

    @property
    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder and decoder, sparse, rows that sum to one."""
        halves = self.encoder, self.decoder
        used = [half.sparse.abs() > DUST for half in halves]
        largest = [half.affine == half.affine.max(dim=1, keepdim=True).values for half in halves]
        encoder, decoder = (
            on_support(half.sparse, some | one) for half, some, one in zip(halves, used, largest, strict=True)
        )
        return self.objective.tied(encoder, decoder)

    def step(self, number: int) -> None:
        """One round: the decoder, then the encoder."""
        o = self.objective
        self._step_back_if_worse()
        stiffness = self._improve_decoder(WARM_UP if number == 0 else STEPS)
        weighted = stiffness * o.weight.double()
        improve_encoder(self.encoder, self.V, self.decoder.affine, weighted, o.prices[0], self.penalty)
        self.encoder.tie(o.latent_mirror, o.mirror)

    def _improve_decoder(self, steps: int) -> torch.Tensor:
        """Improve the decoder; the joints' stiffness before that, (K,)."""
        o, latents = self.objective, self.encoder.affine @ self.V
        stiffness = o.stiffness((self.decoder.affine @ latents - self.V).norm(dim=1))
        improve_decoder(self.decoder, self.V, latents, o.prices[1] / stiffness, self.penalty, steps)
        self.decoder.tie(o.mirror, o.latent_mirror)
        return stiffness

    def _step_back_if_worse(self) -> None:
        value = self._value()
        if value < self.least:
            self.least, self.best = value, self._halves()
        elif not value <= WORSE * self.least:
            self.penalty *= STIFFER  # the multipliers are scaled by it
            self.best = {name: t / STIFFER if "multiplier" in name else t for name, t in self.best.items()}
            self._put_back(self.best)

    def _value(self) -> float:
        """The objective as the moments have it, m."""
        o, (encoder, decoder) = self.objective, self.weights
        rms = (decoder @ (encoder @ self.V) - self.V).norm(dim=1)
        enc_price, dec_price = o.prices
        rows = o.stiffness(rms) * rms**2 + dec_price * decoder.abs().sum(dim=1)
        return float(rows @ o.weight.double() + enc_price * encoder.abs().sum())

    def _halves(self) -> dict[str, torch.Tensor]:
        halves = (("encoder", self.encoder), ("decoder", self.decoder))
        return {f"{name}.{part.name}": getattr(half, part.name) for name, half in halves for part in fields(half)}

    def _put_back(self, halves: dict[str, torch.Tensor]) -> None:
        for name, tensor in halves.items():
            half, _, part = name.partition(".")
            setattr(getattr(self, half), part, tensor.to(self.V))

    def state(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step."""
        best = {f"best.{name}": tensor for name, tensor in self.best.items()}
        watched = torch.tensor([self.least, self.penalty], dtype=torch.float64)
        return self._halves() | best | {"watched": watched}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put a state back."""
        self.least, self.penalty = state["watched"].tolist()
        self.best = {name.removeprefix("best."): tensor for name, tensor in state.items() if name.startswith("best.")}
        self._put_back({name: tensor for name, tensor in state.items() if name in self.best})
