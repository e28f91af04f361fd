"""A new format joins the hub: its joints as affine combinations of latents that are there, by an affine lasso."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae.exact import lasso_row
from skelbridge.bridge.acae.joints import Joints
from skelbridge.bridge.apply import to_numpy
from skelbridge.errors import InputError
from skelbridge.skeletons import Skeleton

if TYPE_CHECKING:
    from skelbridge.bridge.acae.model import ACAE

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Prices of weights that are tried, m, as those of `fit_acae`; the highest that is as good as the best is taken.
PRICES, AS_GOOD = (2.0, 0.6, 0.2, 0.06, 0.02, 0.0), 1.02
#: Poses that a price is tried on, and rows are fitted on, at most; weights below SMALLEST are dropped.
POSES, LEAST_POSES, SMALLEST = 400, 10, 0.005


def attach(acae: ACAE, format: str | Path | Skeleton, poses: Any, points: Any, l1: float | None) -> ACAE:
    """A new autoencoder that decodes one more format; what it had stays as it is.

    Parameters: poses (N, J, 3) in the autoencoder's joints, or latents (N, L, 3); points (N, T, 3) of the new format
    on the same bodies, in the same frame of reference, mm; NaN where missing. l1: the price of weights; the default
    is chosen by the errors on the last fifth of the poses.
    Raises InputError for shapes that do not match, a format that is there already, a joint that is hardly ever known.
    """
    joints = Joints.of([*acae.joints.formats, format])
    card = joints.formats[-1]
    given, goal = np.asarray(to_numpy(poses), dtype=np.float64), np.asarray(to_numpy(points), dtype=np.float64)
    latents = given if given.shape[1:] == (len(acae.latents), 3) else acae.encode(given)
    if goal.shape != (len(latents), len(card), 3):
        raise InputError(f"points of {card}", expected=f"shape ({len(latents)}, {len(card)}, 3)", got=goal.shape)
    if np.isinf(goal).any() or np.isinf(latents).any():
        raise InputError(f"poses to attach {card}", expected="finite numbers, NaN where missing", got="an infinity")
    if l1 is not None and not l1 >= 0:
        raise InputError("l1", expected="a price of 0 or more", got=l1)
    rows, chosen, error = decoder_rows(latents, goal, Joints((card,)), slice(None), acae.latent_mirror, l1)
    zeros = np.zeros((len(acae.latents), len(card)))
    nothing = np.full(len(card), np.nan)
    return replace(
        acae,
        joints=joints,
        encoder=np.concatenate([acae.encoder, zeros], axis=1),
        decoder=np.concatenate([acae.decoder, rows]),
        mean_pose=np.concatenate([acae.mean_pose, rows @ acae.mean_latents]),
        held_out={name: np.append(e, error if name == "error" else nothing) for name, e in acae.held_out.items()},
        certificate=acae.certificate
        | {
            "attached": [*acae.certificate.get("attached", []), {"format": str(card), "poses": len(goal), "l1": chosen}]
        },
    )


def decoder_rows(
    latents: Array, goal: Array, joints: Joints, which: Indices | slice, latent_mirror: Indices, l1: float | None = None
) -> tuple[Array, float, Array]:
    """The rows (T, L) that decode joints (N, T, 3) mm from latents (N, L, 3), the price of weights, and the errors.

    which: the joints that these are. Those of a pair share their weights, mirrored; those without a mirror image are
    free. The errors (T,) mm are mean distances on the last fifth of the poses that know a joint, from rows that have
    not seen them. Raises InputError for a joint that is hardly ever known.
    """
    known = _known(latents, goal)
    few = known.sum(axis=0) < LEAST_POSES
    if few.any():
        names = ", ".join(np.array(joints.names)[which][few][:5])
        raise InputError("poses to decode joints by", expected=f"at least {LEAST_POSES} that know each",
                         got=f"fewer of {names}")  # fmt: skip
    ties = _Ties(joints.mirror[which], latent_mirror)
    train = known & (known.cumsum(axis=0) <= 0.8 * known.sum(axis=0))
    tried = PRICES if l1 is None else (l1,)
    rows = [ties.rows(latents, goal, train, price) for price in tried]
    errors = np.array([_errors(W, latents, goal, known & ~train) for W in rows])
    means = errors.mean(axis=1)
    best = int(np.flatnonzero(means <= means.min() * AS_GOOD + 1e-9)[0])
    return ties.rows(latents, goal, known, tried[best]), tried[best], errors[best]


def _known(latents: Array, goal: Array) -> NDArray[np.bool_]:
    """Where a joint and all latents are known, (N, T)."""
    known: NDArray[np.bool_] = np.isfinite(goal.sum(axis=-1)) & np.isfinite(latents.sum(axis=(1, 2)))[:, None]
    return known


def _errors(rows: Array, latents: Array, goal: Array, known: NDArray[np.bool_]) -> Array:
    distance = np.linalg.norm(rows @ latents - goal, axis=-1)
    return np.asarray(np.where(known, distance, 0).sum(axis=0) / known.sum(axis=0))


class _Ties:
    """Which rows and weights go together."""

    def __init__(self, mirror: Indices, latent_mirror: Indices):
        self.mirror, self.latent_mirror = mirror, latent_mirror
        first = np.flatnonzero(latent_mirror >= np.arange(len(latent_mirror)))
        self.symmetric = np.zeros((len(latent_mirror), len(first)))
        self.symmetric[first, np.arange(len(first))] = self.symmetric[latent_mirror[first], np.arange(len(first))] = 1

    def rows(self, latents: Array, goal: Array, known: NDArray[np.bool_], l1: float) -> Array:
        """The decoder rows at one price."""
        result = np.zeros((goal.shape[1], latents.shape[1]))
        for joint, partner in enumerate(self.mirror):
            if 0 <= partner < joint:
                result[joint] = result[partner][self.latent_mirror]
                continue
            A, y = _rows(latents, goal[:, joint], known[:, joint])
            if partner > joint:
                B, z = _rows(latents[:, self.latent_mirror], goal[:, partner], known[:, partner])
                A, y = np.concatenate([A, B]), np.concatenate([y, z])
            expand = self.symmetric if partner == joint else np.eye(latents.shape[1])
            result[joint] = _pruned(A / 1000, y / 1000, l1 / latents.shape[1], expand)
        return result


def _rows(latents: Array, goal: Array, known: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The equations of one joint, of POSES poses at most, evenly spread: (n, L), (n,)."""
    chosen = np.flatnonzero(known)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), POSES)).astype(int)]
    middle = latents[chosen].mean(axis=1, keepdims=True)
    A = (latents[chosen] - middle).transpose(0, 2, 1).reshape(-1, latents.shape[1])
    return A, (goal[chosen] - middle[:, 0]).reshape(-1)


def _pruned(A: Array, y: Array, price: float, expand: Array) -> Array:
    """The lasso's row; small weights are dropped and the rest solved again."""
    row = lasso_row(A, y, price, expand)
    kept = np.abs(np.linalg.pinv(expand) @ row) >= SMALLEST
    again = lasso_row(A, y, price, expand[:, kept]) if kept.any() and not kept.all() else row
    again = np.where(expand[:, kept].any(axis=1), again, 0) if kept.any() else row
    return again / again.sum()
