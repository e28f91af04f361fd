"""Named points (BVH, ASF, C3D, TRC, CSV): which format they belong to, and the poses in its order."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError, InputError
from skelbridge.io.files import short
from skelbridge.io.motion import Motion
from skelbridge.landmarks import mirrored_name
from skelbridge.poses import Poses, Units
from skelbridge.skeletons import Skeleton, formats

#: More joints than any format has; larger counts are damage.
MAX_JOINTS = 4096


@dataclass(frozen=True)
class Match:
    """A card and, for each point of the file, the joint of that card it is (-1: none)."""

    card: Skeleton
    joints: NDArray[np.intp]


def named_poses(
    names: Sequence[str],
    points: NDArray[Any],
    *,
    source: str | Path,
    card: Skeleton | None = None,
    confidence: NDArray[Any] | None = None,
    units: Units = "unknown",
    fps: float | None = None,
    edges: Sequence[tuple[int, int]] = (),
    optional: Collection[str] = (),
    notes: Sequence[str] = (),
    meta: dict[str, Any] | None = None,
) -> Poses:
    """Poses from points (..., names, dims) that carry names.

    With `card` its joints are taken by native name or by ours (case, blanks and subject prefixes do not
    matter). Without, the smallest known format that has all names (but for the `optional` ones) is taken.
    Joints that the file lacks are NaN. Where no format fits, the poses get a skeleton of their own: joints by
    the file's names, edges as given, no placement, so it can be looked at but not converted.

    Raises InputError where several formats fit equally well, or `card` has none of the names.
    """
    if not 0 < len(names) <= MAX_JOINTS:
        raise FileFormatError(str(source), expected=f"1 to {MAX_JOINTS} points", got=len(names))
    match, told = _match(names, edges, optional, card, source)
    inside = match.joints >= 0
    ordered = np.full((*points.shape[:-2], len(match.card), points.shape[-1]), np.nan)
    ordered[..., match.joints[inside], :] = points[..., inside, :]
    sure = None
    if confidence is not None:
        sure = np.zeros(ordered.shape[:-1])
        sure[..., match.joints[inside]] = confidence[..., inside]
    all_meta = {"source": str(source), **(meta or {}), "notes": [*notes, *told]}
    return Poses(ordered, match.card, sure, units, fps, all_meta)


def _match(
    names: Sequence[str],
    edges: Sequence[tuple[int, int]],
    optional: Collection[str],
    card: Skeleton | None,
    source: str | Path,
) -> tuple[Match, list[str]]:
    """The joints that the names are, and what is to be told about it: see `named_poses`."""
    told: list[str] = []
    if card is not None:
        match = same_tree(names, edges, optional, card) or matched(names, card)
        if (match.joints < 0).all():
            raise InputError(
                f"the points of {source}",
                expected=f"names of {card}, such as {', '.join(j.native or j.name for j in card.joints[:4])}",
                got=short(", ".join(names)),
                mend="Give the format these points are in, or a card of your own.",
            )
    elif guess := guessed(names, optional, source):
        match = guess
        told.append(f"format {match.card} found by the joint names")
    else:
        match = Match(_own_skeleton(names, edges, Path(source).stem), np.arange(len(names)))
        told.append("no known format has these names: the skeleton is the file's own and cannot be converted")
        told += _suggestion(names)
    return match, told + _left_out(names, match, optional)


def motion_poses(motion: Motion, *, source: Path, card: Skeleton | None) -> Poses:
    """The joint positions of a motion, in mm where its units are known; end sites without length left out."""
    tips = {name for name in motion.names if name.endswith("_end")}
    still = set(np.flatnonzero(~motion.offsets.any(axis=-1)).tolist()) if motion.translations is None else set()
    kept = [joint for joint, name in enumerate(motion.names) if name not in tips or joint not in still]
    place = {joint: position for position, joint in enumerate(kept)}
    with np.errstate(all="ignore"):
        points = motion.positions()[:, kept]
    return named_poses(
        [motion.names[joint] for joint in kept],
        points * motion.units if motion.units else points,
        source=source,
        card=card,
        units="mm" if motion.units else "unknown",
        fps=motion.fps,
        edges=[(place[int(motion.parents[joint])], place[joint]) for joint in kept if motion.parents[joint] >= 0],
        optional=tips | {motion.names[joint] for joint in still if motion.parents[joint] >= 0},
        meta={"container": source.suffix.lower().removeprefix(".")},
    )


def simple(name: str) -> str:
    """A name as it is compared: no subject prefix (`Anna:LANK`), no case, blanks, underscores or hyphens."""
    return re.sub(r"[\s_\-]", "", name.rpartition(":")[2]).lower()


def matched(names: Sequence[str], card: Skeleton) -> Match:
    """The joints of `card` that `names` are, by its native names or by ours, whichever fit more of them."""
    options = []
    for written in ([joint.native for joint in card.joints], card.names):
        index: dict[str, int] = {}
        for position, name in enumerate(map(simple, written)):
            index[name] = -1 if name in index else position  # a name that two joints share tells nothing
        found = np.array([index.get(simple(name), -1) if name else -1 for name in names], dtype=np.intp)
        first = np.zeros(len(found), dtype=bool)
        first[np.unique(found, return_index=True)[1]] = True  # of a repeated name the first is the joint
        options.append(np.where(first, found, -1))
    return Match(card, max(options, key=lambda joints: int((joints >= 0).sum())))


def same_tree(
    names: Sequence[str], edges: Sequence[tuple[int, int]], optional: Collection[str], card: Skeleton
) -> Match | None:
    """The joints by their order, where they form the very tree of `card` under names of another exporter."""
    inner = {a for a, _ in edges}
    kept = [position for position, name in enumerate(names) if position in inner or name not in optional]
    place = {position: joint for joint, position in enumerate(kept)}
    tree = {(place[a], place[b]) for a, b in edges if a in place and b in place}
    if len(kept) != len(card) or tree != {(a, b) for a, b in card.edge_index.tolist()}:
        return None
    if (matched([names[position] for position in kept], card).joints >= 0).all():
        return None  # the names say it, whatever the order
    joints = np.full(len(names), -1)
    joints[kept] = np.arange(len(kept))
    return Match(card, joints)


def guessed(names: Sequence[str], optional: Collection[str], source: str | Path) -> Match | None:
    """The smallest known format that has all names; of equal ones the file's order, then spelling decide.

    Raises InputError where that leaves several.
    """
    needed = np.array([name not in optional for name in names])
    fitting = [match for card in formats() if (match := matched(names, card)).joints[needed].min(initial=0) >= 0]
    if not fitting or not needed.any():
        return None
    ranked = sorted(fitting, key=lambda match: _rank(names, needed, match))
    best = [match for match in ranked if _rank(names, needed, match) == _rank(names, needed, ranked[0])]
    if len(best) > 1:
        raise InputError(
            f"the format of {source}",
            expected="names that one format has",
            got=f"names of {', '.join(match.card.id for match in best)}",
            mend=f"Say which: format={best[0].card.id!r}.",
        )
    return best[0]


def _rank(names: Sequence[str], needed: NDArray[np.bool_], match: Match) -> tuple[int, bool, bool]:
    joints = match.joints[needed]
    exact = {joint.native for joint in match.card.joints} | set(match.card.names)
    spelt_otherwise = not exact.issuperset(name for name, need in zip(names, needed, strict=True) if need)
    return len(match.card), bool((np.diff(joints) < 0).any()), spelt_otherwise


def _suggestion(names: Sequence[str]) -> list[str]:
    """The format that most of its joints are found of, where one has at least half of them."""
    matches = [matched(names, card) for card in formats()]
    found = [int((match.joints >= 0).sum()) for match in matches]
    best = max(range(len(matches)), key=lambda k: (found[k], -len(matches[k].card)), default=None)
    if best is None or found[best] < max(4, len(matches[best].card) / 2):
        return []
    card = matches[best].card
    return [f"format={card.id!r} would find {found[best]} of its {len(card)} joints"]


def _left_out(names: Sequence[str], match: Match, optional: Collection[str]) -> list[str]:
    """What the file has and the format has not, and the reverse."""
    unmatched = [name for name, joint in zip(names, match.joints, strict=True) if joint < 0 and name not in optional]
    present = set(match.joints.tolist())
    missing = [name for joint, name in enumerate(match.card.names) if joint not in present]
    told = [f"points that {match.card} does not have, left out: {', '.join(unmatched)}"] if unmatched else []
    return told + ([f"joints that the file does not have, missing: {', '.join(missing)}"] if missing else [])


def _own_skeleton(names: Sequence[str], edges: Sequence[tuple[int, int]], stem: str) -> Skeleton:
    """A skeleton without placement for names of no known format."""
    clean: list[str] = []
    taken: set[str] = set()
    for position, name in enumerate(names):
        text = re.sub(r"\s+", "_", name.strip()) or f"point_{position}"
        if text in taken:
            text = f"{text}_point_{position}"
        taken.add(text)
        clean.append(text)
    sided = [name for name in clean if mirrored_name(name) != name]
    return Skeleton.model_validate(
        {
            "id": re.sub(r"\s+", "_", stem) or "points",
            "title": "the joints of one file",
            "joints": [{"name": name} for name in clean],
            "edges": [(clean[a], clean[b]) for a, b in edges],
            "mirror": [(n, mirrored_name(n)) for n in sided if n.startswith("left_") and mirrored_name(n) in taken],
            "asymmetric": [name for name in sided if mirrored_name(name) not in taken],
        }
    )
