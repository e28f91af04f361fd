"""Motion-adaptive sampling: which frames stay, whatever the blocks they come in."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skelbridge.camera import Camera
from skelbridge.datasets.cards import Thinning
from skelbridge.datasets.thinning import Thinner
from skelbridge.store import Samples

CAMERA = Camera([[500, 0, 320], [0, 500, 240], [0, 0, 1]], translation=(0, 0, 4000))


def moving(offsets, *, joints=(3,), sequence="walk", person=0, **changes):
    """Poses at rest but for some joints, which are moved along x by `offsets` (frames,) mm."""
    rest = np.random.default_rng(0).uniform(-500, 500, (17, 3))
    world = np.repeat(rest[None], len(offsets), axis=0)
    world[:, list(joints), 0] += np.asarray(offsets, float)[:, None]
    given = {"camera": CAMERA, "frame": np.arange(len(offsets)), "person": person, "sequence": sequence, **changes}
    return Samples.of("coco_17", world=world, **given)


def kept(samples, **rule):
    return np.flatnonzero(Thinner(Thinning(**rule)).keep(samples)).tolist()


def plain(points, rule):
    """The rule in its plainest form, one track: frame after frame, pose after pose."""
    chosen = []
    for number, pose in enumerate(points):
        if not np.isfinite(pose).all(-1).any():
            continue
        before = chosen[-rule.memory :] if rule.rule == "since_any" else chosen[-1:]
        if all(np.sum(np.linalg.norm(pose - points[k], axis=-1) >= rule.mm) >= rule.min_joints for k in before):
            chosen.append(number)
    return chosen


def test_distance_is_measured_from_the_last_kept_frame():
    assert kept(moving([0, 60, 99, 101, 150, 200, 202, 301])) == [0, 3, 6]
    assert kept(moving(np.arange(0, 1000, 10) * 1.001)) == list(range(0, 100, 10))


def test_what_comes_back_is_dropped_by_the_stricter_rule_only():
    there_and_back = moving([0, 150, 300, 150, 0, 450])
    assert kept(there_and_back) == [0, 1, 2, 3, 4, 5]
    assert kept(there_and_back, rule="since_any") == [0, 1, 2, 5]
    assert kept(there_and_back, rule="since_any", memory=1) == [0, 1, 2, 3, 4, 5]
    assert kept(there_and_back, rule="since_any", memory=2) == [0, 1, 2, 4, 5]
    assert kept(there_and_back, rule="none") == [0, 1, 2, 3, 4, 5]


def test_as_many_joints_as_asked_must_move():
    assert kept(moving([0, 200, 400], joints=(3, 4)), min_joints=3) == [0]
    assert kept(moving([0, 200, 400], joints=(3, 4, 5)), min_joints=3) == [0, 1, 2]


def test_missing_joints_have_not_moved_unless_their_coming_counts():
    samples = moving([0, 300, 300, 600])
    samples.points[0, 3] = np.nan  # unknown at first
    assert kept(samples) == [0]
    assert kept(samples, newly_seen=True) == [0, 1, 3]
    samples.points[0] = np.nan
    assert kept(samples) == [1, 3]  # a frame without a joint is none


def test_motion_about_the_mean_of_the_joints_ignores_walking():
    walk = moving(np.arange(0, 1000, 50) * 1.001, joints=range(17))
    assert len(kept(walk)) == 10
    assert kept(walk, centred=True) == [0]


def test_tracks_are_apart_and_rows_without_sequence_stay():
    one, other = moving([0, 10, 20]), moving([0, 10, 200], person=1)
    both = Samples.joined([one, other])
    assert kept(both[np.array([0, 3, 1, 4, 2, 5])]) == [0, 1, 5]
    assert kept(Samples.joined([one, moving([5, 10], sequence="run"), moving([5, 10], view="b")])) == [0, 3, 5]
    assert kept(moving([0, 0, 0], sequence="")) == [0, 1, 2]


def test_motion_counts_in_the_world_where_it_is_known():
    steps = [replace(CAMERA, translation=(150.0 * n, 0, 4000)) for n in range(6)]  # a person at rest, a moving camera
    assert kept(moving(np.zeros(6), camera=steps)) == [0]
    assert kept(moving(np.zeros(6), camera=steps, world_known=False)) == [0, 1, 2, 3, 4, 5]


def test_2d_motion_is_measured_by_the_box():
    points = np.random.default_rng(1).uniform(100, 300, (17, 2))
    points = np.repeat(points[None], 4, axis=0)
    points[:, 5, 0] += [0, 39, 41, 90]
    flat = Samples.of("coco_17", points2d=points, sequence="s", box=(0, 0, 200, 400), frame=range(4))
    assert kept(flat) == [0, 2, 3]
    assert kept(flat, box_share=0.2) == [0, 3]
    assert kept(replace(flat, box=np.full((4, 4), np.nan, np.float32)), box_share=2.0) == [0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), frames=st.integers(1, 400), pace=st.sampled_from([2.0, 20.0, 200.0]),
    strict=st.booleans(), memory=st.integers(1, 30), joints=st.integers(1, 3),
    cuts=st.lists(st.integers(1, 399), max_size=4),
)  # fmt: skip
def test_the_rule_frame_by_frame_gives_the_same_however_blocks_are_cut(
    seed, frames, pace, strict, memory, joints, cuts
):
    rng = np.random.default_rng(seed)
    points = np.cumsum(rng.normal(0, pace, (frames, 17, 3)), axis=0) + np.array([0, 0, 9000])
    points[rng.random((frames, 17)) < 0.1] = np.nan
    samples = Samples.of("coco_17", points=points, sequence="s", frame=range(frames))
    rule = Thinning(rule="since_any" if strict else "since_last", memory=memory, min_joints=joints)
    thinner = Thinner(rule)
    edges = [0, *sorted({cut for cut in cuts if cut < frames}), frames]
    found = np.concatenate([thinner.keep(samples[a:b]) for a, b in itertools.pairwise(edges)])
    assert np.flatnonzero(found).tolist() == plain(samples.points.astype(float), rule)


@pytest.mark.parametrize("rule", ["since_last", "since_any"])
def test_a_long_take_is_thinned_in_a_moment(rule):
    import time

    points = np.cumsum(np.random.default_rng(0).normal(0, 15, (20_000, 17, 3)), axis=0)
    samples = Samples.of("coco_17", points=points, sequence="s", frame=range(20_000))
    begun = time.perf_counter()
    found = kept(samples, rule=rule)
    assert 1000 < len(found) < 19_000
    assert time.perf_counter() - begun < 20
