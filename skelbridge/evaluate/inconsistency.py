"""How far the skeletons of different formats that are predicted for one body disagree, in mm.

Two measures. *Reconstruction*: the distance of each joint from where the autoencoder puts it, given all joints; what
fine-tuning for consistency makes small. *Conversion*: a pose in one format, converted into another, beside the pose
predicted in that other; it knows nothing of the autoencoder, so a network cannot be trained towards it. Neither is zero
for true poses, as one format does not say all of another: that floor is measured on true poses, where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.bridge.acae import ACAE, Joints
from skelbridge.convert import Converter
from skelbridge.errors import InputError
from skelbridge.evaluate.metrics import Score, members_of, pooled

Array = NDArray[np.float64]
#: A converter from one format into another, by their names.
Converters = Mapping[tuple[str, str], Converter]


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Distances between two answers for the same joints, means in mm.

    whole: in space. across: of its part across the image plane; depth: of its part along the camera's axis.
    """

    whole: Score
    across: Score
    depth: Score


@dataclass(frozen=True, eq=False)
class Inconsistency:
    """How far F formats disagree on the same poses.

    reconstruction: of all joints from the autoencoder's answer; by_format: the same of each format's joints; None and
    empty without an autoencoder. conversion: of all ordered pairs of formats; pairs: (F, F) mm, from the format of the
    row into that of the column, NaN where there is no conversion, and on the diagonal. floor: the same of true poses.
    """

    formats: tuple[str, ...]
    poses: int
    reconstruction: Disagreement | None
    by_format: dict[str, Disagreement]
    conversion: Disagreement | None
    pairs: Array
    floor: Inconsistency | None = None

    def into_others(self, format: str) -> float:
        """The mean over the other formats of conversions from this one, mm."""
        return _known_mean(self.pairs[self.formats.index(format)])

    def from_others(self, format: str) -> float:
        """The mean over the other formats of conversions into this one, mm."""
        return _known_mean(self.pairs[:, self.formats.index(format)])

    def __str__(self) -> str:
        floor = self.floor
        lines = [f"{self.poses} poses in {len(self.formats)} formats; mm in space, across the image, in depth"]
        if self.reconstruction is not None:
            lines.append(_line("reconstruction", self.reconstruction, floor.reconstruction if floor else None))
            below = floor.by_format if floor else {}
            lines += [_line(f"  {name}", part, below.get(name)) for name, part in self.by_format.items()]
        if self.conversion is not None:
            lines.append(_line("conversion", self.conversion, floor.conversion if floor else None))
            for name in self.formats:
                text = (
                    f"  {name:<26} into others {self.into_others(name):6.1f}, from others {self.from_others(name):6.1f}"
                )
                if floor:
                    text += f"  (true poses {floor.into_others(name):.1f}, {floor.from_others(name):.1f})"
                lines.append(text)
        return "\n".join(lines)


def _line(name: str, found: Disagreement, floor: Disagreement | None) -> str:
    numbers = " ".join(f"{score.value:7.1f}" for score in (found.whole, found.across, found.depth))
    spread = "" if np.isnan(found.whole.error) else f" ± {found.whole.error:.1f}"
    return f"{name:<28}{numbers}{spread}" + (f"  (true poses {floor.whole.value:.1f})" if floor else "")


def _known_mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def converters_between(joints: Joints) -> dict[tuple[str, str], Converter]:
    """A converter for each ordered pair of formats: some hundredths of a second each, so keep them."""
    return {(str(a), str(b)): Converter(a, b) for a in joints.formats for b in joints.formats if a is not b}


def inconsistency(
    points: ArrayLike,
    joints: Joints,
    acae: ACAE | None = None,
    *,
    truth: ArrayLike | None = None,
    converters: Converters | None = None,
    groups: ArrayLike | None = None,
) -> Inconsistency:
    """How far predicted poses (N, J, 3), mm in the camera's axes, disagree between the formats of their joints.

    acae: of the same joints; without it conversion alone is measured. truth: true poses in all joints, NaN where not
    known, as many as there are, for the floor. converters: those of `converters_between`, made where not given; an
    empty dictionary leaves conversion out. groups: (N,), poses of which belong together, for the standard errors. A
    joint that is missing (NaN), and one that draws on missing joints or cannot be converted, does not count.

    Raises InputError for arrays or autoencoders of other joints.
    """
    P = np.asarray(points, dtype=np.float64)
    if P.ndim != 3 or P.shape[1:] != (len(joints), 3):
        raise InputError("predicted poses", expected=f"shape (N, {len(joints)}, 3)", got=f"shape {P.shape}")
    if acae is not None and acae.joints.names != joints.names:
        raise InputError("the autoencoder's joints", expected=f"{len(joints)} joints of {', '.join(joints.slices)}",
                         got=f"{len(acae.joints)} of {', '.join(acae.joints.slices)}")  # fmt: skip
    if converters is None:
        converters = converters_between(joints)
    floor = None if truth is None else inconsistency(truth, joints, acae, converters=converters)
    members, names = members_of(groups, len(P)), tuple(joints.slices)
    whole, by_format = None, {}
    if acae is not None:
        off = P - acae.reconstruct(P)
        whole = _of(_sums(off), members)
        by_format = {name: _of(_sums(off[:, where]), members) for name, where in joints.slices.items()}
    sums = {pair: _sums(_converted(P, joints, pair, converter)) for pair, converter in converters.items()}
    pairs = np.full((len(names), len(names)), np.nan)
    for (source, target), each in sums.items():
        pairs[names.index(source), names.index(target)] = _of(each, members).whole.value
    everything = _of(sum(sums.values(), np.zeros((4, len(P)))), members) if sums else None
    return Inconsistency(names, len(P), whole, by_format, everything, pairs, floor)


def _converted(points: Array, joints: Joints, pair: tuple[str, str], converter: Converter) -> Array:
    """What a conversion differs by from the prediction in that format, (N, T, 3)."""
    if not set(pair) <= joints.slices.keys():
        raise InputError("a converter", expected=f"between {', '.join(joints.slices)}", got=" to ".join(pair))
    source, target = joints.slices[pair[0]], joints.slices[pair[1]]
    return np.asarray(converter(points[:, source]).points - points[:, target])


def _sums(off: Array) -> Array:
    """Of each pose the sums of distances in space, across the image and in depth, and their number: (4, N)."""
    known = np.isfinite(off.sum(axis=-1))
    off = np.where(known[..., None], off, 0)
    parts = (np.linalg.norm(off, axis=-1), np.linalg.norm(off[..., :2], axis=-1), np.abs(off[..., 2]), known)
    return np.stack([part.sum(axis=1).astype(float) for part in parts])


def _of(sums: Array, members: NDArray[np.intp]) -> Disagreement:
    return Disagreement(*(pooled(total, sums[3], members, "mm") for total in sums[:3]))
