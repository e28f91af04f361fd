"""Placements beside published figures: python -m benchmarks.anthropometry [--write]

Every distance and every place in registry/anthropometry.toml is measured on the average body of the shipped bridge,
standing at rest, with the joints where the cards put them. Both sides are divided by the leg (or stature) of the same
skeleton, so that only proportions count. --write puts the tables, the checks that the cards record and the least sure
joints into docs/placements.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.report import ROOT, printed, write_block
from skelbridge.bridge import STATURE, Bridge, shipped_bridge
from skelbridge.landmarks import landmarks, read_toml, registry_dir
from skelbridge.skeletons import formats, skeleton

CLOSE = 0.05
AXES = {"left": 0, "up": 1, "forward": 2}

#: Why a figure is off; a figure that is not off has no entry (tests/test_anthropometry.py).
EYES = "the virtual body's eyes are 60 mm apart on 1.7 m, the regressor's 63 and MHR's 66"
DEFAULT = "one and the same place; the default body has narrower shoulders and longer feet than surveys find"
HANGING = "arms hang in the source and are held off the body here; the segment lengths agree"
T_POSE = "the published T-pose lifts the shoulders; our arms are lowered by 45 degrees"
REASONS: dict[tuple[str, str], str] = {
    ("anny_coco_regressor", "eye_to_eye"): EYES,
    ("anny_coco_regressor", "heel_to_big_toe"): DEFAULT,
    (
        "anny_coco_regressor",
        "nose",
    ): "the regressor's nose lies 13 mm above and behind the tip; annotators are asked for the tip",
    ("anny_coco_regressor", "left_ear"): "the default body's head is larger for its legs, as eyes show",
    ("anny_coco_regressor", "left_elbow"): (
        "the regressor's elbow lies 2 cm up the arm: its upper arm is 1.12 forearms, Panoptic's 1.20, ours 1.18"
    ),
    ("makehuman_mixamo", "shoulder_to_shoulder"): DEFAULT,
    ("makehuman_cmu_mb", "shoulder_to_shoulder"): DEFAULT,
    ("makehuman_game_engine", "shoulder_to_shoulder"): DEFAULT,
    ("mhr_sample", "acromion_to_acromion"): "these people hold their arms up, which brings the acromia together",
    ("mhr_sample", "eye_to_eye"): EYES,
    ("people3d_sample", "ankle"): "6 mm; its people are dressed, and may stand on the soles of shoes",
    ("winter", "elbow_height"): HANGING,
    ("winter", "wrist_height"): HANGING,
    ("winter", "fingertip_height"): HANGING,
    ("winter", "shoulder_width"): (
        "between the acromia it is 0.22 of stature, across the deltoids 0.27 (1988 US Army); it does not say which"
    ),
    ("winter", "hip_width"): "over the flesh; the figure may mean the bones, or slimmer people",
    ("winter", "chest_width"): "the figure does not say where on the chest; ours is between the ribs below the armpits",
    ("winter", "foot_breadth"): "6 mm; ours is between single points of the skin over the bones",
    (
        "huston",
        "upper_arm",
    ): "measured to the underside of a bent elbow, flesh included; ours ends at the tip of the bone",
    ("huston", "lower_leg"): (
        "measured to the top of a bent knee, 5 cm beyond its axis; ours is to the patella of a straight leg"
    ),
    ("bell", "@left_hip"): (
        "the virtual hips were made deeper for their buttock to knee length, and the ASIS came forward with them"
    ),
    ("davis", "@left_hip"): "Davis lies 3 cm lower and nearer the middle than Bell; no card has this point",
    ("smpl_template", "left_shoulder"): T_POSE,
    ("smplx_template", "left_shoulder"): T_POSE,
}


@dataclass(frozen=True)
class Measure:
    """One published distance beside the placed one; ratios are to the scale of their own skeleton."""

    source: str
    format: str
    name: str
    placed: float
    known: float
    spread: float
    people: int
    moving: float

    @property
    def ratio(self) -> float:
        return self.placed / self.known

    @property
    def half_width(self) -> float:
        """Half the 95 % interval for one more person of the sample, as a share of the mean; 0 below 3 people."""
        if self.people < 3:
            return 0.0
        return float(student.ppf(0.975, self.people - 1) * self.spread * np.sqrt(1 + 1 / self.people) / self.known)

    @property
    def verdict(self) -> str:
        if abs(self.ratio - 1) <= CLOSE:
            return "within 5 %"
        return "within interval" if abs(self.ratio - 1) <= self.half_width else "off"


@dataclass(frozen=True)
class Place:
    """One published place beside the placed one, mm on a body of 1.7 m as seen from another point."""

    source: str
    format: str
    name: str
    placed: NDArray[np.float64]
    known: NDArray[np.float64]
    uncertainty: float

    @property
    def apart(self) -> float:
        return float(np.linalg.norm(self.placed - self.known))

    @property
    def verdict(self) -> str:
        return "within the uncertainty" if self.apart <= self.uncertainty else "off"


class Body:
    """Distances on the average body at rest, and over the bridge's bodies in motion, for the joints of one card."""

    def __init__(self, bridge: Bridge, card: str):
        self.rest, self.moments = bridge.rest.landmarks, bridge.moments
        self.floor = np.array([0.0, bridge.rest.vertices[:, 1].min(), 0.0])
        self.card = skeleton(card) if card else None

    def row(self, name: str) -> NDArray[np.float64]:
        """Weights over the landmarks of a joint of the card, or of a landmark where the name starts with @."""
        if name.startswith("@"):
            return landmarks().matrix([{name[1:]: 1.0}])[0]
        if self.card is None:
            raise ValueError(f"{name!r} is a joint, but its set names no format")
        return self.card.placement[self.card.index(name)]

    def point(self, name: str) -> NDArray[np.float64]:
        return self.floor if name == "@floor" else self.row(name) @ self.rest

    def uncertainty(self, name: str) -> float:
        """That of the card; a landmark's own is taken as that of a hip joint centre found by regression."""
        return 20.0 if self.card is None else float(self.card.placement_uncertainty[self.card.index(name)])

    def length(self, path: list[str], axis: str | None = None) -> float:
        steps = np.diff([self.point(name) for name in path], axis=0)
        return float(np.abs(steps[:, AXES[axis]]).sum() if axis else np.linalg.norm(steps, axis=1).sum())

    def moving(self, path: list[str], axis: str | None = None) -> float:
        """The same, rms over the bodies in motion; not known along an axis or from the floor."""
        if axis or "@floor" in path:
            return np.nan
        steps = np.diff([self.row(name) for name in path], axis=0)
        return float(sum(np.sqrt(step @ self.moments @ step) for step in steps))


def figures() -> list[dict[str, Any]]:
    """The sets of registry/anthropometry.toml."""
    return read_toml(registry_dir() / "anthropometry.toml")["set"]


def known_values(figure: dict[str, Any], scale: float | NDArray) -> tuple[float, float]:
    """Mean and standard deviation over people of a figure divided by its scale, (mean, sd)."""
    if "each" in figure:
        ratios = np.array(figure["each"]) / scale
        return float(ratios.mean()), float(ratios.std(ddof=1))
    people = figure["people"]
    of_people = np.sqrt(people / (people - 1)) if people > 1 else 1.0
    return figure["mm"] / float(np.mean(scale)), figure.get("sd", 0.0) * of_people / float(np.mean(scale))


def scales(entry: dict[str, Any], body: Body) -> tuple[float, float, float | NDArray]:
    """What lengths are divided by: at rest, in motion, and as published (one value, or one per person)."""
    if entry["scale"] == "stature":
        return STATURE, STATURE, 1.0
    parts = [entry["measures"][name] for name in entry["scale"]]
    published = sum(np.array(part["each"]) if "each" in part else part["mm"] for part in parts)
    rest, motion = (sum(of(p["of"], p.get("axis")) for p in parts) for of in (body.length, body.moving))
    return rest, motion, published


def measures(bridge: Bridge | None = None) -> list[Measure]:
    """Every published distance beside the placed one."""
    found = []
    for entry in figures():
        card = entry.get("format", "")
        body = Body(bridge or shipped_bridge(), card)
        rest, motion, published = scales(entry, body)
        for name, figure in entry["measures"].items():
            figure = {"people": entry.get("people", 0), **figure}
            known, spread = known_values(figure, published)
            path, axis = figure["of"], figure.get("axis")
            lengths = (
                body.length(path, axis) / rest,
                known,
                spread,
                figure["people"],
                body.moving(path, axis) / motion,
            )
            found.append(Measure(entry["id"], card, name, *lengths))
    return found


def places(bridge: Bridge | None = None) -> list[Place]:
    """Every published place beside the placed one."""
    found = []
    for entry in figures():
        card = entry.get("format", "")
        body = Body(bridge or shipped_bridge(), card)
        rest, _, published = scales(entry, body)
        turn = upright(entry, body)
        for name, place in entry.get("places", {}).items():
            placed = body.point(name) - np.mean([body.point(other) for other in place["from"]], axis=0)
            known = turn @ np.array(place["mm"]) * rest / float(np.mean(published))
            found.append(Place(entry["id"], card, name, placed, known, body.uncertainty(name)))
    return [*found, davis(Body(bridge or shipped_bridge(), ""))]


def upright(entry: dict[str, Any], body: Body) -> NDArray[np.float64]:
    """The turn about the left-right axis that gives the trunk of a published pose the lean of ours."""
    if "lean" not in entry:
        return np.eye(3)
    start, end = entry["lean"]
    ours, theirs = body.point(end) - body.point(start), np.array(entry["places"][end]["mm"])
    angle = np.arctan2(ours[2], ours[1]) - np.arctan2(theirs[2], theirs[1])
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def davis(body: Body) -> Place:
    """Hip centre of Plug-in Gait: Davis et al. 1991, with bare landmarks for markers (marker radius 0)."""
    leg = body.length(["@left_asis", "@left_medial_malleolus"]) / 1000
    c, depth, theta, beta = 0.115 * leg - 0.0153, 0.1288 * leg - 0.04856, np.radians(28.4), np.radians(18)
    left = body.length(["@left_asis", "@right_asis"]) / 2000 - c * np.sin(theta)
    up = -depth * np.sin(beta) - c * np.cos(theta) * np.cos(beta)
    forward = -depth * np.cos(beta) + c * np.cos(theta) * np.sin(beta)
    middle = (body.point("@left_asis") + body.point("@right_asis")) / 2
    known = 1000 * np.array([left, up, forward])
    return Place("davis", "", "@left_hip", body.point("@left_hip") - middle, known, body.uncertainty("@left_hip"))


def tables(bridge: Bridge | None = None) -> Iterator[str]:
    found, seen = measures(bridge), places(bridge)
    counts = [sum(row.verdict == word for row in found) for word in ("within 5 %", "within interval", "off")]
    yield (
        f"{len(found)} distances: {counts[0]} within 5 %, {counts[1]} within the 95 % interval of their sample, "
        f"{counts[2]} off. {len(seen)} places: {sum(p.verdict != 'off' for p in seen)} within the card's uncertainty.\n"
    )
    yield "| format | measure | placed | measured (sd, people) | placed / measured | in motion | verdict |"
    yield "|---|---|---|---|---|---|---|"
    for m in found:
        sample = f" ({m.spread:.3f}, {m.people})" if m.people > 1 else ""
        moving = "–" if np.isnan(m.moving) else f"{m.moving / m.known:.2f}"
        yield (
            f"| {m.format or m.source} | {m.name.replace('_', ' ')} | {m.placed:.3f} | {m.known:.3f}{sample} "
            f"| {m.ratio:.2f} | {moving} | {judged(m)} |"
        )
    yield "\n| format | joint | source | placed: left, up, forward | published | apart | uncertainty | verdict |"
    yield "|---|---|---|---|---|---|---|---|"
    for p in seen:
        placed, known = (", ".join(f"{value + 0.0:.0f}" for value in point) for point in (p.placed, p.known))
        yield (
            f"| {p.format or '–'} | {p.name.lstrip('@')} | {p.source} | {placed} | {known} | {p.apart:.0f} "
            f"| {p.uncertainty:.0f} | {judged(p)} |"
        )


def judged(row: Measure | Place) -> str:
    """The verdict, with its reason where the figure is off."""
    return row.verdict if row.verdict != "off" else f"off: {REASONS.get((row.source, row.name), 'NO REASON GIVEN')}"


def sources() -> Iterator[str]:
    yield "| set | people | source |"
    yield "|---|---|---|"
    for entry in figures():
        people = entry.get("people", "–")
        yield f"| {entry['id']} | {'one model' if people == 1 else people} | {entry['source']} |"


def coverage() -> Iterator[str]:
    """How many formats and joints the cards say were checked against a second source."""
    cards = formats()
    joints = sum(len(card) for card in cards)
    yield "| checked against a second source | formats, at least in part | joints |"
    yield "|---|---|---|"
    for what in ("order", "place"):
        counts = [
            sum(any(check.what == what for check in card.checks_of(name)) for name in card.names) for card in cards
        ]
        yield f"| {what} | {sum(count > 0 for count in counts)} of {len(cards)} | {sum(counts)} of {joints} |"
    unchecked = [card.id for card in cards if not any(check.what == "order" for check in card.checks)]
    yield f"\nNo second source was found for the order of: {', '.join(unchecked)}."


def known_badly(least: float = 30.0) -> Iterator[str]:
    """The joints that the cards are least sure of, by format."""
    yield f"| format | joints with an uncertainty of {least:.0f} mm or more (mm) |"
    yield "|---|---|"
    for card in formats():
        bad: dict[float, list[str]] = {}
        for joint in card.joints:
            if joint.placement_uncertainty >= least and not joint.name.startswith("right_"):
                bad.setdefault(joint.placement_uncertainty, []).append(joint.name.removeprefix("left_"))
        if bad:
            listed = "; ".join(f"{', '.join(dict.fromkeys(names))} ({mm:.0f})" for mm, names in sorted(bad.items()))
            yield f"| {card.id} | {listed} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/placements.md")
    options = parser.parse_args()
    blocks = {"anthropometry": tables(), "sources": sources(), "coverage": coverage(), "known badly": known_badly()}
    for name, lines in blocks.items():
        kept = printed(lines)
        if options.write:
            write_block(ROOT / "docs" / "placements.md", name, kept)


if __name__ == "__main__":
    main()
