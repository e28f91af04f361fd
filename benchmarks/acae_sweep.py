"""What price and number of latents do, on poses of other clips, and how far the fit is from exact convex steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.acae_poses import Bodies, Floats, before_camera
from benchmarks.acae_race import Weights, watching
from skelbridge.bridge.acae import ACAE, Joints, fit_acae, shipped_acae
from skelbridge.bridge.acae.exact import exact_decoder, exact_encoder
from skelbridge.bridge.acae.objective import Objective

Latents = tuple[int, int]
Price = float | tuple[float, float]

#: The grid, to which the price and the number of the shipped one are added; poses to fit each on.
PRICES: tuple[Price, ...] = (0.2, 0.6, 1.2, 2.0)
LATENTS = ((20, 4), (40, 8), (80, 16))
FITTED_ON = 4_000

#: The small set for exact steps: formats, latents, price (as much a latent as 0.6 for 48) and poses.
EXACT_FORMATS, EXACT_LATENTS, EXACT_L1, EXACT_POSES = ("coco_17", "h36m_17"), (8, 4), 0.15, 100


@dataclass(frozen=True)
class Grid:
    """Fits by latents and price; chosen are those of the shipped one."""

    joints: Joints
    fits: dict[tuple[Latents, Price], ACAE]
    chosen: tuple[Latents, Price]

    def along_prices(self) -> dict[Price, ACAE]:
        """The fits with as many latents as the shipped one, by price."""
        return {price: acae for (latents, price), acae in self.fits.items() if latents == self.chosen[0]}

    def rows(self) -> list[dict[str, Any]]:
        """For `skelbridge.plot.plot_tradeoff`."""
        return [
            {
                "l1": price, "latents": latents, "error_mm": mean(acae), "floor_mm": mean(acae, "floor"),
                "negative_encoder": acae.negative_share()[0], "negative_decoder": acae.negative_share()[1],
                "chosen": (latents, price) == self.chosen,
            }
            for (latents, price), acae in self.fits.items()
        ]  # fmt: skip


def mean(acae: ACAE, what: str = "error", chosen: Any = slice(None)) -> float:
    """The mean over joints of their mean distances on held-out poses, mm; NaN for none known."""
    values = acae.held_out[what][chosen]
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def grid(bodies: Bodies) -> Grid:
    """Fit all joints of the registry with every price and number of latents, 3D errors, places counted once."""
    joints, chosen = Joints.registry(), as_shipped()
    poses = before_camera(np.concatenate([bodies.fit[:FITTED_ON], bodies.judge]), joints)
    share = len(bodies.judge) / len(poses)
    points = [(latents, price) for latents in LATENTS for price in PRICES]
    return Grid(
        joints,
        {
            (latents, price): fit_acae(poses, joints, latents, l1=price, held_out=share, sample=len(poses))
            for latents, price in dict.fromkeys([*points, chosen])
        },
        chosen,
    )


def as_shipped() -> tuple[Latents, Price]:
    """Latents and price of the shipped autoencoder."""
    about = shipped_acae().certificate
    (sided, central), (encoder, decoder) = about["latents"], about["l1"]
    return (sided, central), encoder if encoder == decoder else (encoder, decoder)


def tradeoff(result: Grid) -> Iterator[str]:
    """Error and weights over the grid."""
    about = result.fits[result.chosen].certificate
    yield (
        f"{len(result.joints):,} joints of {len(result.joints.formats)} formats ({about['places']} places), fitted on "
        f"{about['fitted_on']:,} poses, judged by {about['judged_on']:,} of other clips. Mean distance from the "
        "reconstruction; start: single joints as latents, near-convex decoder; floor: principal components of the same "
        "rank, dense and not convex.\n"
    )
    yield (
        "| L | λ | error, mm | start | floor | negative part: encoder | decoder | weights a row: encoder | decoder "
        "| shipped |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for (latents, price), acae in result.fits.items():
        errors = " | ".join(f"{mean(acae, what):.1f}" for what in ("error", "start", "floor"))
        negative = " | ".join(f"{share:.1%}" for share in acae.negative_share())
        used = " | ".join(f"{rows.mean():.1f}" for rows in acae.sparsity)
        mark = "yes" if (latents, price) == result.chosen else ""
        yield f"| {latents[0]} + {latents[1]} | {_price(price)} | {errors} | {negative} | {used} | {mark} |"


def shipped() -> Iterator[str]:
    """The shipped autoencoder's own figures."""
    acae = shipped_acae()
    (sided, central), price = as_shipped()
    negative = " and ".join(f"{share:.1%}" for share in acae.negative_share())
    yield (
        f"\nThe shipped one, fitted on {acae.certificate['fitted_on']:,} poses: {sided} + {central} latents, λ = "
        f"{_price(price)}; negative part of encoder and decoder {negative} (wanted: under 5 % and 1 %); "
        f"{mean(acae):.1f} mm on the poses that it kept for judging, start {mean(acae, 'start'):.1f}, floor "
        f"{mean(acae, 'floor'):.1f}."
    )


def by_kind(result: Grid) -> Iterator[str]:
    """The error over the price, by kind of joint and by format, with the start and the floor."""
    kinds = np.array(result.joints.kinds)
    parts: dict[str, Any] = {kind.replace("_", " "): kinds == kind for kind in dict.fromkeys(result.joints.kinds)}
    sided, central = result.chosen[0]
    yield f"\nMean distance on held-out poses, mm, L = {sided} + {central}, by kind of joint:\n"
    yield from _errors(result, "kind", parts)
    yield f"\nBy format:\n\n<details><summary>{len(result.joints.formats)} formats</summary>\n"
    yield from _errors(result, "format", {str(card): result.joints.slice_of(card) for card in result.joints.formats})
    yield "\n</details>"


def _errors(result: Grid, what: str, parts: dict[str, Any]) -> Iterator[str]:
    fits = result.along_prices()
    prices = " | ".join(f"λ = {_price(price)}" for price in fits)
    yield f"| {what} | joints | {prices} | start | floor |"
    yield "|---" * (len(fits) + 4) + "|"
    for name, part in parts.items():
        size = len(np.empty(len(result.joints))[part])
        values = [mean(acae, "error", part) for acae in fits.values()]
        values += [mean(result.fits[result.chosen], other, part) for other in ("start", "floor")]
        yield f"| {name} | {size} | {' | '.join(f'{value:.1f}' for value in values)} |"


def _price(price: Price) -> str:
    return " and ".join(f"{value:g}" for value in np.ravel(price))


def exact_steps(bodies: Bodies) -> Iterator[str]:
    """How much an exact decoder step and an exact encoder step still gain, on a small set."""
    joints = Joints.of(EXACT_FORMATS)
    poses = before_camera(bodies.fit[:EXACT_POSES], joints)
    objective, ours = _solved(poses, joints, "alternating")
    _, reference = _solved(poses, joints, "cvxpy")
    encoder, decoder = (W.double() for W in ours["descent"])
    found = {
        "ours, small weights pruned": ours["refit"],
        "ours, not pruned": (encoder, decoder),
        "then one exact decoder step": (encoder, exact_decoder(objective, encoder, decoder)),
        "or one exact encoder step": (exact_encoder(objective, decoder), decoder),
        "instead of ours: three rounds of exact steps from the same start": reference["exact half-steps"],
    }
    value = {name: 1000 * objective.value(*weights) for name, weights in found.items()}
    base = value["ours, not pruned"]
    yield (
        f"\nExact convex half-steps (Clarabel), on {len(poses)} poses in the {len(joints)} joints of "
        f"{', '.join(EXACT_FORMATS)}, {sum(EXACT_LATENTS)} latents, λ = {EXACT_L1}, 3D errors:\n"
    )
    yield "| weights | objective, mm | change |"
    yield "|---|---|---|"
    for name, mm in value.items():
        yield f"| {name} | {mm:.3f} | {mm / base - 1:+.2%} |"


def _solved(poses: Floats, joints: Joints, solver: Any) -> tuple[Objective, dict[str, Weights]]:
    """The objective, and the weights at the end of every stage."""
    with watching() as log:
        prune = 0.005 if solver == "alternating" else 0.0
        fit_acae(poses, joints, EXACT_LATENTS, l1=EXACT_L1, prune=prune, held_out=0.0, solver=solver)
    if log.objective is None:
        raise RuntimeError("the fit ran no stage")
    return log.objective, log.ended
