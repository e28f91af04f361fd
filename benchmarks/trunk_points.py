"""Necks, pelvises and head tops of picture formats along the line from hips to shoulders, beside those of the cards.

A point's distance from the shoulders (or the hips) along that line, over the line's own length, does not depend on the
direction of view for a point on the line, so labels of any picture tell it; off the line it does, which averages out
over people seen from all sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.same_people import spread
from skelbridge.bridge import Relation, rest_body, shipped_bridge
from skelbridge.convert import pose_scale
from skelbridge.io import read
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton, skeleton

Array = NDArray[np.float64]

#: Joint -> where its distance is measured from.
FROM = {"pelvis": "hip", "thorax": "shoulder", "neck": "shoulder", "head_top": "shoulder"}
#: A trunk that is seen shorter than this share of its length is looked at from above or below.
FORESHORTENED = 0.6
SETS = {
    "aic": "aic/test_aic.json",
    "crowdpose": "crowdpose/test_crowdpose.json",
    "exlpose": "exlpose/test_exlpose.json",
    "mhp": "mhp/test_mhp.json",
    "posetrack18": "posetrack18/annotations/test_posetrack18_val.json",
    "halpe": "halpe/test_halpe.json",
    "jhmdb": "jhmdb/test_jhmdb_sub1.json",
    "AlphaPose, a detector": "alphapose_json/halpe_26/alphapose-results.json",
}


def mpii(path: Path) -> Poses:
    """The people of MPII's list: joints, and joints_vis that is 0 where there is none."""
    people = json.loads(path.read_text(encoding="utf-8"))
    points = np.array([person["joints"] for person in people], dtype=float)
    known = np.array([person["joints_vis"] for person in people]) > 0
    return Poses(np.where(known[..., None], points, np.nan), skeleton("mpii_16"), units="px")


def middle(points: Array, card: Skeleton, name: str) -> Array:
    """The middle of a left and a right joint, (N, dims)."""
    return np.asarray((points[:, card.index(f"left_{name}")] + points[:, card.index(f"right_{name}")]) / 2)


def trunk_line(points: Array, card: Skeleton) -> Array:
    """From mid-hip to mid-shoulder, (N, dims)."""
    return middle(points, card, "shoulder") - middle(points, card, "hip")


def along_trunk(points: Array, card: Skeleton, joint: str) -> Array:
    """How far a joint lies above the shoulders or hips, as a share of the line from hips to shoulders, (N,)."""

    line = trunk_line(points, card)
    offset = points[:, card.index(joint)] - middle(points, card, FROM[joint])
    return np.einsum("ni,ni->n", offset, line) / np.einsum("ni,ni->n", line, line)


def upright(points: Array, card: Skeleton) -> NDArray[np.bool_]:
    """Whose trunk is not seen foreshortened, (N,)."""
    rest = (card.placement @ rest_body().landmarks)[None]
    seen, real = (np.linalg.norm(trunk_line(at, card), axis=-1) for at in (points, rest))
    scale = pose_scale(points, card, Relation(shipped_bridge(), card, card))
    return np.asarray(seen > FORESHORTENED * real * scale)


@dataclass(frozen=True)
class Above:
    """One joint of one set above the shoulders (hips): of each person, by its card, and the card's uncertainty of it
    in one direction, mm on the rest body."""

    name: str
    card: Skeleton
    joint: str
    seen: Array
    told: float
    unsure: float

    @property
    def deviation(self) -> float:
        """The median less the card, mm."""
        return float(np.median(self.seen) - self.told)

    def __str__(self) -> str:
        count = f"{len(self.seen)} poses" if "detector" in self.name else str(len(self.seen))
        return (
            f"| {self.name} | {self.card} | {self.joint} | {count} | {spread(self.seen)} | {self.told:+.0f} "
            f"| {self.deviation:+.0f} | {self.unsure:.0f} |"
        )


def trunk_points(folder: Path) -> list[Above]:
    """Every set's joints along the trunk."""
    sets = {"mpii": mpii(folder / "mpii" / "test_mpii.json")} | {k: read(folder / v) for k, v in SETS.items()}
    rows = []
    for name, poses in sets.items():
        card, points = poses.skeleton, poses.with_confidence_threshold(0.3).points
        rest = (card.placement @ rest_body().landmarks)[None]
        points, size = points[upright(points, card)], np.linalg.norm(trunk_line(rest, card))
        for joint in (joint for joint in FROM if joint in card.names):
            seen = along_trunk(points, card, joint)
            told = float(along_trunk(rest, card, joint)[0] * size)
            unsure = card.joints[card.index(joint)].placement_uncertainty / np.sqrt(3)
            if np.isfinite(seen).any():
                rows.append(Above(name, card, joint, seen[np.isfinite(seen)] * size, told, float(unsure)))
    return rows


def trunk_report(rows: Sequence[Above]) -> Iterator[str]:
    """The table."""
    yield (
        "\nAlong the line from mid-hip to mid-shoulder: necks, thoraxes and head tops above mid-shoulder, pelvises "
        "above mid-hip, mm on the rest body. Medians over people, with half the range of the middle two thirds. Heads "
        "that are bent bring the head top down, and the neck a little.\n"
    )
    yield "| set | format | joint | people | seen | by the card | less the card | its place's uncertainty, one axis |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from map(str, rows)


def trunk_findings(rows: Sequence[Above]) -> Iterator[str]:
    """What three people or more show beyond twice the card's uncertainty (of head tops the head's pose is a part)."""
    for row in rows:
        if row.joint != "head_top" and len(row.seen) >= 3 and abs(row.deviation) > 2 * row.unsure:
            yield (
                f"- **{row.joint} of {row.card}** in {row.name}, {len(row.seen)} people: {spread(row.seen)} mm above "
                f"{'mid-hip' if row.joint == 'pelvis' else 'mid-shoulder'}, its card {row.told:+.0f} "
                f"({row.deviation:+.0f} mm)."
            )
