"""Renaming, the frozen baseline, and the measures of fidelity."""

import numpy as np
import pytest

from skelbridge.bridge import MomentAccumulator, rest_body, shipped_bridge
from skelbridge.convert import Converter
from skelbridge.evaluate.fidelity import on_hidden_joints, on_moments, rms
from skelbridge.evaluate.renaming import rename, renaming_weights
from skelbridge.landmarks import landmarks
from skelbridge.skeletons import formats, skeleton


def test_renaming_copies_namesakes_and_takes_middles():
    source, target = skeleton("coco_17"), skeleton("h36m_17")
    x = np.random.default_rng(0).normal(size=(4, 17, 3))
    y = rename(x, source, target)
    np.testing.assert_array_equal(y[:, target.index("left_knee")], x[:, source.index("left_knee")])
    for joint, part in [("pelvis", "hip"), ("neck", "shoulder")]:
        middle = (x[:, source.index(f"left_{part}")] + x[:, source.index(f"right_{part}")]) / 2
        np.testing.assert_allclose(y[:, target.index(joint)], middle)
    assert np.isnan(y[:, target.index("spine")]).all()


def test_renaming_prefers_the_namesake_and_falls_back_where_it_is_missing():
    card = skeleton("h36m_17")
    x = np.random.default_rng(0).normal(size=(2, 17, 3))
    x[1, card.index("pelvis")] = np.nan
    y = rename(x, card, card)
    np.testing.assert_array_equal(y[0], x[0])
    hips = x[1, [card.index("left_hip"), card.index("right_hip")]].mean(axis=0)
    np.testing.assert_allclose(y[1, card.index("pelvis")], hips)


def test_renaming_weights_say_what_rename_does():
    x = np.random.default_rng(1).normal(size=(3, 33, 3))
    source = skeleton("mediapipe_pose_33")
    for target in formats()[::6]:
        W = renaming_weights(source, target)
        np.testing.assert_allclose(np.einsum("ts,nsd->ntd", W, x), rename(x, source, target), atol=1e-12)


def random_bodies(count, seed):
    """Landmarks of random affine images of the rest body: bodies in the moments' sense."""
    rng = np.random.default_rng(seed)
    rest = rest_body().landmarks
    return rest @ (np.eye(3) + rng.normal(size=(count, 3, 3)) * 0.1) + rng.normal(size=(count, len(rest), 3)) * 10


def test_errors_from_moments_are_those_of_converting_the_points():
    points = random_bodies(300, 0)
    accumulator = MomentAccumulator(np.arange(len(landmarks().names)))
    accumulator.add(points, np.full(300, 1700.0))
    c = Converter("coco_17", "smpl_24")
    pair = on_moments(c, accumulator.result())
    out = c(c.source.placement @ points).points
    direct = np.sqrt(np.mean(np.sum((out - c.target.placement @ points) ** 2, axis=-1), axis=0))
    np.testing.assert_allclose(pair.ours, direct, rtol=1e-6, atol=1e-4)
    renamed = rename(c.source.placement @ points, c.source, c.target)
    known = np.sqrt(np.mean(np.sum((renamed - c.target.placement @ points) ** 2, axis=-1), axis=0))
    np.testing.assert_allclose(rms(pair.renaming), rms(known[np.isfinite(pair.ours)]), rtol=1e-6)


def test_nobody_is_better_than_the_floor_of_the_same_bodies():
    M = shipped_bridge().moments
    for a, b in [("coco_17", "h36m_17"), ("smpl_24", "coco_17"), ("h36m_17", "kinect_v2_25")]:
        pair = on_moments(Converter(a, b), M)
        assert (pair.floor[np.isfinite(pair.ours)] <= pair.ours[np.isfinite(pair.ours)] + 1e-3).all()
        np.testing.assert_allclose(pair.ours, pair.expected_bridge, atol=0.05)
        assert rms(pair.ours_shared) < rms(pair.renaming) / 2


def test_hidden_joints_are_measured_and_shown_ones_are_not():
    c = Converter("h36m_17", "h36m_17", max_error=1e9)
    poses = c.source.placement @ random_bodies(50, 1)
    shown = [name for name in c.source.names if name not in ("pelvis", "spine", "left_wrist")]
    pair = on_hidden_joints(c, poses, shown, others=c.source.placement @ random_bodies(400, 2))
    hidden = ~np.isin(c.source.names, shown)
    assert np.isfinite(pair.ours[hidden]).all()
    assert np.isnan(pair.ours[~hidden]).all()
    assert np.isfinite(pair.floor[hidden]).all()
    assert np.isfinite(pair.renaming[c.source.index("pelvis")])
    assert np.isnan(pair.renaming[c.source.index("spine")])


def test_converting_beats_renaming_on_real_people(real):
    """The CMU recordings, which the shipped bridge has not seen; the same command as the benchmark's."""
    fidelity = pytest.importorskip("benchmarks.fidelity", reason="the benchmark needs the extra [body]")
    people = fidelity.recordings(real / "cmu_mocap")["cmu_mocap_31"]
    used = {motion["clip"] for motion in shipped_bridge().certificate["motions"]}
    assert not used & {file.stem for file in (real / "cmu_mocap").rglob("*.amc")}
    assert len(people) == 2
    for clips in people.values():
        own, poses = skeleton("cmu_mocap_31").prior(), np.concatenate(clips)[::10]  # the shipped places know them
        pair = fidelity.measure(own, [*fidelity.LIMB_JOINTS, "head"], poses, None)
        assert rms(pair.ours_shared) < 0.6 * rms(pair.renaming)
        assert rms(pair.ours) < rms(pair.expected) * 1.25
