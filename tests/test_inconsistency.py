"""Inconsistency between formats: zero where they agree, as large as what was put in, and blind to where a body is."""

from dataclasses import replace

import numpy as np
import pytest
from acae_poses import poses
from scipy.spatial.transform import Rotation

from skelbridge.bridge.acae import ACAE, Joints
from skelbridge.convert import Converter
from skelbridge.errors import InputError
from skelbridge.evaluate.inconsistency import converters_between, inconsistency

FORMATS = ("coco_17", "h36m_17")
SHIFT = np.array([3.0, -4.0, 12.0])


@pytest.fixture(scope="module")
def joints():
    return Joints.of(FORMATS)


@pytest.fixture(scope="module")
def converters(joints):
    return converters_between(joints)


@pytest.fixture(scope="module")
def acae(joints):
    """Latents are COCO's joints; those of Human3.6M are means of three of them."""
    encoder = np.eye(17, 34)
    rng = np.random.default_rng(0)
    means = np.zeros((17, 17))
    for row in means:
        row[rng.choice(17, 3, replace=False)] = 1 / 3
    names = tuple(f"latent_{i}" for i in range(17))
    return ACAE(joints, encoder, np.concatenate([np.eye(17), means]), names, np.arange(17), np.zeros((34, 3)))


@pytest.fixture
def true():
    return poses(FORMATS, 40, depth=4000)[1].astype(float)


def values(found):
    return [found.whole.value, found.across.value, found.depth.value]


def agreeing(points, converter):
    """Poses of which those in Human3.6M's format are converted from COCO's."""
    return np.concatenate([points[:, :17], converter(points[:, :17]).points], axis=1)


# -- reconstruction ---------------------------------------------------------------------------------------------------


def test_what_the_autoencoder_says_is_consistent_to_the_last_digits(joints, acae, true):
    found = inconsistency(acae.reconstruct(true), joints, acae, converters={})
    assert max(values(found.reconstruction)) < 1e-9
    assert found.conversion is None
    assert np.isnan(found.pairs).all()


def test_a_shift_of_one_format_is_found_whole_and_in_parts(joints, acae, true):
    """All latents are of COCO, so a shift of Human3.6M's joints stays as it is."""
    shifted = acae.reconstruct(true)
    shifted[:, 17:] += SHIFT
    found = inconsistency(shifted, joints, acae, converters={})
    assert values(found.by_format["h36m_17"]) == pytest.approx([13, 5, 12])
    assert values(found.by_format["coco_17"]) == pytest.approx([0, 0, 0], abs=1e-9)
    assert values(found.reconstruction) == pytest.approx([6.5, 2.5, 6])
    assert found.reconstruction.whole.joints == 40 * 34
    assert found.reconstruction.whole.poses == 40


def test_joints_that_draw_on_missing_joints_do_not_count(joints, acae, true):
    shifted = acae.reconstruct(true)
    shifted[:, 17:] += SHIFT
    uses = (acae.decoder != 0).sum(axis=0)
    shifted[0, uses.argmax()] = np.nan
    drawing = int(uses.max())
    assert drawing > 1
    found = inconsistency(shifted, joints, acae, converters={})
    assert found.reconstruction.whole.joints == 40 * 34 - drawing
    assert values(found.by_format["h36m_17"]) == pytest.approx([13, 5, 12])


# -- conversion -------------------------------------------------------------------------------------------------------


def test_converted_poses_agree_and_a_shift_is_found(joints, converters, true):
    there = ("coco_17", "h36m_17")
    consistent = agreeing(true, converters[there])
    one_way = {there: converters[there]}
    found = inconsistency(consistent, joints, converters=one_way)
    assert max(values(found.conversion)) < 1e-6
    assert found.reconstruction is None
    assert found.by_format == {}
    consistent[:, 17:] += SHIFT
    found = inconsistency(consistent, joints, converters=one_way)
    assert values(found.conversion) == pytest.approx([13, 5, 12])
    assert found.pairs[0, 1] == pytest.approx(13)
    assert np.isnan(found.pairs[[0, 1, 1], [0, 1, 0]]).all()


def test_the_measure_of_a_pair_is_the_distance_to_the_conversion(joints, converters, true):
    found = inconsistency(true, joints, converters=converters)
    for (a, b), where in {FORMATS: (0, 1), FORMATS[::-1]: (1, 0)}.items():
        converted = Converter(a, b)(true[:, joints.slices[a]]).points
        distance = np.linalg.norm(converted - true[:, joints.slices[b]], axis=-1)
        assert found.pairs[where] == pytest.approx(np.nanmean(distance))
    assert found.into_others("coco_17") == found.from_others("h36m_17") == found.pairs[0, 1]


def test_without_converters_they_are_made(joints, converters, true):
    made, given = inconsistency(true[:3], joints), inconsistency(true[:3], joints, converters=converters)
    np.testing.assert_array_equal(made.pairs, given.pairs)


def test_missing_joints_and_those_that_draw_on_them_do_not_count(joints, converters, true):
    there = {("coco_17", "h36m_17"): converters["coco_17", "h36m_17"]}
    points = agreeing(true, converters["coco_17", "h36m_17"])
    points[:, 17:] += SHIFT
    points[5, 20] = points[6, :17] = np.nan
    found = inconsistency(points, joints, converters=there)
    assert values(found.conversion) == pytest.approx([13, 5, 12])
    assert found.conversion.whole.joints == 40 * 17 - 1 - 17
    assert found.conversion.whole.poses == 39


# -- both -------------------------------------------------------------------------------------------------------------


def test_it_does_not_matter_where_a_body_is_or_how_it_is_turned(joints, acae, converters, true):
    points = true + np.random.default_rng(0).normal(0, 30, true.shape)
    turn = Rotation.random(random_state=0).as_matrix()
    here = inconsistency(points, joints, acae, converters=converters)
    there = inconsistency(points @ turn + np.array([500, -200, 3000]), joints, acae, converters=converters)
    assert there.reconstruction.whole.value == pytest.approx(here.reconstruction.whole.value)
    np.testing.assert_allclose(there.pairs, here.pairs, rtol=1e-6)
    aside = points @ Rotation.from_euler("z", 70, degrees=True).as_matrix() + SHIFT  # about the camera's axis
    aside = inconsistency(aside, joints, acae, converters=converters)
    assert values(aside.reconstruction) == pytest.approx(values(here.reconstruction))
    assert values(aside.conversion) == pytest.approx(values(here.conversion))


def test_twice_the_size_is_twice_the_inconsistency(joints, acae, converters, true):
    once = inconsistency(true, joints, acae, converters=converters)
    twice = inconsistency(2 * true, joints, acae, converters=converters)
    assert values(twice.reconstruction) == pytest.approx([2 * v for v in values(once.reconstruction)])
    np.testing.assert_allclose(twice.pairs, 2 * once.pairs)


def test_noise_lies_above_the_floor_of_true_poses(joints, acae, converters, true):
    noisy = true + np.random.default_rng(0).normal(0, 30, true.shape)
    found = inconsistency(noisy, joints, acae, truth=true[:15], converters=converters)
    alone = inconsistency(true[:15], joints, acae, converters=converters)
    assert found.floor.poses == 15
    assert found.floor.conversion.whole == alone.conversion.whole
    assert found.conversion.whole.value > found.floor.conversion.whole.value + 30
    assert found.reconstruction.whole.value > found.floor.reconstruction.whole.value


def test_groups_widen_the_standard_error_and_leave_the_mean(joints, acae, true):
    groups = np.arange(40) // 10
    noise = np.random.default_rng(0).normal(0, 60, (4, 34, 3)) * [[[0.5]], [[1]], [[1.5]], [[2]]]
    noisy = acae.reconstruct(true) + np.repeat(noise, 10, axis=0)
    single = inconsistency(noisy, joints, acae, converters={}).reconstruction.whole
    grouped = inconsistency(noisy, joints, acae, converters={}, groups=groups).reconstruction.whole
    assert grouped.value == pytest.approx(single.value)
    assert grouped.error > 2 * single.error


def test_the_report_says_what_was_measured(joints, acae, converters, true):
    shifted = acae.reconstruct(true)
    shifted[:, 17:] += SHIFT
    text = str(inconsistency(shifted, joints, acae, truth=acae.reconstruct(true), converters={}))
    assert "40 poses in 2 formats" in text
    assert "reconstruction                  6.5     2.5     6.0 ± 0.0  (true poses 0.0)" in text
    assert "h36m_17                      13.0     5.0    12.0" in text
    assert "conversion" not in text
    text = str(inconsistency(shifted, joints, converters=converters, truth=true))
    assert "reconstruction" not in text
    assert text.count("into others") == 2
    assert "conversion" in text
    assert text.count("(true poses") == 3


def test_what_does_not_fit_is_refused(joints, acae, converters, true):
    with pytest.raises(InputError, match=r"shape \(N, 34, 3\)"):
        inconsistency(true[:, :17], joints, acae)
    with pytest.raises(InputError, match="the autoencoder's joints"):
        inconsistency(true, joints, replace(acae, joints=Joints.of(FORMATS[::-1])))
    with pytest.raises(InputError, match="a converter"):
        inconsistency(true[:, :17], Joints.of("coco_17"), converters=converters)
