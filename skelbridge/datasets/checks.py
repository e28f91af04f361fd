"""Self-checks of a dataset as it is ingested: does what the reader gives look like people seen by cameras?

Each job counts what its samples show (`Checks`); counts of all jobs are added, and judged as a whole (`judged`). So a
wrong unit, a mirrored axis, swapped sides or a wrong calibration is found, however the work was split. Single bad
samples are not: those are `clean`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import STATURE
from skelbridge.datasets.boxes import expanded, picture_points
from skelbridge.datasets.facing import facing_votes, limb_bones, rest_joints
from skelbridge.errors import InputError
from skelbridge.skeletons import Skeleton
from skelbridge.store.samples import Samples

Floats = NDArray[np.floating]

#: People's heights, mm, and distances from the camera, mm.
HEIGHTS, DISTANCES = (500.0, 2300.0), (200.0, 200_000.0)
#: Projected and given 2D may differ by a pixel and this share of the person's size: half of the people at most, and by
#: so many times more 19 of 20.
REPROJECTION, FAR_OFF = 0.03, 4.0
#: Shares of samples that must be right, and the least numbers that a judgement is made on.
SIDES, ONE_VIEW, IN_FRONT, IN_BOX, SEEN = 0.7, 0.5, 0.99, 0.9, 0.1
FEW, FEW_OF_A_VIEW = 20, 50
#: The left and the right of a bone may differ by this factor in the median.
SYMMETRY = 1.25
#: Bones shorter than this on the body of 1.7 m tell little about its height, mm.
_LONG = 100.0
#: Widths of the bins of logarithms that medians are taken from: they are exact to half of that.
_FINE, _COARSE = 0.01, 0.05
_WORST = 3


@dataclass(frozen=True)
class Check:
    """One self-check: what it found, in words and figures, and the worst samples."""

    name: str
    passed: bool
    found: str
    mend: str
    worst: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.name}: {self.found}"


class CheckError(InputError):
    """A dataset fails its self-checks."""


class Checks:
    """Counts what samples show. `figures` gives plain values, of which those of several jobs can be added."""

    def __init__(self, card: Skeleton):
        self.card = card
        rest = rest_joints(card)
        edges = card.edge_index
        lengths = np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=-1) if len(edges) else np.zeros(0)
        long = lengths >= _LONG
        self._bones, self._lengths = edges[long], lengths[long]
        self._limbs = limb_bones(card)
        self._counts: dict[str, Counter[str]] = {}
        self._worst: dict[str, list[tuple[float, str]]] = {}

    def add(self, samples: Samples) -> None:
        """Look at some more samples."""
        if samples.points is not None and len(samples):
            points = samples.points.astype(float)
            self._height(points, samples)
            self._symmetry(points)
            self._sides(points, samples)
            self._depth(points, samples)
            self._reprojection(samples)
        self._box(samples)

    def in_picture(self, inside: Any, outside: Any) -> None:
        """Count people whose joints lie in the picture, and those who were dropped because none does."""
        self._count("picture", inside=inside, outside=outside)

    def figures(self) -> dict[str, Any]:
        """The counts of each check, and its worst samples as [how bad, which]."""
        return {
            "counts": {name: dict(counts) for name, counts in self._counts.items()},
            "worst": {name: [list(item) for item in items] for name, items in self._worst.items()},
        }

    def _height(self, points: Floats, samples: Samples) -> None:
        if len(self._bones) < 2:
            return
        heights = STATURE * _median(bone_lengths(points, self._bones) / self._lengths)
        subject = samples.text["subject"]
        off = np.abs(np.log(heights / np.sqrt(HEIGHTS[0] * HEIGHTS[1])))
        self._note("height", off, samples, [f"{height:.4g} mm tall" for height in heights])
        for code in np.unique(subject.codes):
            self._bin(f"height/{subject.entries[code]}", np.log(heights[subject.codes == code]), _FINE)

    def _symmetry(self, points: Floats) -> None:
        for left, right in self._limbs:
            name = "-".join(self.card.names[joint] for joint in left)
            with np.errstate(divide="ignore"):
                ratio = np.log(np.divide(*(bone_lengths(points, bone[None])[:, 0] for bone in (left, right))))
            self._bin(f"symmetry/{name}", ratio, _COARSE)

    def _sides(self, points: Floats, samples: Samples) -> None:
        votes, view = facing_votes(points, self.card), samples.text["view"]
        for code in np.unique(view.codes):
            here = votes[view.codes == code]
            self._count(f"sides/{view.entries[code]}", right=np.sum(here > 0), wrong=np.sum(here < 0))
        self._note("sides", np.where(votes < 0, 1.0, np.nan), samples, ["the front is at the back"] * len(samples))

    def _depth(self, points: Floats, samples: Samples) -> None:
        seen = samples.camera >= 0
        depth = _median(points[..., 2])
        self._count("depth", front=np.sum(depth[seen] > 0), behind=np.sum(depth[seen] <= 0))
        self._note("depth", np.where(seen & (depth <= 0), -depth, np.nan), samples, [f"z = {z:.0f} mm" for z in depth])
        self._bin("distance", np.log(np.maximum(depth[seen & (depth > 0)], 1e-6)), _COARSE)

    def _reprojection(self, samples: Samples) -> None:
        if samples.points2d is None:
            return
        error = _median(np.linalg.norm(samples.projected() - samples.points2d, axis=-1))
        size = _extent(samples.points2d).max(axis=-1)
        share = error / (1 + REPROJECTION * size)
        self._bin("reprojection/px", np.log(error + 0.01), _COARSE)
        self._bin("reprojection/share", np.log(share + 0.001), _COARSE)
        self._note("reprojection", share, samples, [f"{px:.1f} px off" for px in error])

    def _box(self, samples: Samples) -> None:
        points, size = picture_points(samples), samples.image_size[:, None]
        inside = np.isfinite(points).all(axis=-1) & ((size <= 0) | ((points >= -0.5) & (points < size))).all(axis=-1)
        told = np.isfinite(samples.box).all(axis=1) & np.any(inside, axis=1)
        box = expanded(samples.box.astype(float), 1.2)[:, None]
        held = inside & ((points >= box[..., :2]) & (points <= box[..., :2] + box[..., 2:])).all(axis=-1)
        share = held.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
        self._count("box", around=np.sum(told & (share >= 0.5)), elsewhere=np.sum(told & (share < 0.5)))
        self._note("box", np.where(told & (share < 0.5), 1 - share, np.nan), samples,
                   [f"{part:.0%} of the joints in the box" for part in share])  # fmt: skip

    def _count(self, name: str, **counts: Any) -> None:
        self._counts.setdefault(name, Counter()).update({key: int(value) for key, value in counts.items() if value})

    def _bin(self, name: str, values: Floats, width: float) -> None:
        known = values[np.isfinite(values)]
        bins, counts = np.unique(np.round(known / width).astype(int), return_counts=True)
        self._count(name, **{str(place): count for place, count in zip(bins, counts, strict=True)})

    def _note(self, name: str, badness: Floats, samples: Samples, words: Sequence[str]) -> None:
        """Remember the worst samples: file, frame and what is wrong with them."""
        rows = np.argsort(-np.nan_to_num(badness, nan=-np.inf), kind="stable")[:_WORST]
        new = [(float(badness[row]), f"{place_of(samples, int(row))}: {words[row]}") for row in rows
               if np.isfinite(badness[row])]  # fmt: skip
        self._worst[name] = sorted([*self._worst.get(name, []), *new], reverse=True)[:_WORST]


def place_of(samples: Samples, row: int) -> str:
    """Where a sample comes from, for people: file, sequence, view, frame, person."""
    text = {name: samples.text[name][row] for name in ("native", "image", "sequence", "view")}
    words = [text["native"] or text["image"], text["sequence"], text["view"] and f"view {text['view']}",
             f"frame {samples.frame[row]}", f"person {samples.person[row]}"]  # fmt: skip
    return ", ".join(filter(None, words))


def judged(figures: Mapping[str, Any]) -> list[Check]:
    """The checks that apply, from the (added) figures of `Checks`."""
    counts = figures.get("counts", {})
    worst = {
        name: tuple(text for _, text in sorted(map(tuple, items), reverse=True)[:_WORST])
        for name, items in figures.get("worst", {}).items()
    }
    found = [
        judge(counts, worst)
        for judge in (_in_picture, _height, _sides, _symmetry, _in_front, _distance, _reprojected, _boxed)
    ]
    return [check for check in found if check is not None]


Counts = Mapping[str, Mapping[str, int]]
Worst = Mapping[str, tuple[str, ...]]


def _in_picture(counts: Counts, worst: Worst) -> Check | None:
    inside, outside = (counts.get("picture", {}).get(name, 0) for name in ("inside", "outside"))
    if inside + outside < FEW:
        return None
    return Check("people in the picture", inside >= SEEN * (inside + outside), f"{inside} of {inside + outside}",
                 "The calibration or the picture's size may be wrong.")  # fmt: skip


def _height(counts: Counts, worst: Worst) -> Check | None:
    subjects = _group(counts, "height")
    if not subjects:
        return None
    heights = {name: float(np.exp(_quantile(bins, 0.5, _FINE))) for name, bins in subjects.items()}
    middle = float(np.exp(_quantile(_added(subjects.values()), 0.5, _FINE)))
    wrong = {name: height for name, height in heights.items() if not HEIGHTS[0] <= height <= HEIGHTS[1]}
    passed = HEIGHTS[0] <= middle <= HEIGHTS[1] and len(wrong) <= 0.05 * len(heights)
    found = f"{middle:.4g} mm in the median, from {min(heights.values()):.4g} to {max(heights.values()):.4g} mm"
    if len(heights) > 1:
        found += f" among {len(heights)} subjects, {len(wrong)} of them outside {HEIGHTS[0]:.0f} to {HEIGHTS[1]:.0f} mm"
    factor = {0.001: "metres", 0.01: "decimetres", 0.1: "centimetres", 0.0254: "inches"}
    unit = next((name for scale, name in factor.items() if 0.55 < middle / (STATURE * scale) < 1.45), "another unit")
    return Check("body height", passed, found, f"The reader may take {unit} for millimetres, or a joint for another.",
                 () if passed else worst.get("height", ()))  # fmt: skip


def _sides(counts: Counts, worst: Worst) -> Check | None:
    views = {name: (c.get("right", 0), c.get("wrong", 0)) for name, c in _group(counts, "sides").items()}
    right, wrong = (sum(pair[i] for pair in views.values()) for i in (0, 1))
    if right + wrong < FEW:
        return None
    bad = [name for name, (yes, no) in views.items() if yes + no >= FEW_OF_A_VIEW and yes < ONE_VIEW * (yes + no)]
    passed = right >= SIDES * (right + wrong) and not bad
    found = f"sides fit the front of {right} of {right + wrong} people ({right / (right + wrong):.1%})"
    if bad:
        found += f"; mostly wrong in view {', '.join(name or '(unnamed)' for name in bad[:5])}"
    return Check("left and right", passed, found, "Left and right may be swapped, or an axis (or the view) mirrored.",
                 () if passed else worst.get("sides", ()))  # fmt: skip


def _symmetry(counts: Counts, worst: Worst) -> Check | None:
    bones = _group(counts, "symmetry")
    ratios = {n: float(np.exp(_quantile(b, 0.5, _COARSE))) for n, b in bones.items() if sum(b.values()) >= FEW}
    if not ratios:
        return None
    name, ratio = max(ratios.items(), key=lambda item: abs(np.log(item[1])))
    low, high = min(ratios.values()), max(ratios.values())
    return Check("limb symmetry", bool(1 / SYMMETRY <= ratio <= SYMMETRY),
                 f"left bones are {low:.2f} to {high:.2f} times as long as right ones (most unlike: {name})",
                 "A joint may be at another place in the order than the skeleton's card says.")  # fmt: skip


def _in_front(counts: Counts, worst: Worst) -> Check | None:
    front, behind = (counts.get("depth", {}).get(name, 0) for name in ("front", "behind"))
    if not front + behind:
        return None
    return Check("in front of the camera", front >= IN_FRONT * (front + behind),
                 f"{front} of {front + behind} people", "The camera's axes or its place in the world may be wrong.",
                 worst.get("depth", ()))  # fmt: skip


def _distance(counts: Counts, worst: Worst) -> Check | None:
    bins = counts.get("distance", {})
    if not bins:
        return None
    low, middle, high = (float(np.exp(_quantile(bins, q, _COARSE))) for q in (0.05, 0.5, 0.95))
    return Check("distance from the camera", DISTANCES[0] <= middle <= DISTANCES[1],
                 f"{middle / 1000:.3g} m in the median (5 to 95 %: {low / 1000:.3g} to {high / 1000:.3g} m)",
                 "The camera's translation may be in another unit than the points.")  # fmt: skip


def _reprojected(counts: Counts, worst: Worst) -> Check | None:
    shares, pixels = counts.get("reprojection/share", {}), counts.get("reprojection/px", {})
    if not shares:
        return None
    middle, far = (float(np.exp(_quantile(shares, q, _COARSE))) for q in (0.5, 0.95))
    px, far_px = (max(float(np.exp(_quantile(pixels, q, _COARSE))) - 0.01, 0) for q in (0.5, 0.95))
    passed = middle <= 1 and far <= FAR_OFF
    return Check("reprojection", passed, f"{px:.2f} px in the median, 95 % below {far_px:.2f} px",
                 "The calibration or the lens model may be wrong, or 2D and 3D joints be of different frames.",
                 () if passed else worst.get("reprojection", ()))  # fmt: skip


def _boxed(counts: Counts, worst: Worst) -> Check | None:
    around, elsewhere = (counts.get("box", {}).get(name, 0) for name in ("around", "elsewhere"))
    if not around + elsewhere:
        return None
    return Check("boxes", around >= IN_BOX * (around + elsewhere),
                 f"{around} of {around + elsewhere} hold most of the person's joints",
                 "Boxes may be of other people, frames or picture sizes, or the calibration be wrong.",
                 worst.get("box", ()))  # fmt: skip


def _group(counts: Counts, name: str) -> dict[str, Mapping[str, int]]:
    return {key.split("/", 1)[1]: bins for key, bins in counts.items() if key.startswith(f"{name}/") and bins}


def _added(counters: Any) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _quantile(bins: Mapping[str, int], share: float, width: float) -> float:
    places = np.array([int(place) for place in bins])
    counts = np.array(list(bins.values()))
    order = np.argsort(places)
    reached = np.cumsum(counts[order]) >= share * counts.sum()
    return float(places[order][np.argmax(reached)] * width)


def bone_lengths(points: Floats, bones: NDArray[np.intp]) -> Floats:
    """The lengths of bones (B, 2) of poses (N, J, 3), (N, B); NaN where an end is missing."""
    return np.linalg.norm(points[:, bones[:, 0]] - points[:, bones[:, 1]], axis=-1)


def _median(values: Floats) -> Floats:
    """The median of what is known along the last axis; NaN where nothing is."""
    found = np.full(len(values), np.nan)
    some = np.isfinite(values).any(axis=-1)
    found[some] = np.nanmedian(np.where(np.isfinite(values[some]), values[some], np.nan), axis=-1)
    return found


def _extent(points: Floats) -> Floats:
    some = np.isfinite(points).all(axis=-1).any(axis=-1)
    found = np.zeros((len(points), 2))
    found[some] = np.nanmax(points[some], axis=1) - np.nanmin(points[some], axis=1)
    return found
