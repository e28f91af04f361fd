"""Calibration on made bodies whose true places are known: python -m benchmarks.recovery [--write]

Two formats: a laboratory's 46 well-known markers with three pairs of joints that the card misplaces, and CMU's 31
joints all misplaced. Poses of adults with noise, missing points and outliers. --write puts it into docs/placements.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.report import ROOT, printed, write_block
from skelbridge.body.calibrate import calibrate, freedoms
from skelbridge.body.model import VirtualBody
from skelbridge.body.random_poses import random_poses
from skelbridge.body.shapes import sample_shapes, years_of
from skelbridge.bridge import shipped_bridge
from skelbridge.landmarks import landmarks, mirrored_name
from skelbridge.skeletons import Skeleton, skeleton

MARKERS = [
    *("front_head", "back_head", "shoulder", "upper_arm", "elbow", "elbow_inner", "forearm", "wrist_thumb_side"),
    *("wrist_pinky_side", "asis", "psis", "front_thigh", "thigh", "knee", "knee_inner", "shin", "ankle", "heel"),
    *("toe", "fifth_metatarsal", "first_metatarsal"),
]
CENTRAL = ("back_neck", "upper_back", "clavicle", "sternum")
#: Where joints truly lie that the card places elsewhere.
TRUTH = {
    "left_knee": {"left_knee": 0.9, "left_lateral_femoral_epicondyle": 0.4, "left_medial_femoral_epicondyle": -0.3},
    "left_elbow": {"left_elbow": 0.9, "left_lateral_epicondyle": 0.4, "left_medial_epicondyle": -0.3},
    "left_ankle": {"left_ankle": 0.75, "left_lateral_malleolus": 0.45, "left_heel": -0.2},
}
#: The uncertainty, mm, of joints that the card misplaces, and of the others.
UNKNOWN, KNOWN = 25.0, 5.0
#: Noise of a point, mm; shares of points that are missing, and that are far off.
NOISE, MISSING, FAR_OFF = 3.0, 0.1, 0.02


def lab_card() -> Skeleton:
    """A laboratory's markers, well known, and three pairs of joints whose places are not."""
    whole = skeleton("bml_movi_87")
    unknown = [name for left in TRUTH for name in (left, mirrored_name(left))]
    names = [f"{name}_marker" for name in CENTRAL]
    names += [f"{side}_{name}_marker" for name in MARKERS for side in ("left", "right")] + unknown
    joints = [
        {**whole.joints[whole.index(name)].model_dump(), "uncertainty": UNKNOWN if name in unknown else KNOWN}
        for name in names
    ]
    mirror = [pair for pair in whole.mirror if set(pair) <= set(names)]
    return Skeleton.model_validate({"id": "lab", "joints": joints, "mirror": mirror})


def lab_truth() -> np.ndarray:
    """Where the joints of `lab_card` truly lie, (joints, landmarks)."""
    card = lab_card()
    placement = card.placement.copy()
    for name, at in TRUTH.items():
        placement[card.index(name)] = landmarks().matrix([at])[0]
        image = {mirrored_name(landmark): weight for landmark, weight in at.items()}
        placement[card.index(mirrored_name(name))] = landmarks().matrix([image])[0]
    return placement


def misplaced(card: Skeleton, seed: int) -> np.ndarray:
    """Places that the card's uncertainties allow, drawn at random, left and right alike, (joints, landmarks)."""
    rng, placement = np.random.default_rng(seed), card.placement.copy()
    for freedom in freedoms(card, shipped_bridge().moments):
        z = np.linalg.solve(np.linalg.cholesky(freedom.precision).T, rng.standard_normal(len(freedom)))
        for joint, directions in zip(freedom.joints, freedom.directions, strict=True):
            placement[joint] += z @ directions
    return placement


def recordings(placement: np.ndarray, people: int, frames: int, seed: int) -> dict[str, np.ndarray]:
    """Random poses of adults, points (frames, joints, 3) mm at the true places; noisy, some missing, some far off."""
    body, rng = VirtualBody(), np.random.default_rng(seed)
    shapes = sample_shapes(body, 8 * people, rng, faces=False)
    shapes = shapes[np.flatnonzero(years_of(shapes) > 20)[:people]]
    found = {}
    for person in range(people):
        places = placement @ body.landmarks(random_poses(body, frames, rng), shapes[np.full(frames, person)])
        points = places + rng.normal(0, NOISE / np.sqrt(3), places.shape) + rng.normal(0, 1000, 3)
        wild = rng.random(points.shape[:2]) < FAR_OFF
        points[wild] += rng.normal(0, 150, (int(wild.sum()), 3))
        points[rng.random(points.shape[:2]) < MISSING] = np.nan
        found[f"person {person}"] = points
    return found


def distances(card: Skeleton, placement: np.ndarray) -> np.ndarray:
    """How far the card's places lie from others, rms over poses of people, (joints,) mm on a body of 1.7 m."""
    off = card.placement - placement
    return np.sqrt(np.maximum(np.einsum("jl,lm,jm->j", off, shipped_bridge().moments, off), 0))


def report(people: int = 3, frames: int = 24) -> Iterator[str]:
    yield (
        f"{people} people, {frames} poses each, {NOISE:g} mm of noise, {MISSING:.0%} of the points missing, "
        f"{FAR_OFF:.0%} far off; rms mm on a body of 1.7 m.\n"
    )
    yield "| format | joints | off before | off after | the fit's own uncertainty | learned uncertainty |"
    yield "|---|---|---|---|---|---|"
    lab, cmu = lab_card(), skeleton("cmu_mocap_31").prior()
    for card, truth, rows in (
        (lab, lab_truth(), {name.removeprefix("left_"): [lab.index(name)] for name in TRUTH}),
        (cmu, misplaced(cmu, 1), {"all 31": range(31)}),
    ):
        found = calibrate(card, recordings(truth, people, frames, seed=4), scatter=4.0)
        for words, joints in rows.items():
            before, after = (distances(c, truth)[list(joints)] for c in (card, found.learned))
            told = found.posterior[list(joints)], found.card.placement_uncertainty[list(joints)]
            numbers = (f"{np.sqrt(np.mean(values**2)):.1f}" for values in (before, after, *told))
            yield f"| {card.id} ({len(card)}) | {words} | {' | '.join(numbers)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/placements.md")
    options = parser.parse_args()
    lines = printed(report())
    if options.write:
        write_block(ROOT / "docs" / "placements.md", "recovery", lines)


if __name__ == "__main__":
    main()
