"""Exact convex half-steps by cvxpy: the reference for the fast ones, and the lasso that attaches formats.

Given the latents, each row of the decoder is a convex problem of its own: least absolute (or Huber, or squared)
errors, an L1 price, a sum of one. Given the decoder, the encoder is one convex problem in all its rows. Projected
errors are not linear, but the homogeneous residual (z̄ / s) (Σ_l w_l (Q_xy,l - u Q_z,l)) is, and it is the projected
error where s is the depth of the reconstruction, which is taken from the weights before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae.alternating import on_support
from skelbridge.errors import InputError, need

if TYPE_CHECKING:
    import torch

    from skelbridge.bridge.acae.objective import Loss, Objective

Array = NDArray[np.float64]

#: An encoder half-step with more residuals times weights than this is refused.
MOST_ENTRIES = 3e7
#: Weights below this are what an interior-point method leaves of zeros.
NOTHING = 1e-5


def lasso_row(A: Array, y: Array, price: float, expand: Array, loss: Loss = "l1", delta: float = 1.0) -> Array:
    """The weights w = expand @ v that minimise mean ρ(A w - y) + price |w|₁ with a sum of one, (L,).

    A (n, L), y (n,); expand (L, V): what ties weights to each other, the identity for none.
    """
    cp = need("cvxpy", "fit")
    v = cp.Variable(expand.shape[1])
    w = expand @ v
    residual = A @ w - y
    problem = cp.Problem(cp.Minimize(_loss(cp, residual, loss, delta) / len(y) + price * cp.norm1(w)), [cp.sum(w) == 1])
    problem.solve(solver=cp.CLARABEL)
    return np.asarray(expand @ v.value, dtype=np.float64)


def _loss(cp: Any, residual: Any, loss: Loss, delta: float) -> Any:
    if loss == "l1":
        return cp.norm1(residual)
    return (cp.sum(cp.huber(residual, delta)) if loss == "huber" else cp.sum_squares(residual)) / (2 * delta)


class Exact:
    """A stage of exact half-steps, the decoder and then the encoder, for small problems."""

    def __init__(self, objective: Objective, encoder: torch.Tensor, decoder: torch.Tensor, rounds: int = 3):
        check_size(objective)
        self.objective, self.rounds = objective, rounds
        self.encoder, self.decoder = encoder, decoder

    @property
    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder and decoder as they are now, without what the solver leaves of zeros."""
        encoder, decoder = (on_support(W, W.abs() > NOTHING) for W in (self.encoder, self.decoder))
        return self.objective.tied(encoder, decoder)

    def step(self, number: int) -> None:
        """One round."""
        self.decoder = exact_decoder(self.objective, self.encoder, self.decoder)
        self.encoder = exact_encoder(self.objective, self.decoder)

    def state(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put a state back."""
        self.encoder, self.decoder = state["encoder"], state["decoder"]


def exact_decoder(objective: Objective, encoder: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
    """The best decoder (K, L) for an encoder; `decoder`, the one before, serves projected errors."""
    points, E, D = (t.detach().cpu().numpy().astype(np.float64) for t in (objective.points.mT, encoder, decoder))
    known = np.ones(points.shape[:2], bool) if objective.known is None else objective.known.cpu().numpy()
    mirror, latent_mirror = objective.mirror.cpu().numpy(), objective.latent_mirror.cpu().numpy()
    Q, price = np.einsum("lk,nkd->nld", E, points), objective.prices[1]
    rows = np.empty_like(D)
    for joint, partner in enumerate(mirror):
        if partner < joint:
            continue
        design, goal = _design(objective, points, Q, D, joint, known[:, joint])
        if partner != joint:
            other, more = _design(objective, points, Q, D, partner, known[:, partner])
            design, goal = np.concatenate([design, other[:, latent_mirror]]), np.concatenate([goal, more])
        expand = np.eye(len(E)) if partner != joint else _tied(latent_mirror)
        rows[joint] = lasso_row(design, goal, price, expand, objective.loss, objective.delta)
        rows[partner] = rows[joint][latent_mirror]
    return _like(rows, decoder)


def _design(
    objective: Objective, points: Array, Q: Array, decoder: Array, joint: int, known: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """The residuals of one joint as A w - y: A (n, L), y (n,)."""
    target = points[:, joint]
    if not objective.projection:
        return Q[known].transpose(0, 2, 1).reshape(-1, Q.shape[1]), target[known].reshape(-1)
    depth = np.einsum("l,nl->n", decoder[joint], Q[..., 2])
    ratio = target[:, :2] / target[:, 2:]
    scale = points[..., 2].mean(axis=1) / depth
    A = (Q[..., :2].transpose(0, 2, 1) - ratio[..., None] * Q[:, None, :, 2]) * scale[:, None, None]
    return A[known].reshape(-1, Q.shape[1]), np.zeros(2 * int(known.sum()))


def _tied(mirror: NDArray[np.intp]) -> Array:
    """Columns that give both of a pair the same weight, (L, V)."""
    first = np.flatnonzero(mirror >= np.arange(len(mirror)))
    expand = np.zeros((len(mirror), len(first)))
    expand[first, np.arange(len(first))] = expand[mirror[first], np.arange(len(first))] = 1
    return expand


def exact_encoder(objective: Objective, decoder: torch.Tensor) -> torch.Tensor:
    """The best encoder (L, K) for a decoder, in 3D; InputError for a problem too large for one convex programme."""
    cp = need("cvxpy", "fit")
    points, D = (t.detach().cpu().numpy().astype(np.float64) for t in (objective.points.mT, decoder))
    mirror, latent_mirror = objective.mirror.cpu().numpy(), objective.latent_mirror.cpu().numpy()
    L, K, weight = objective.latents, len(mirror), objective.weight.cpu().numpy().astype(np.float64)
    check_size(objective)
    position = np.arange(L * K).reshape(L, K)
    image = position[latent_mirror][:, mirror]
    first, entry = np.unique(np.minimum(position, image), return_inverse=True)
    free = cp.Variable(len(first))
    E = cp.reshape(free[entry.reshape(-1)], (L, K), order="C")
    flat = points.transpose(1, 0, 2).reshape(K, -1)
    known = np.ones(points.shape[:2], bool) if objective.known is None else objective.known.cpu().numpy()
    share = np.repeat(known.T, 3, axis=1) * weight[:, None]
    residual = cp.multiply(share / share.sum(), D @ E @ flat - flat)
    price = objective.prices[0]
    problem = cp.Problem(cp.Minimize(cp.sum(cp.abs(residual)) + price * cp.sum(cp.abs(E))), [cp.sum(E, axis=1) == 1])
    problem.solve(solver=cp.CLARABEL)
    return _like(E.value, decoder)


def check_size(objective: Objective) -> None:
    """InputError for a problem that an exact encoder step cannot take."""
    entries = objective.points.numel() * objective.latents * len(objective.weight)
    if objective.projection or objective.loss != "l1" or entries > MOST_ENTRIES:
        raise InputError(
            "an exact encoder step",
            expected=f"3D errors, the loss 'l1', and joints² x coordinates x latents of at most {MOST_ENTRIES:g}",
            got=f"projection={objective.projection}, {objective.loss!r}, {entries:g}", mend="Take fewer poses.",
        )  # fmt: skip


def _like(weights: Array, other: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.as_tensor(weights, dtype=torch.float64, device=other.device)
