"""The same people labelled in several picture formats: how far apart the labels of one joint lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import Relation, rest_body, shipped_bridge
from skelbridge.convert import Converter, pose_scale
from skelbridge.evaluate.fidelity import rms
from skelbridge.evaluate.renaming import rename
from skelbridge.io import read
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton, skeleton

Array = NDArray[np.float64]

#: An error in 3D is seen from all sides with this share of its length.
SEEN = np.sqrt(2 / 3)
#: The error of a click that conversions assume, mm.
CLICK = 5.0
#: Share of the common key points that must lie within this many pixels for two labels to be of one person.
MOST_APART, LEAST_ALIKE = 5.0, 0.5
#: The 2D axes of a part: from its first point to its second is "along"; "across" is the side of third to fourth.
AXES = {
    "foot": ("{side}_heel", "{side}_big_toe", "{side}_big_toe", "{side}_small_toe"),
    "hand": ("{side}_hand_root", "{side}_middle1", "{side}_pinky1", "{side}_index1"),
    "forearm": ("{side}_elbow", "{side}_wrist", "{side}_shoulder", "{side}_wrist"),
    "head": ("neck", "head_top", "right_shoulder", "left_shoulder"),
    "face": ("chin", "nose_bridge1", "right_eye_contour1", "left_eye_contour1"),
}
#: Kinds of joints: (part, words that the name without its side begins with).
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "head top": ("head", ("head_top",)),
    "big toe": ("foot", ("big_toe",)),
    "small toe": ("foot", ("small_toe",)),
    "heel": ("foot", ("heel",)),
    "hand root": ("hand", ("hand_root",)),
    "thumb": ("hand", ("thumb",)),
    "knuckles": ("hand", tuple(f"{f}1" for f in ("index", "middle", "ring", "pinky"))),
    "finger joints": ("hand", tuple(f"{f}{k}" for f in ("index", "middle", "ring", "pinky") for k in (2, 3))),
    "finger tips": ("hand", tuple(f"{f}4" for f in ("index", "middle", "ring", "pinky"))),
    "jaw": ("face", ("jaw", "chin")),
    "brows": ("face", ("brow",)),
    "nose ridge and wings": ("face", ("nose_", "nostril")),
    "eye contours": ("face", ("eye_contour",)),
    "mouth": ("face", ("mouth", "lip")),
}


def matched(first: Poses, second: Poses) -> list[tuple[int, int]]:
    """Which label of `second` is of the same person as which of `first`, by picture and common key points."""
    names = [name for name in first.skeleton.names if name in second.skeleton.names]
    one, two = (poses.points[:, [poses.skeleton.index(n) for n in names]] for poses in (first, second))
    apart = np.linalg.norm(one[:, None] - two[None], axis=-1)
    known = np.isfinite(apart)
    alike = (np.where(known, apart, np.inf) <= MOST_APART).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    pictures = np.equal.outer(np.array(first.meta["image_ids"]), np.array(second.meta["image_ids"]))
    alike[~pictures] = 0
    pairs = []
    while alike.max(initial=0) >= LEAST_ALIKE:
        a, b = map(int, np.unravel_index(alike.argmax(), alike.shape))
        pairs.append((a, b))
        alike[a], alike[:, b] = 0, 0
    return sorted(pairs)


def pixels_per_mm(poses: Poses) -> Array:
    """Pixels for a mm of a body of 1.7 m, from the 17 body points of each person, (N,)."""
    card = skeleton("coco_17")
    body = poses.points[:, [poses.skeleton.index(name) for name in card.names]]
    return pose_scale(body, card, Relation(shipped_bridge(), card, card))


@dataclass(frozen=True)
class Apart:
    """How far the labels of one kind of joint lie apart in two formats: a row for each labelled point.

    person (n,); off (n, 2), along and across its part, mm on a body of 1.7 m (NaN where the part has no axes); length
    (n,); expected (n,): were the two places as unsure as the cards say, independently, and clicks off by 5 mm.
    """

    person: NDArray[np.intp]
    off: Array
    length: Array
    expected: Array


def axes_of(points: Array, card: Skeleton, part: str, side: str) -> Array:
    """The unit vectors along and across a part as seen in the picture, (2, 2); NaN where a point is missing."""
    a, b, c, d = (points[card.index(name.format(side=side))] for name in AXES[part])
    along = (b - a) / np.linalg.norm(b - a)
    across = np.array([-along[1], along[0]])
    return np.stack([along, across * np.sign(across @ (d - c))])


def apart(first: Poses, second: Poses, pairs: Sequence[tuple[int, int]], kind: str) -> Apart:
    """The displacements from `first` to `second` of one kind of joints over all people."""
    part, words = KINDS[kind]
    scale = pixels_per_mm(first)
    names = [n for n in second.skeleton.names if n in first.skeleton.names and _bare(n).startswith(words)]
    rows = []
    for (a, b), name in ((pair, name) for pair in pairs for name in names):
        i, j = first.skeleton.index(name), second.skeleton.index(name)
        off = (second.points[b, j] - first.points[a, i]) / scale[a]
        if not np.isfinite(off).all():
            continue
        side = name.partition("_")[0]
        axes = axes_of(first.points[a], first.skeleton, part, side)
        seen = axes @ off
        if part == "face" and side == "right":  # outward on either side
            seen[1] *= -1
        unsure = first.skeleton.joints[i].placement_uncertainty, second.skeleton.joints[j].placement_uncertainty
        expected = SEEN * np.sqrt(unsure[0] ** 2 + unsure[1] ** 2 + 2 * CLICK**2)
        rows.append((a, *seen, np.linalg.norm(off), expected))
    table = np.array(rows).reshape(-1, 5)
    return Apart(table[:, 0].astype(np.intp), table[:, 1:3], table[:, 3], table[:, 4])


def _bare(name: str) -> str:
    return name.removeprefix("left_").removeprefix("right_")


def mean_over_people(values: Array, person: NDArray[np.intp]) -> tuple[float, float]:
    """Mean of each person's mean, and its standard error over people (NaN for one person)."""
    each = np.array(
        [np.nanmean(values[person == p]) for p in np.unique(person) if np.isfinite(values[person == p]).any()]
    )
    if not len(each):
        return np.nan, np.nan
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else np.nan


def load(folder: Path) -> tuple[Poses, Poses, Poses]:
    """The COCO people in coco_17, coco_wholebody_133 and halpe_136."""
    return (
        read(folder / "coco" / "test_coco.json"),
        read(folder / "coco" / "test_coco_wholebody.json"),
        read(folder / "halpe" / "test_halpe.json"),
    )


def detected(folder: Path) -> Poses:
    """A detector's frames of one person in coco_wholebody_133; what it is unsure of is missing."""
    return read(folder / "mmpose_predictions" / "FOOTBALL.json").with_confidence_threshold(0.3)


def labels_report(folder: Path) -> Iterator[str]:
    """Tables of the labels' displacements and of conversions between the formats."""
    coco, whole, halpe = load(folder)
    yield from _same_clicks(coco, whole, halpe)
    pairs = matched(whole, halpe)
    size = 1 / pixels_per_mm(whole)[[a for a, _ in pairs]]
    yield (
        f"\nHalpe's points against COCO-WholeBody's on {len(pairs)} people; a pixel is {size.min():.0f} to "
        f"{size.max():.0f} mm of a body of 1.7 m. Along: heel to big toe, wrist to middle knuckle, chin to nose "
        "bridge. Across: to the little toe, to the index finger, outward. Standard errors are over people.\n"
    )
    yield "| points | people | labels | rms apart | along | across | cards' places apart | at most, by the cards |"
    yield "|---|---|---|---|---|---|---|---|"
    for kind in list(KINDS)[1:]:  # the head top is Halpe's alone
        yield _row(kind, apart(whole, halpe, pairs, kind), _places_apart(kind, whole.skeleton, halpe.skeleton))
    yield from _within([whole, halpe, detected(folder)])
    targets = {"coco_wholebody_133": whole, "halpe_136": halpe}
    yield from _conversions(coco, targets)
    yield from _biases(coco, targets)


def labels_findings(folder: Path) -> Iterator[str]:
    """The kinds of joints whose labels lie further apart than the cards' uncertainties and clicks explain."""
    _, whole, halpe = load(folder)
    pairs = matched(whole, halpe)
    for kind in list(KINDS)[1:]:
        found = apart(whole, halpe, pairs, kind)
        people, off, most = len(np.unique(found.person)), rms(found.length), rms(found.expected)
        if people > 1 and off > 1.25 * most:
            yield (
                f"- **{kind}**: halpe_136's labels lie {off:.0f} mm (rms, {people} people) from coco_wholebody_133's; "
                f"the cards' uncertainties and clicks good to {CLICK:.0f} mm explain {most:.0f} mm."
            )


def _same_clicks(coco: Poses, *others: Poses) -> Iterator[str]:
    """How many of the 17 body points are the very same numbers."""
    for other in others:
        same, labels = 0, 0
        columns = [other.skeleton.index(name) for name in coco.skeleton.names]
        pairs = matched(coco, other)
        for a, b in pairs:
            off = np.abs(other.points[b, columns] - coco.points[a]).max(axis=-1)
            same, labels = same + int((off < 1e-6).sum()), labels + int(np.isfinite(off).sum())
        yield (
            f"- The 17 body points of {other.skeleton} and of coco_17: {same} of {labels} labels on {len(pairs)} "
            "people are identical numbers. One click serves both: the same places and the same order, by construction."
        )


def _places_apart(kind: str, one: Skeleton, two: Skeleton) -> float:
    """Mean distance of the places that the cards give to a kind of joints, mm on the rest body."""
    names = [n for n in one.names if n in two.names and _bare(n).startswith(KINDS[kind][1])]
    places = [card.placement[[card.index(n) for n in names]] @ rest_body().landmarks for card in (one, two)]
    return float(np.linalg.norm(places[0] - places[1], axis=1).mean())


def _row(kind: str, found: Apart, places: float) -> str:
    if not len(found.length):
        return f"| {kind} | 0 | 0 | – | – | – | {places:.0f} | – |"
    parts = []
    for axis in range(2):
        mean, error = mean_over_people(found.off[:, axis], found.person)
        parts.append(f"{mean:+.0f}" + (f" ± {error:.0f}" if np.isfinite(error) else ""))
    return (
        f"| {kind} | {len(np.unique(found.person))} | {len(found.length)} | {rms(found.length):.0f} | {parts[0]} "
        f"| {parts[1]} | {places:.0f} | {rms(found.expected):.0f} |"
    )


#: Two places in one format: the middle of some joints, that of others, and the axes of this part.
EYES = ("left_eye", "right_eye")
NEIGHBOURS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "wrist to hand root": (("{side}_wrist",), ("{side}_hand_root",), "forearm"),
    "nose to tip of the ridge": (("nose",), ("nose_bridge4",), "face"),
    "eye to middle of its contour": (("{side}_eye",), tuple(f"{{side}}_eye_contour{k}" for k in range(1, 7)), "face"),
    "ear to first point of the jaw": (("{side}_ear",), ("{side}_jaw1",), "face"),
    "eyes to nose": (EYES, ("nose",), "face"),
    "eyes to brows": (EYES, ("left_brow3", "right_brow3"), "face"),
    "eyes to base of the nose": (EYES, ("nose_base",), "face"),
    "eyes to corners of the mouth": (EYES, ("left_mouth1", "right_mouth1"), "face"),
    "eyes to chin": (EYES, ("chin",), "face"),
}


def neighbours(points: Array, card: Skeleton, name: str) -> Array:
    """The offsets of one pair of places, along and across, in the points' unit, (poses * sides, 2); points in 2D."""
    first, second, part = NEIGHBOURS[name]
    rows = []
    for pose in points:
        for side in ("left", "right") if "{side}" in first[0] else ("left",):
            start, end = (
                np.mean([pose[card.index(joint.format(side=side))] for joint in joints], axis=0)
                for joints in (first, second)
            )
            seen = axes_of(pose, card, part, side) @ (end - start)
            rows.append(seen * [1, -1] if side == "right" and part == "face" else seen)
    return np.array(rows)


def _within(sets: Sequence[Poses]) -> Iterator[str]:
    """The offsets of neighbouring places of one format beside those of its card, mm."""
    yield (
        "\nTwo places of one format, labelled or detected apart from each other: the second from the first, along and "
        "across as above (the wrist: along the forearm). Medians, with half the range of the middle two thirds.\n"
    )
    yield "| format | what | places | seen | along | by the card | across | by the card |"
    yield "|---|---|---|---|---|---|---|---|"
    for poses in sets:
        card = poses.skeleton
        points = poses.frames_and_people()[0].reshape(-1, len(card), 2)
        flat = (card.placement @ rest_body().landmarks)[None, :, :2] * [1, -1]
        scale = np.repeat(pixels_per_mm(replace(poses, points=points, confidence=None)), 2)
        kind = "detector" if "image_ids" not in poses.meta else "labels"
        for name in NEIGHBOURS:
            seen, told = neighbours(points, card, name), np.nanmean(neighbours(flat, card, name), axis=0)
            seen = seen / (scale if len(seen) == len(scale) else scale[::2])[:, None]
            seen = seen[np.isfinite(seen).all(axis=1)]
            if len(seen):
                cells = [f"{spread(column)} | {value:+.0f}" for column, value in zip(seen.T, told, strict=True)]
                yield f"| {card} | {kind} | {name} | {len(seen)} | {' | '.join(cells)} |"


def spread(values: Array, sign: str = "+") -> str:
    """The median of the known values, and half the range of the middle two thirds."""
    low, middle, high = np.nanpercentile(values, [100 / 6, 50, 500 / 6])
    return f"{middle:{sign}.0f} ± {(high - low) / 2:.0f}"


#: Parts of the large formats, by what a joint's name without its side begins with; what is left is the body.
PART_WORDS = {
    "head top": ("head_top",),
    "feet": ("big_toe", "small_toe", "heel"),
    "face": ("jaw", "chin", "brow", "nose_", "nostril", "eye_contour", "mouth", "lip"),
    "hands": ("hand_root", "thumb", "index", "middle", "ring", "pinky"),
}


def _conversions(coco: Poses, targets: dict[str, Poses]) -> Iterator[str]:
    """coco_17 into the large formats, beside the labels of the same people."""
    yield "\nConverted from coco_17, beside the labels of the same people (2D, rms mm on a body of 1.7 m).\n"
    yield "| target | part | people | labels | ours | expected | answered | renaming | labels it answers |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, labels in targets.items():
        converter, pairs = Converter("coco_17", name), matched(coco, labels)
        rows, truth = [a for a, _ in pairs], labels.points[[b for _, b in pairs]]
        scale = pixels_per_mm(coco)[rows][:, None]
        out = converter(coco.points[rows])
        guess = rename(coco.points[rows], converter.source, converter.target)
        ours, theirs = (np.linalg.norm(points - truth, axis=-1) / scale for points in (out.points, guess))
        for part in ("body", *PART_WORDS):
            chosen = np.array([_part(joint) == part for joint in converter.target.names])
            known = np.isfinite(truth[..., 0]) & chosen
            if known.any():
                yield _conversion_row(name, part, known, ours, SEEN * out.relative_error, theirs)


def _biases(coco: Poses, targets: dict[str, Poses]) -> Iterator[str]:
    """Whether what is converted from coco_17 misses the labels in one direction, by kind of joint."""
    yield (
        "\nThe labels from where coco_17 converted puts them, along and across as above "
        "(head top: from the neck up, towards the left shoulder).\n"
    )
    yield "| target | points | people | labels | along | across |"
    yield "|---|---|---|---|---|---|"
    for name, labels in targets.items():
        converter, pairs = Converter("coco_17", name, max_error=1e9), matched(coco, labels)
        out = converter.points(coco.points[[a for a, _ in pairs]])
        places = Poses(out, converter.target, meta={"image_ids": [], "notes": []})
        given = replace(labels, points=labels.points[[b for _, b in pairs]], confidence=None)
        for kind in (kind for kind, (part, _) in KINDS.items() if part in ("head", "face")):
            found = apart(places, given, [(i, i) for i in range(len(pairs))], kind)
            if len(np.unique(found.person)) > 1:
                along, across = (mean_over_people(found.off[:, axis], found.person) for axis in range(2))
                yield (
                    f"| {name} | {kind} | {len(np.unique(found.person))} | {len(found.length)} "
                    f"| {along[0]:+.0f} ± {along[1]:.0f} | {across[0]:+.0f} ± {across[1]:.0f} |"
                )


def _part(joint: str) -> str:
    return next((part for part, words in PART_WORDS.items() if _bare(joint).startswith(words)), "body")


def _conversion_row(name: str, part: str, known: NDArray[np.bool_], ours: Array, expected: Array, theirs: Array) -> str:
    answered, renamed = known & np.isfinite(ours), known & np.isfinite(theirs)
    return (
        f"| {name} | {part} | {known.any(axis=1).sum()} | {known.sum()} | {_number(ours[answered])} "
        f"| {_number(expected[answered])} | {answered.sum() / known.sum():.0%} | {_number(theirs[renamed])} "
        f"| {renamed.sum()} |"
    )


def _number(values: Array) -> str:
    return f"{rms(values):.0f}" if len(values) else "–"
