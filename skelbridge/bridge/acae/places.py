"""Joints joined into places: joints of different formats that always coincide are one column of a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae.joints import NO_MIRROR, Joints
from skelbridge.bridge.acae.missing import filled_in
from skelbridge.bridge.acae.objective import importances
from skelbridge.bridge.acae.sample import Floats, check_known, coincident
from skelbridge.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Places:
    """The distinct places of joints.

    of_joint: (J,), the place of each joint, NO_MIRROR for a joint that has no mirror image: it is decoded, not encoded.
    mirror: (K,), the mirror image of each place; multiplicity: (K,), how many joints are there.
    points: (N, K, 3) mm, filled in; known: (N, K).
    """

    of_joint: NDArray[np.intp]
    mirror: NDArray[np.intp]
    multiplicity: Array
    points: Floats
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.mirror)

    @classmethod
    def of(cls, points: Floats, joints: Joints) -> Places:
        """From poses (N, J, 3); InputError for joints that are never known, or a hand without the other one."""
        check_known(points, joints)
        mirror = _mirror(joints)
        used = np.flatnonzero(mirror != NO_MIRROR)
        first = coincident(points, used)
        of_joint = np.full(len(joints), NO_MIRROR, dtype=np.intp)
        representatives, of_joint[used] = np.unique(first, return_inverse=True)
        if len(representatives) < 2:
            raise InputError(
                "the joints to fit on", expected="two or more places that differ", got=len(representatives)
            )
        mirrored = of_joint[mirror[representatives]]
        if (mirrored[of_joint[used]] != of_joint[mirror[used]]).any():
            # What coincides on one side does not on the other: nothing is joined.
            representatives, of_joint[used] = used, np.arange(len(used))
            mirrored = of_joint[mirror[used]]
        at_places = _joined(points, of_joint)
        multiplicity = np.bincount(of_joint[used]).astype(float)
        return cls(of_joint, mirrored, multiplicity, filled_in(at_places), ~np.isnan(at_places[..., 0]))

    def check_latents(self, latents: tuple[int, int]) -> None:
        """InputError for more latents than there are places, of either kind."""
        central = int(np.sum(self.mirror == np.arange(len(self))))
        most = (len(self) - central, central)
        if latents[0] > most[0] or latents[1] > most[1]:
            raise InputError(
                "latents", expected=f"at most {most} (sided, central): as many as these joints have places",
                got=latents, mend="Say latents=(sided, central).",
            )  # fmt: skip

    def of_other(self, points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Other poses (M, J, 3) at the places, filled in, (M, K, 3), and which were known, (M, K)."""
        at_places = _joined(points, self.of_joint)
        together = filled_in(np.concatenate([self.points[:: max(len(self.points) // 2000, 1)], at_places]))
        return together[-len(points) :], ~np.isnan(at_places[..., 0])

    def importance(self, wanted: Any, moments: Callable[[], Array]) -> Array:
        """How much each place counts, (K,): see `fit_acae`; moments() gives those of a coordinate, mm²."""
        if isinstance(wanted, str):
            if wanted not in ("places", "joints"):
                raise InputError("importance", expected="'places', 'joints' or a number a joint", got=repr(wanted))
            return importances(moments(), self.multiplicity) if wanted == "places" else self.multiplicity
        given = np.asarray(wanted, dtype=float)
        if given.shape != self.of_joint.shape or not (np.isfinite(given).all() and given.min() >= 0 and given.any()):
            raise InputError("importance", expected=f"{len(self.of_joint)} numbers, 0 or more", got=given.shape)
        used = self.of_joint != NO_MIRROR
        total = np.bincount(self.of_joint[used], given[used], minlength=len(self))
        return (total + total[self.mirror]) / 2

    @cached_property
    def first(self) -> NDArray[np.intp]:
        """One joint of each place, (K,)."""
        places, joints = np.unique(self.of_joint, return_index=True)
        return joints[places != NO_MIRROR]

    def decoder_of_joints(self, decoder: Array) -> Array:
        """From rows of places (K, L) to rows of joints (J, L); those of joints that have no place are zero."""
        return np.concatenate([decoder, np.zeros((1, decoder.shape[1]))])[self.of_joint]

    def encoder_of_joints(self, encoder: Array) -> Array:
        """From a row over places (L, K) to one over joints (L, J): joints at one place share its weight."""
        shared = np.zeros((len(encoder), len(self.of_joint)))
        used = self.of_joint != NO_MIRROR
        place = self.of_joint[used]
        shared[:, used] = encoder[:, place] / self.multiplicity[place]
        return shared


def _mirror(joints: Joints) -> NDArray[np.intp]:
    """The joints' mirror images; where no joint has one (a single hand), every joint is taken for a central one."""
    if joints.one_hand:
        return np.arange(len(joints))
    alone = [str(card) for card in joints.formats if card.one_hand and (joints.mirror[joints.slice_of(card)] < 0).all()]
    if alone:
        name, _, side = alone[0].partition(":")
        other = "right" if side == "left" else "left"
        what = f"the format {alone[0]} beside formats of both sides"
        raise InputError(what, expected="both hands, for weights are the same on both sides", got="one hand",
                         mend=f"Add {name}:{other}.")  # fmt: skip
    return joints.mirror


def _joined(points: Floats, of_joint: NDArray[np.intp]) -> Floats:
    """The point of each place, (N, K, 3): of its first joint, and where that has gaps, of those that are known."""
    places, first = np.unique(of_joint, return_index=True)
    taken = points[:, first[places != NO_MIRROR]]
    for place in np.flatnonzero(np.isnan(taken[..., 0]).any(axis=0)):
        taken[:, place] = _mean(points[:, of_joint == place])
    return taken


def _mean(points: Floats) -> Floats:
    """The mean of those of the points (N, n, 3) that are known, (N, 3)."""
    known = ~np.isnan(points[..., :1])
    total, count = np.nan_to_num(points).sum(axis=1), known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
