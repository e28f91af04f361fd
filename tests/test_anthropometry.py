"""Placements beside published figures: the verdicts, their reasons, and what the cards say was checked."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from benchmarks.anthropometry import CLOSE, REASONS, Measure, figures, measures, places
from skelbridge.bridge import shipped_bridge
from skelbridge.landmarks import mirrored_name
from skelbridge.skeletons import formats, skeleton

#: Formats whose limb joints are the clicked ones of COCO, on each of their people.
CLICKED = [
    "coco_17",
    "coco_18",
    "coco_wholebody_133",
    "body_25",
    "halpe_26",
    "mpii_16",
    "lsp_14",
    "aic_14",
    "panoptic_19",
]
LIMBS = ["left_hip", "left_knee", "left_ankle", "left_shoulder", "left_elbow", "left_wrist"]


@pytest.fixture(scope="module")
def found() -> list[Measure]:
    return measures()


def at(card: str, joint: str) -> dict[str, float]:
    return skeleton(card).joints[skeleton(card).index(joint)].at


def mirrored(name: str) -> str:
    return f"@{mirrored_name(name[1:])}" if name.startswith("@") else mirrored_name(name)


def test_what_is_off_has_a_reason_and_no_reason_is_stale(found: list[Measure]) -> None:
    off = {(row.source, row.name) for row in [*found, *places()] if row.verdict == "off"}
    assert off == set(REASONS)


def test_a_verdict_follows_from_ratio_and_sample() -> None:
    def verdict(ratio: float, spread: float = 0.0, people: int = 1) -> str:
        return Measure("s", "f", "m", ratio, 1.0, spread, people, ratio).verdict

    assert verdict(1 + CLOSE - 1e-9) == verdict(1 - CLOSE + 1e-9) == "within 5 %"
    assert verdict(1.06) == verdict(1.06, spread=0.1, people=2) == "off", "two people make no interval"
    # t(0.975, 3) = 3.182, times sqrt(1 + 1/4): 0.0356 of the mean per hundredth of scatter
    assert verdict(1.070, spread=0.02, people=4) == "within interval"
    assert verdict(1.072, spread=0.02, people=4) == "off"


def test_most_figures_agree(found: list[Measure]) -> None:
    close = [abs(row.ratio - 1) <= CLOSE for row in found]
    assert len(found) > 190
    assert np.mean(close) > 0.75
    of_people = [row for row in found if row.people >= 3]
    assert np.mean([row.verdict != "off" for row in of_people]) > 0.95


def test_left_and_right_measure_the_same(found: list[Measure]) -> None:
    rest = shipped_bridge().rest.landmarks
    for entry in figures():
        card = skeleton(entry["format"]) if "format" in entry else None
        for name, figure in entry["measures"].items():
            if card is None or figure.get("axis") or "@floor" in figure["of"]:
                continue
            sides = []
            for path in (figure["of"], [mirrored(joint) for joint in figure["of"]]):
                points = card.placement[[card.index(joint) for joint in path]] @ rest
                sides.append(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
            assert sides[0] == pytest.approx(sides[1], abs=0.5), (entry["id"], name)


def test_published_figures_add_up() -> None:
    sets = {entry["id"]: entry for entry in figures()}

    def mm(name: str, measure: str) -> float:
        return sets[name]["measures"][measure]["mm"]

    for name in ("smpl_template", "smplx_template"):
        seen = {joint: np.array(place["mm"]) for joint, place in sets[name]["places"].items()}
        assert mm(name, "hip_to_hip") == pytest.approx(2 * seen["left_hip"][0], abs=2)
        assert mm(name, "pelvis_to_neck") == pytest.approx(np.linalg.norm(seen["neck"]), abs=2)
        # the midline was brought to the middle in the places, not in the lengths
        for a, b in (("spine1", "spine2"), ("spine2", "spine3"), ("spine3", "neck"), ("neck", "head")):
            assert mm(name, f"{a}_to_{b}") == pytest.approx(np.linalg.norm(seen[b] - seen[a]), abs=3), (name, b)
    assert mm("cmu_skeletons", "wrist") == pytest.approx(mm("cmu_skeletons", "radius") / 2, abs=0.2)
    assert mm("panoptic_sample", "neck_to_shoulder") == pytest.approx(
        mm("panoptic_sample", "shoulder_to_shoulder") / 2, 0.01
    )
    assert mm("winter", "hip_height") - mm("winter", "knee_height") == pytest.approx(mm("winter", "thigh"), abs=0.001)
    assert mm("winter", "knee_height") - mm("winter", "ankle_height") == pytest.approx(mm("winter", "shank"), abs=0.001)


def test_cmu_forearm_bones_are_thirds_of_a_line() -> None:
    rest = shipped_bridge().rest.landmarks
    elbow, wrist, hand = (
        skeleton("cmu_mocap_31").prior().placement[skeleton("cmu_mocap_31").index(f"left_{name}")] @ rest
        for name in ("elbow", "wrist", "hand")
    )
    np.testing.assert_allclose(wrist, elbow + (hand - elbow) * 2 / 3, atol=1)


def test_clicked_formats_are_copies_of_each_other_and_other_definitions_are_not() -> None:
    for joint in LIMBS:
        assert all(at(card, joint) == at("coco_17", joint) for card in CLICKED), joint
    for card in ("smpl_24", "smplx_55", "h36m_17", "mpi_inf_3dhp_17", "cmu_mocap_31", "kinect_v2_25"):
        assert all(at(card, joint) != at("coco_17", joint) for joint in ("left_hip", "left_knee", "left_shoulder")), (
            card
        )


def test_the_same_place_with_the_same_evidence_is_equally_sure() -> None:
    families = [CLICKED, ["smpl_24", "smpl_45", "smplh_52"], ["smplx_55", "smplx_42", "smplx_127", "smplx_144"],
                ["h36m_17", "h36m_25", "h36m_32", "imar_25"]]  # fmt: skip
    for family in families:
        sure = defaultdict(set)
        for card in map(skeleton, family):
            for joint in card.joints:
                if joint.name in (*LIMBS, "left_clavicle", "spine1", "spine2", "spine3", "head"):
                    sure[joint.name, tuple(sorted(joint.at.items()))].add(joint.placement_uncertainty)
        assert all(len(values) == 1 for values in sure.values()), (family, dict(sure))


def test_cards_say_what_was_checked() -> None:
    assert skeleton("coco_17").checks_of("left_knee")
    assert {check.what for check in skeleton("smpl_24").checks_of("pelvis")} == {"order", "place"}
    assert not skeleton("sail_vos_26").checks, "nothing but one reader is known of it"
    judged = {entry["format"] for entry in figures() if entry.get("format") and entry["id"] != "campus_shelf_sample"}
    said = {card.id for card in formats() if any(check.what == "place" for check in card.checks)}
    assert judged <= said
    named = [word for card in formats() for check in card.checks for word in check.against.split("anthropometry: ")[1:]]
    assert {word.rstrip(")") for word in named} <= {entry["id"] for entry in figures()}
