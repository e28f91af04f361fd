"""Leaving implausible samples out of a store, by rules with names; nothing is rewritten, so it can be done over.

A rule gives each sample a strain, in parts of what it allows: above 1 the sample goes. `skelbridge.plot.audit` shows
for each rule the worst that went and the worst that stayed. People of splits that are judged on stay in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.datasets.boxes import picture_points
from skelbridge.datasets.cards import Boxes, DatasetCard, Labels, datasets
from skelbridge.datasets.checks import bone_lengths
from skelbridge.datasets.facing import limb_bones
from skelbridge.errors import InputError
from skelbridge.skeletons import Skeleton
from skelbridge.store import Samples, Store, Visibility, open_store, set_dropped
from skelbridge.store.reader import Piece, one_by_one

Floats = NDArray[np.floating]
#: The strain of samples (N,); NaN where the rule has nothing to go by.
Strain = Callable[[Samples], Floats]

#: Poses that the usual length of a bone is taken from, at most, drawn evenly from a dataset.
_POSES = 50_000
_BLOCK = 4096
_LIMBS = ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")


@dataclass(frozen=True)
class Rules:
    """What is plausible; the figures are the paper's, but for `uneven`.

    shortest, longest: of a bone, in parts of its usual length (the median over the dataset, both sides together).
    uneven: how many times longer than its mirror image a limb's bone may be. off: bones that are off by less, mm, stay
    in any case. joints_in_box: joints that must lie in the person's box.
    """

    shortest: float = 0.1
    longest: float = 3.0
    uneven: float = 2.0
    off: float = 150.0
    joints_in_box: float = 4

    @classmethod
    def of_store(cls, store: Store) -> Rules:
        """The rules that a store was cleaned by last; the usual ones where it was not."""
        return cls(**store.settings.get("rules", {}))

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Rules:
        """The rules with other figures, by name; InputError for unknown names and what is no number above 0."""
        known = [rule.name for rule in fields(cls)]
        for name, value in settings.items():
            if name not in known:
                raise InputError(f"there is no rule {name!r}", expected=f"one of {', '.join(known)}")
            if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", value) or not float(value):
                raise InputError(f"the rule {name}", expected="a number above 0", got=value)
        return cls(**{name: float(value) for name, value in settings.items()})


def clean(path: str | Path, rules: Rules = Rules()) -> dict[str, int]:
    """Leave the implausible samples out of a store; how many went by each rule, the first that they break.

    Reads the store twice: for the usual lengths of bones, then for the samples. Raises FileFormatError where the store
    is damaged.
    """
    store = open_store(path, dropped=True)
    usual = usual_lengths(store)
    masks: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for piece in one_by_one(store.pieces):
        for name, strain in strains(piece, rules, usual).items():
            if (strain > 1).any():
                masks.setdefault(name, {})[piece.key] = strain > 1
    lengths = {
        f"{dataset}, {card}": {name: round(float(mm), 1) for name, mm in zip(bones.names, bones.usual, strict=True)}
        for (dataset, card), bones in usual.items()
    }
    set_dropped(path, masks, {"rules": asdict(rules), "usual_lengths": lengths})
    return open_store(path).reasons()


@dataclass(frozen=True, eq=False)
class Bones:
    """A skeleton's edges (B, 2), their names, their usual lengths (B,) mm; left and right bones of limbs (L, 2, 2)."""

    edges: NDArray[np.intp]
    names: tuple[str, ...]
    usual: Floats
    limbs: NDArray[np.intp]


def usual_lengths(store: Store) -> dict[tuple[str, str], Bones]:
    """The bones of each dataset and skeleton of a store that has 3D points, with their usual lengths."""
    groups: dict[tuple[str, str], list[Piece]] = {}
    for piece in store.pieces:
        groups.setdefault((piece.shard.dataset, str(piece.card)), []).append(piece)
    found = {}
    for key, pieces in groups.items():
        card, lengths = pieces[0].card, []
        every = max(1, sum(map(len, pieces)) // _POSES)
        for piece in one_by_one(pieces):
            samples = piece.samples(slice(0, len(piece), every))
            if samples.points is not None:
                lengths.append(bone_lengths(samples.points, card.edge_index))
        if lengths and len(card.edge_index):
            found[key] = _bones(card, np.concatenate(lengths))
    return found


def _bones(card: Skeleton, lengths: Floats) -> Bones:
    edges = card.edge_index
    place = {frozenset(map(int, edge)): number for number, edge in enumerate(edges)}
    mirror = np.array([place.get(frozenset(map(int, card.mirror_index[edge])), n) for n, edge in enumerate(edges)])
    both = np.concatenate([lengths, lengths[:, mirror]])
    known = np.isfinite(both).any(axis=0)
    usual = np.full(len(edges), np.nan)
    usual[known] = np.nanmedian(both[:, known], axis=0)
    return Bones(edges, tuple("-".join(card.names[j] for j in edge) for edge in edges), usual, limb_bones(card))


def strains(piece: Piece, rules: Rules, usual: Mapping[tuple[str, str], Bones]) -> dict[str, Floats]:
    """The strain of each of a shard's samples (N,) by each rule that applies to them."""
    card = datasets().get(piece.shard.dataset)
    if piece.shard.split in (card.evaluation if card else ()):
        return {}
    applying = dict(_rules(card, piece.card, rules, usual.get((piece.shard.dataset, str(piece.card)))))
    blocks: dict[str, list[Floats]] = {name: [] for name in applying}
    for start in range(0, len(piece), _BLOCK):
        samples = piece.samples(slice(start, min(start + _BLOCK, len(piece))))
        for name, strain in applying.items():
            blocks[name].append(np.asarray(strain(samples), float))
    return {name: np.concatenate(found) for name, found in blocks.items() if found}


def _rules(
    card: DatasetCard | None, skeleton: Skeleton, rules: Rules, bones: Bones | None
) -> Iterator[tuple[str, Strain]]:
    """The rules that apply to a dataset's samples, by name, in the order in which they are counted."""
    if bones is not None and (card is None or card.plausible):
        yield "impossible bone length", lambda samples: _odd_lengths(samples, rules, bones)
        yield "left and right limbs of unlike length", lambda samples: _uneven(samples, rules, bones)
    yield "too few joints in the box", lambda samples: _out_of_box(samples, rules)
    if card is None:
        return
    if card.boxes.min_side or card.boxes.min_longer_side:
        yield "too small in the picture", lambda samples: _small(samples, card.boxes)
    if card.labels.visible or card.labels.labelled:
        yield "too few joints labelled", lambda samples: _unlabelled(samples, card.labels)
    limbs = [f"{side}_{joint}" for joint in _LIMBS for side in ("left", "right")]
    places = [skeleton.index(name) for name in limbs if name in skeleton.names]
    if card.labels.limbs:
        yield "too few limbs labelled", lambda samples: card.labels.limbs / _some(_given(samples)[:, places].sum(1))


def _odd_lengths(samples: Samples, rules: Rules, bones: Bones) -> Floats:
    if samples.points is None:
        return np.full(len(samples), np.nan)
    lengths = np.maximum(bone_lengths(samples.points, bones.edges), 1e-6)
    ratio = np.maximum(rules.shortest * bones.usual / lengths, lengths / (rules.longest * bones.usual))
    return _greatest(np.minimum(ratio, np.abs(lengths - bones.usual) / rules.off))


def _uneven(samples: Samples, rules: Rules, bones: Bones) -> Floats:
    if samples.points is None:
        return np.full(len(samples), np.nan)
    left, right = (np.maximum(bone_lengths(samples.points, bones.limbs[:, side]), 1e-6) for side in (0, 1))
    ratio = np.maximum(left / right, right / left)
    return _greatest(np.minimum(ratio / rules.uneven, np.abs(left - right) / rules.off))


def _out_of_box(samples: Samples, rules: Rules) -> Floats:
    points, low, size = picture_points(samples), samples.box[:, None, :2], samples.box[:, None, 2:]
    count = ((points >= low) & (points <= low + size)).all(axis=-1).sum(axis=1)
    told = np.isfinite(samples.box).all(axis=1) & np.isfinite(points).all(axis=-1).any(axis=-1)
    return np.where(told, rules.joints_in_box / _some(count), np.nan)


def _small(samples: Samples, rule: Boxes) -> Floats:
    size = samples.box[:, 2:]
    return np.maximum(rule.min_side / size.min(axis=1), rule.min_longer_side / size.max(axis=1))


def _unlabelled(samples: Samples, rule: Labels) -> Floats:
    seen = (samples.visibility[:, : rule.first] == Visibility.VISIBLE).sum(axis=1)
    given = _given(samples)[:, : rule.first].sum(axis=1)
    return np.maximum(rule.visible / _some(seen), rule.labelled / _some(given))


def _given(samples: Samples) -> NDArray[np.bool_]:
    points = samples.points2d if samples.points is None else samples.points
    return np.isfinite(np.asarray(points)).all(axis=-1)


def _some(count: NDArray[Any]) -> Floats:
    """A count to divide by: none counts as a half."""
    return np.maximum(count, 0.5)


def _greatest(strain: Floats) -> Floats:
    """The greatest known strain of each row, NaN where none is known."""
    known = np.isfinite(strain)
    return np.where(known.any(axis=1), np.where(known, strain, -np.inf).max(axis=1), np.nan)
