"""What pictures say about where formats put their joints: python -m benchmarks.evidence_2d [--real DIR] [--write]

(1) People who are labelled in several picture formats: how far apart the labels of one joint lie.
(2) People labelled in other picture formats: where necks and pelvises lie along the trunk.
(3) People detected by several cameras: the lengths and offsets of the triangulated points beside those of the cards.

These recordings are for checking only: nothing that this reads enters a card or the bridge. --write puts the result
into docs/evidence.md and the picture beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.body_measures import MEASURES, Foretold, foretold, leg, measure, measured, of_format
from benchmarks.evidence_picture import plot_evidence
from benchmarks.fidelity import folder_from_environment
from benchmarks.report import ROOT, printed, write_block
from benchmarks.same_people import labels_findings, labels_report, spread
from benchmarks.triangulation import the_person_in_all_views, triangulate_robustly, turned_to_agree
from benchmarks.trunk_points import trunk_findings, trunk_points, trunk_report
from skelbridge.body.model import PHENOTYPES, VirtualBody
from skelbridge.body.rotations import about
from skelbridge.body.shapes import sample_shapes
from skelbridge.camera import Camera
from skelbridge.io import read
from skelbridge.landmarks import read_toml
from skelbridge.skeletons import Skeleton, skeleton

Array = NDArray[np.float64]

STATIC, BALANCING = "S00_P00_T00_StaticTrial", "S00_P00_T01_BalancingTrial"
#: From this age on (anny's measure, in which 2/3 is young adult) a virtual body counts as an adult.
GROWN = 0.6
CARD = skeleton("openpose_25b_25")
FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")


def pose2sim_cameras(folder: Path) -> list[Camera]:
    """The cameras of Pose2Sim's demonstration, metres, z up."""
    cards = read_toml(folder / "S00_Calibration" / "Calib_qualisys.toml")
    return [
        Camera(
            card["matrix"],
            about(card["rotation"], np.linalg.norm(card["rotation"])),
            card["translation"],
            card["distortions"],
        )
        for name, card in sorted(cards.items())
        if name.startswith("cam")
    ]


def detections(trial: Path) -> tuple[Array, Array]:
    """Detections of all cameras: (views, frames, people, joints, 2), and their confidence."""
    views = [read(folder, format=CARD) for folder in sorted((trial / "pose").glob("cam*_json"))]
    people = max(poses.points.shape[1] for poses in views)

    def filled(values: Array, fill: float) -> Array:
        width = [(0, 0), (0, people - values.shape[1])] + [(0, 0)] * (values.ndim - 2)
        return np.pad(values, width, constant_values=fill)

    image = np.stack([filled(poses.points, np.nan) for poses in views])
    confidence = np.stack([filled(poses.confidence, 0.0) for poses in views if poses.confidence is not None])
    return image, confidence


def in_body_axes(points: Array, joints: int) -> Array:
    """Triangulated points (frames * joints, 3), metres, z up, as (frames, joints, 3) in mm, y up."""
    return points.reshape(-1, joints, 3)[..., [1, 2, 0]] * 1000


def pose2sim_report(folder: Path) -> tuple[list[str], Array]:
    """How well the cameras agree, as lines; and the balancing person's points, by the cameras turned to agree."""
    lines = [
        "| trial | frames | of these different | cameras | all four as one: off | 3 or 4 that agree: off "
        "| points they give | to Pose2Sim's TRC | 9 of 10 within |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    path = folder / "S00_P00_SingleParticipant"
    rows, static = trial_report(pose2sim_cameras(folder), path / STATIC)
    lines += rows
    rows, balancing = trial_report(pose2sim_cameras(folder), path / BALANCING)
    lines += [*rows, "", f"The static trial, left over right: {sides(static[1], CARD)}. {_moved(*balancing)}"]
    return lines, balancing[1]


def trial_report(given: list[Camera], trial: Path) -> tuple[list[str], list[Array]]:
    """A row for the cameras as given and one for the cameras turned to agree; and the points by either, mm."""
    image, confidence = detections(trial)
    chosen = the_person_in_all_views(given, image, confidence)
    different = len(np.unique(np.nan_to_num(image).swapaxes(0, 1).reshape(image.shape[1], -1), axis=0))
    views, frames = np.indices(chosen.shape)
    seen = image[views, frames, chosen].reshape(len(image), -1, 2)
    sure = confidence[views, frames, chosen].reshape(len(image), -1)
    turned, angle = turned_to_agree(given, seen, sure)
    body = [name not in FACE for name in CARD.names]
    rows, results = [], []
    for kind, cameras in (("as given", given), (f"turned, by up to {angle:.1f}°", turned)):
        found = triangulate_robustly(cameras, seen, sure)
        every = triangulate_robustly(cameras, seen, sure, least=len(cameras), limit=np.inf)
        points = in_body_axes(found.points, len(CARD))
        apart = to_trc(trial, points) if cameras is given else "– | –"  # turned cameras move the world
        rows.append(
            f"| {trial.name[8:]} | {len(points)} | {different} | {kind} | {np.nanmedian(every.pixels):.1f} px "
            f"| {np.median(found.pixels[found.used]):.1f} px | {np.isfinite(points[:, body, 0]).mean():.0%} | {apart} |"
        )
        results.append(points)
    return rows, results


def to_trc(trial: Path, points: Array) -> str:
    """How far the points lie from those of the file that Pose2Sim wrote: median and 9 of 10."""
    file = next(path for path in sorted((trial / "pose-3d").glob("*.trc")) if "filt" not in path.name)
    theirs = read(file)
    shared = [name for name in CARD.names if name in theirs.skeleton.names]
    known = theirs.points[:, [theirs.skeleton.index(name) for name in shared]] * 1000
    apart = np.linalg.norm(points[:, [CARD.index(name) for name in shared]] - known, axis=-1)
    return f"{np.nanmedian(apart):.0f} mm | {np.nanpercentile(apart, 90):.0f} mm"


def _moved(given: Array, turned: Array) -> str:
    """What turning the cameras changes in the measures."""
    legs = [measures_of(points, CARD) for points in (given, turned)]
    moved = {name: abs(legs[0][name] - legs[1][name]) for name in MEASURES if np.isfinite(legs[0][name])}
    most = max(moved, key=lambda name: moved[name])
    return (
        "By the cameras as given the balancing person's measures would be "
        f"{np.median(list(moved.values())):.0f} mm off those by the turned ones in the median, "
        f"at most {moved[most]:.0f} mm ({most})."
    )


def measures_of(points: Array, card: Skeleton) -> dict[str, float]:
    """The median of each measure, mm; NaN where the format lacks it."""
    get = of_format(points, card)
    with np.errstate(all="ignore"):
        columns = {name: measured(get, name, 1.0) for name in MEASURES}
    return {name: float(np.nanmedian(v)) if np.isfinite(v).any() else np.nan for name, v in columns.items()}


def sides(points: Array, card: Skeleton) -> str:
    """Left over right, of the lengths that have sides."""
    get = of_format(points, card)
    found = []
    for name in ("thigh", "shank", "upper arm", "forearm", "heel to big toe"):
        left, right = (np.nanmedian(measure(get, name, side)) for side in ("left", "right"))
        found.append(f"{name} {left / right - 1:+.1%}")
    return ", ".join(found)


def opencap(folder: Path) -> tuple[Array, float]:
    """The 20 OpenPose points of OpenCap's walk, (frames, joints, 3) mm in body_25, and the person's stature in mm."""
    session = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    poses = read(session / "MarkerData" / "walk.trc", format="body_25")
    lines = (session / "sessionMetadata.yaml").read_text(encoding="utf-8").splitlines()
    stature = next(float(line.partition(":")[2]) for line in lines if line.startswith("height_m"))
    return poses.points * 1000, stature * 1000


def adults(count: int = 400) -> Array:
    """Landmarks of grown bodies of the population in the reference pose, (N, landmarks, 3)."""
    body = VirtualBody()
    shapes = sample_shapes(body, count, np.random.default_rng(5), faces=False)
    return body.rest(shapes[shapes.phenotypes[:, PHENOTYPES.index("age")] >= GROWN])


@dataclass(frozen=True)
class Person:
    """One recorded person in one format: points (frames, joints, 3) mm, and what the card foretells."""

    who: str
    card: Skeleton
    points: Array
    told: dict[str, Foretold]

    def seen(self, name: str) -> Array:
        """A measure of each frame on a body with the card's legs, mm; NaN where the format lacks it."""
        get = of_format(self.points, self.card)
        return measured(get, name, leg(get)) * self.card_leg

    @property
    def card_leg(self) -> float:
        return self.told["thigh"].value + self.told["shank"].value

    def deviation(self, name: str) -> float:
        """The measured less the foretold, mm."""
        return float(np.nanmedian(self.seen(name)) - self.told[name].value)

    def standard(self, name: str) -> float:
        """The deviation in standard uncertainties: of the places and of one person among adults."""
        told = self.told[name]
        return self.deviation(name) / float(np.hypot(told.places, told.people))


def lengths_report(people: Sequence[Person]) -> Iterator[str]:
    """A row a measure: what the card says and what each person shows."""
    for person in people:
        yield (
            f"\n{person.who} beside the card of {person.card} (n = 1 person, {len(person.points)} frames). "
            f"Left over right: {sides(person.points, person.card)}.\n"
        )
        yield "| measure | card | its places' uncertainty | between adults | measured | less the card | in sd |"
        yield "|---|---|---|---|---|---|---|"
        for name in MEASURES:
            told, seen = person.told[name], person.seen(name)
            if np.isfinite(seen).any():
                yield (
                    f"| {name} | {told.value:.0f} | {told.places:.0f} | {told.people:.0f} | {spread(seen, '')} "
                    f"| {person.deviation(name):+.0f} | {person.standard(name):+.1f} |"
                )


def findings(people: Sequence[Person]) -> Iterator[str]:
    """The measures in which somebody lies beyond twice the card's uncertainty and people's scatter."""
    for name in MEASURES:
        known = [person for person in people if np.isfinite(person.seen(name)).any()]
        if any(abs(person.standard(name)) > 2 for person in known):
            each = [
                f"{person.card} {np.nanmedian(person.seen(name)):.0f} mm, its card {person.told[name].value:.0f} "
                f"({person.deviation(name):+.0f} mm, {person.standard(name):+.1f} sd)"
                for person in known
            ]
            yield f"- **{name}**, one person each: {'; '.join(each)}."


def recorded_people(folder: Path) -> tuple[list[str], list[Person], float]:
    """Lines on the cameras, the two people, and OpenCap's stature."""
    lines, balancing = pose2sim_report(folder / "pose2sim" / "S00_Demo_Session")
    walking, stature = opencap(folder / "opencap")
    everyone, cards = adults(), [CARD, skeleton("body_25")]
    named = zip(("Pose2Sim, balancing", "OpenCap, walking"), cards, (balancing, walking), strict=True)
    return lines, [Person(who, card, points, foretold(card, everyone)) for who, card, points in named], stature


def report(folder: Path, people: Sequence[Person], cameras: Sequence[str], stature: float) -> Iterator[str]:
    trunk = trunk_points(folder)
    yield "## Beyond what the cards say\n"
    yield from trunk_findings(trunk)
    yield from findings(people)
    yield from labels_findings(folder)
    yield "\n## The same people labelled in several formats\n"
    yield from labels_report(folder)
    yield "\n## Other people labelled or detected in pictures"
    yield from trunk_report(trunk)
    yield "\n## People seen by several cameras\n"
    yield from cameras
    yield from lengths_report(people)
    walker = people[-1]
    legs = leg(of_format(walker.points, walker.card))
    yield (
        f"\nOpenCap's legs (thigh and shank) are {legs / stature:.3f} of the stature of {stature / 1000:.2f} m that "
        f"goes with the recording; the card's are {walker.card_leg / 1700:.3f} of the rest body's."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=folder_from_environment(), help="folder of the recordings")
    parser.add_argument("--write", action="store_true", help="write docs/evidence.md and its picture")
    options = parser.parse_args()
    if options.real is None:
        parser.error("no recordings: give their folder (--real)")
    cameras, people, stature = recorded_people(options.real)
    lines = printed(report(options.real, people, cameras, stature))
    if options.write:
        write_block(ROOT / "docs" / "evidence.md", "evidence", lines)
        drawn = plot_evidence([(person.who, person.card, person.points) for person in people])
        drawn.savefig(ROOT / "docs" / "images" / "evidence_2d.png")


if __name__ == "__main__":
    main()
