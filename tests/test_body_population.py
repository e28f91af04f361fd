"""The population of the virtual body: lengths of people, ages, and motions in which no clip rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skelbridge.body.measures import FITTED, MEASURES, drawn, fitted, measured
from skelbridge.body.model import PHENOTYPES, VirtualBody, middle_shapes
from skelbridge.body.motions import PoseClip, PoseRing, distances, load_motions, read_clips, without_repeats
from skelbridge.body.random_poses import random_poses
from skelbridge.body.rotations import about
from skelbridge.body.sample import clip_shares, sample_bodies
from skelbridge.body.shapes import sample_shapes, years_of

pytest.importorskip("anny", reason="the virtual body needs the package anny")


@pytest.fixture(scope="module")
def body() -> VirtualBody:
    return VirtualBody()


@pytest.fixture(scope="module")
def people(body: VirtualBody) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measures, years and whether a woman, of 2500 shapes."""
    shapes = sample_shapes(body, 2500, np.random.default_rng(3), faces=False)
    return measured(shapes), years_of(shapes), shapes.phenotypes[:, PHENOTYPES.index("gender")] > 0.5


# Shapes


@pytest.mark.parametrize("measure", [m.name for m in FITTED])
@pytest.mark.parametrize("sex", ["women", "men"])
def test_lengths_of_adults_are_those_of_surveys(people: tuple, measure: str, sex: str) -> None:
    measures, years, female = people
    column = [m.name for m in MEASURES].index(measure)
    adults = (years > 17) & (years < 61) & (female == (sex == "women"))
    ours = np.percentile(measures[adults, column], [5, 50, 95])
    published = np.array(getattr(MEASURES[column], sex))
    np.testing.assert_allclose(ours, published, rtol=0.025)


def test_proportions_scatter_as_peoples_do(body: VirtualBody, people: tuple) -> None:
    measures, years, female = people
    adult = (years > 17) & (years < 61)
    share = measures[:, 1 : len(FITTED)] / measures[:, :1]
    for sex in (female, ~female):
        of = share[adult & sex]
        assert ((of.std(axis=0) / of.mean(axis=0) > 0.018) & (of.std(axis=0) / of.mean(axis=0) < 0.045)).all()
    # A trunk that is long for the stature goes with short limbs, and long limbs go together.
    together = np.corrcoef(share[adult & female].T)
    assert together[0, 1] < -0.2
    assert together[0, 2] < -0.2
    assert together[3, 4] > 0.1


def test_shares_of_ages_and_their_statures(people: tuple) -> None:
    measures, years, female = people
    child, elder = years < 17, years > 64
    assert 0.12 < child.mean() < 0.18
    assert 0.08 < elder.mean() < 0.12
    assert 0.45 < female.mean() < 0.55
    stature = measures[:, 0]
    assert 800 < stature.min() < 1000
    assert stature.max() < 2100
    # WHO medians of girls and boys of 10 years: 1386 and 1378 mm.
    assert np.median(stature[np.abs(years - 10) < 1]) == pytest.approx(1382, rel=0.04)
    for sex in (female, ~female):
        lost = np.mean(stature[~child & ~elder & sex]) - np.mean(stature[elder & sex])
        assert 20 < lost < 80
    sitting = measures[:, 1] / stature
    assert np.mean(sitting[years < 6]) > np.mean(sitting[~child]) + 0.02  # little children have long trunks


def test_fitting_finds_a_body_of_given_lengths() -> None:
    shapes = middle_shapes(40)
    lengths = drawn(np.arange(40) % 2 == 0, np.random.default_rng(0))
    found = measured(fitted(shapes, lengths))[:, : len(FITTED)]
    np.testing.assert_allclose(found[:, 0], lengths[:, 0], atol=4)  # stature is firm
    assert np.median(np.abs(found - lengths) / lengths) < 0.01
    # What a body measures already is found again, but for what the fit would rather not change.
    again = measured(fitted(shapes, measured(shapes)[:, : len(FITTED)]))
    np.testing.assert_allclose(again, measured(shapes), rtol=1e-3)


def test_shapes_are_seeded(body: VirtualBody) -> None:
    first, again, other = (sample_shapes(body, 20, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for part in ("phenotypes", "local_changes", "face"):
        np.testing.assert_array_equal(getattr(first, part), getattr(again, part))
    assert np.abs(first.local_changes - other.local_changes).max() > 0.1
    assert np.abs(first.local_changes).max() <= 1


# Motions


def swing(degrees: np.ndarray, heading: float = 0.0) -> np.ndarray:
    """Poses, (N, bones, 3, 3), that swing both legs and turn the whole body by a heading in degrees."""
    body = VirtualBody()
    legs = [n for n, name in enumerate(body.bones) if name.startswith(("upperleg", "lowerleg", "foot", "toe"))]
    poses = np.broadcast_to(np.eye(3), (len(degrees), len(body.bones), 3, 3)).copy()
    poses[:, legs] = about(np.tile([1.0, 0, 0], (len(degrees), 1)), np.radians(degrees))[:, None]
    return about(np.array([[0.0, 1, 0]]), np.radians([heading]))[:, None] @ poses


def clip(name: str, poses: np.ndarray) -> PoseClip:
    return PoseClip(name, poses.astype(np.float32), np.arange(len(poses)), has_fingers=False)


def test_a_loop_is_kept_once_whichever_way_it_leads() -> None:
    cycle = 40 * np.sin(np.arange(0, 2 * np.pi, 0.1))
    once = without_repeats([clip("a", swing(cycle))])[0]
    many = without_repeats([clip("a", swing(np.tile(cycle, 3))), clip("b", swing(cycle, heading=90))])
    assert 3 < len(once.poses) < len(cycle) / 2
    assert many[0].frames.tolist() == once.frames.tolist()
    assert len(many[1].poses) == 0
    np.testing.assert_array_equal(once.poses, swing(cycle).astype(np.float32)[once.frames])


def test_a_ring_forgets_what_it_kept_first() -> None:
    points = np.zeros((5, 4, 3))
    points[:, 0, 0] = [0, 100, 50, 200, 0]  # 50 is too near to both; the last repeats the first
    assert [PoseRing(100, 3).admits(pose) for pose in points] == [True] * 5
    ring = PoseRing(100, 3)
    assert [ring.admits(pose) for pose in points] == [True, True, False, True, False]
    small = PoseRing(100, 2)
    assert [small.admits(pose) for pose in points] == [True, True, False, True, True]


def test_no_clip_rules(body: VirtualBody) -> None:
    rng = np.random.default_rng(5)
    clips = [clip("long", random_poses(body, 160, rng)), *(clip(f"{n}", random_poses(body, 10, rng)) for n in range(6))]
    clips.append(replace(clips[0], name="repeat"))
    kept = without_repeats(clips)
    shares = clip_shares(kept)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] < 0.45  # of eight clips it has 160 of 220 poses
    assert shares[-1] == 0
    used = [name for batch in sample_bodies(300, 1, kept, 0.0, batch=100, body=body) for name in batch.clips]
    assert "repeat" not in used
    assert set(used) == {kept_clip.name for kept_clip in kept[:-1]}
    assert used.count("long") / len(used) == pytest.approx(shares[0], abs=0.1)


def test_clips_of_real_people_are_balanced(real: Path) -> None:
    clips = load_motions(real / "cmu_bvh")
    assert all(len(clip.poses) for clip in clips)
    assert clip_shares(clips).max() < 2 / len(clips)
    # Fewer than the key poses of the clips by themselves, and no two of neighbours within reach of each other.
    assert sum(len(clip.poses) for clip in clips) < 0.75 * sum(len(clip.poses) for clip in read_clips(real / "cmu_bvh"))
    apart = distances(clips[0].poses)
    assert apart[np.triu_indices(len(apart), 1)].min() >= 100 - 1e-6
