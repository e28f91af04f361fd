"""What an autoencoder is like, in words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skelbridge.bridge.acae.model import ACAE


def report(acae: ACAE) -> str:
    """Sizes, weights, the held-out error of every format beside the baselines, and the latents with their sources."""
    enc, dec = acae.negative_share()
    pairs, central = acae.pairs, len(acae.latents) - 2 * acae.pairs
    lines = [
        f"{len(acae.joints.formats)} formats, {len(acae.joints)} joints; {len(acae.latents)} latents: {pairs} on each "
        f"side, {central} central",
        f"weights a row: encoder {acae.sparsity.encoder.mean():.1f}, decoder {acae.sparsity.decoder.mean():.1f}; "
        f"negative part of the absolute weights: encoder {enc:.1%}, decoder {dec:.1%}",
    ]
    if acae.held_out:
        lines += ["", *_errors(acae)]
    lines += ["", "latents and the joints that they draw on"]
    width = max(map(len, acae.latents))
    for name in acae.latents:
        terms = [f"{weight:+.2f} {joint}" for joint, weight in list(acae.sources_of(name).items())[:4]]
        lines.append(f"{name:<{width}}  {' '.join(terms)}{' ...' if len(acae.sources_of(name)) > 4 else ''}")
    return "\n".join(lines)


def _errors(acae: ACAE) -> list[str]:
    names = list(acae.held_out)
    width = max(len(name) for name in [*acae.joints.slices, "all joints"])
    lines = ["mean distance on held-out poses, mm", f"{'':<{width}}  " + "  ".join(f"{name:>10}" for name in names)]
    for label, part in [*acae.joints.slices.items(), ("all joints", slice(None))]:
        values = [_mean(acae.held_out[name][part]) for name in names]
        lines.append(f"{label:<{width}}  " + "  ".join(f"{value:>10.1f}" for value in values))
    return lines


def _mean(errors: NDArray[np.float64]) -> float:
    """The mean of those that are known, NaN for none."""
    known = errors[np.isfinite(errors)]
    return float(known.mean()) if len(known) else np.nan
