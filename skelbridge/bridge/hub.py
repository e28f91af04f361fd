"""The relation of two formats through latent keypoints: source joints to latents, latents to target joints.

The same latents, whatever the target: so conversions of one pose into several formats agree with each other, as those
of joints in the trained network do. A direct conversion is the better of the two for a single format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.file import Bridge
from skelbridge.bridge.relation import Relation, Solution
from skelbridge.errors import InputError
from skelbridge.skeletons import Skeleton

if TYPE_CHECKING:
    from skelbridge.bridge.acae import ACAE

Array = NDArray[np.float64]


class HubRelation(Relation):
    """A relation whose weights are those of latents from sources, times the decoder."""

    def __init__(self, bridge: Bridge, acae: ACAE, source: Skeleton, target: Skeleton, placement: float = 1.0):
        super().__init__(bridge, source, target, placement)
        self._inward = Relation(bridge, source, acae.skeleton, placement)
        if str(target) in acae.joints.slices:
            self._decoder = acae.decoder[acae.joints.slice_of(target)]
        else:
            outward = Relation(bridge, acae.skeleton, target, placement)
            everything = np.ones((1, len(acae.latents)))
            self._decoder = outward.solve(everything > 0, everything)[0].weights

    def solve(self, available: NDArray[np.bool_], variance: Array) -> list[Solution]:
        """As `Relation.solve`, through the latents."""
        inward = self._inward.solve(available, variance)
        return [self.judge(self._decoder @ s.weights, v) for s, v in zip(inward, variance, strict=True)]

    def updated(self, *_: object) -> Relation:
        """A relation through latents does not learn from pairs."""
        raise InputError(
            "fitting a conversion through latents", mend="Fit a direct one (via=None), or attach the format."
        )
