"""Fitting the autoencoder: errors recomputed, planted structure, losses, missing joints, streams, seeds."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from acae_poses import FORMATS, poses

pytest.importorskip("torch", reason="fitting needs torch (pip install skelbridge[fit])")

from skelbridge import skeleton
from skelbridge.bridge.acae import Joints, fit_acae
from skelbridge.bridge.acae.missing import filled_in
from skelbridge.bridge.acae.sample import gather

SIZE = (12, 4)


@pytest.fixture(scope="module")
def joints():
    return Joints.of(FORMATS)


@pytest.fixture(scope="module")
def points():
    return poses(FORMATS, 1500)[1]


@pytest.fixture(scope="module")
def unseen():
    return poses(FORMATS, 300, seed=77)[1].astype(float)


def distance(acae, points):
    """Mean distance of each joint from its reconstruction, (J,) mm."""
    return np.linalg.norm(acae.reconstruct(points) - points, axis=-1).mean(axis=0)


def test_the_held_out_error_is_that_of_the_last_poses(joints, points):
    acae = fit_acae(points, joints, SIZE, held_out=0.2)
    assert (acae.certificate["fitted_on"], acae.certificate["judged_on"]) == (1200, 300)
    last = points[1200:].astype(float)
    np.testing.assert_allclose(acae.held_out["error"], distance(acae, last), rtol=1e-3, atol=0.02)
    again = fit_acae(np.concatenate([points[:1200], 2 * last]), joints, SIZE, held_out=0.2)
    np.testing.assert_array_equal(again.encoder, acae.encoder)  # they were not looked at


def test_baselines_are_reported_beside_it(joints, points, unseen):
    acae = fit_acae(points, joints, SIZE, l1=0.05)
    errors = {name: values.mean() for name, values in acae.held_out.items()}
    assert errors["floor"] < errors["error"] < 1.1 * errors["start"]
    assert distance(acae, unseen).mean() == pytest.approx(errors["error"], rel=0.15)
    assert fit_acae(points, joints, SIZE, held_out=0).held_out == {}


@pytest.mark.parametrize("loss", ["l1", "huber", "l2"])
@pytest.mark.parametrize("projection", [False, True])
def test_the_objective_is_the_papers(joints, loss, projection):
    points = poses(FORMATS, 300, depth=4000)[1]
    l1, delta = (0.3, 0.2), 8.0
    acae = fit_acae(points, joints, SIZE, l1=l1, loss=loss, delta=delta, projection=projection, prune=0, held_out=0,
                    importance="joints")  # fmt: skip
    given, made = points.astype(float), acae.reconstruct(points.astype(float))
    if projection:
        middle = given[..., 2:].mean(axis=1, keepdims=True)
        given, made = (p[..., :2] / p[..., 2:] * middle for p in (given, made))
    off = np.abs(given - made)
    rho = {
        "l1": off, "l2": off**2 / (2 * delta), "huber": np.where(off < delta, off**2 / (2 * delta), off - delta / 2),
    }[loss]  # fmt: skip
    value = rho.mean() / 1000 + l1[0] * np.abs(acae.encoder).mean() + l1[1] * np.abs(acae.decoder).mean()
    assert acae.certificate["objective_m"] == pytest.approx(value, rel=2e-3)
    assert distance(acae, points.astype(float)).mean() < 25


def test_each_loss_is_best_by_its_own_measure(joints, points):
    off = {}
    for loss in ("l1", "l2"):
        acae = fit_acae(points, joints, SIZE, l1=0.005, loss=loss, delta=5.0, held_out=0, prune=0, importance="joints")
        off[loss] = acae.reconstruct(points.astype(float)) - points
    assert np.abs(off["l1"]).mean() < np.abs(off["l2"]).mean()
    assert np.square(off["l2"]).mean() < np.square(off["l1"]).mean()


def planted(joints, count, seed):
    """Poses whose joints are all convex combinations, mirrored alike, of 12 sided and 2 central joints."""
    rng = np.random.default_rng(seed)
    left = np.flatnonzero(joints.mirror > np.arange(len(joints)))
    central = np.flatnonzero(joints.mirror == np.arange(len(joints)))
    hidden = [*left[::4][:6], *joints.mirror[left[::4][:6]], *central[:2]]
    swap = np.array([*range(6, 12), *range(6), 12, 13])
    weights = np.random.default_rng(0).dirichlet(np.full(14, 0.15), size=len(joints))
    weights[joints.mirror[left]] = weights[left][:, swap]
    weights[central] = (weights[central] + weights[central][:, swap]) / 2
    weights[hidden] = np.eye(14)
    return (weights @ (rng.normal(size=(count, 14, 3)) * 300)).astype(np.float32)


@pytest.mark.parametrize("l1", [0.02, 0.2, 2.0])
def test_planted_structure_is_recovered(joints, l1):
    fresh = planted(joints, 300, 2).astype(float)
    found = fit_acae(planted(joints, 1500, 1), joints, latents=(12, 2), l1=l1)
    assert distance(found, fresh).mean() < 3  # of joints that are about 400 mm from the middle
    assert max(found.negative_share()) < 0.01
    too_few = fit_acae(planted(joints, 1500, 1), joints, latents=(10, 2), l1=l1)
    assert distance(too_few, fresh).mean() > 10


def test_projections_do_not_learn_what_depths_disagree_about(joints):
    truth = poses(FORMATS, 1500, depth=5000)[1].astype(float)
    rng = np.random.default_rng(3)
    pseudo = truth.copy()
    for own in joints.slices.values():  # each format's head of a network errs in depth for itself
        pseudo[:, own, 2] += (
            rng.normal(size=(len(truth), 1)) * 60 + rng.normal(size=(len(truth), own.stop - own.start)) * 40
        )
    pseudo[..., :2] *= pseudo[..., 2:] / truth[..., 2:]  # what the image shows is right
    flat, deep = (fit_acae(pseudo, joints, SIZE, l1=0.1, projection=p, held_out=0) for p in (True, False))
    fresh = poses(FORMATS, 300, seed=5)[1].astype(float)
    assert distance(flat, fresh).mean() < 0.9 * distance(deep, fresh).mean()


def test_missing_joints_cost_little(joints, points, unseen):
    points = points[:600]
    some = np.where(np.random.default_rng(0).random((600, 58, 1)) < 0.25, np.nan, points)
    complete, gaps = fit_acae(points, joints, SIZE, l1=0.1), fit_acae(some, joints, SIZE, l1=0.1)
    assert distance(gaps, unseen).mean() < 1.15 * distance(complete, unseen).mean()
    assert gaps.held_out["error"].mean() == pytest.approx(distance(gaps, unseen).mean(), rel=0.2)


def test_formats_that_come_in_turns_are_joined(joints, points, unseen):
    """Every pose lacks one of three formats."""
    points = points[:600]
    some = points.copy()
    for number, own in enumerate(joints.slices.values()):
        some[number::3, own] = np.nan
    acae = fit_acae(some, joints, SIZE, l1=0.1)
    assert distance(acae, unseen).mean() < 1.5 * distance(fit_acae(points, joints, SIZE, l1=0.1), unseen).mean()


def test_gaps_are_filled_in_near_the_truth(joints, points):
    apart = np.linalg.norm(points - points.mean(axis=1, keepdims=True), axis=-1).mean()
    rng, turn = np.random.default_rng(0), np.arange(600) % 3
    of_format = np.concatenate([np.full(own.stop - own.start, i) for i, own in enumerate(joints.slices.values())])
    for gaps, share in ((rng.random((600, 58)) < 0.25, 0.04), (turn[:, None] == of_format, 0.08)):
        some = np.where(gaps[..., None], np.nan, points[:600])
        filled = filled_in(some)
        np.testing.assert_array_equal(filled[~gaps], points[:600][~gaps])
        assert np.linalg.norm(filled - points[:600], axis=-1)[gaps].mean() < share * apart


def copy_of(name, number):
    card = skeleton(name)
    return card.model_copy(update={"id": f"{card.id}_{number}", "aliases": ()})


def test_all_formats_twice_change_nothing(joints, points):
    twice = Joints.of([*FORMATS, *(copy_of(name, 2) for name in FORMATS)])
    once, double = fit_acae(points, joints, SIZE), fit_acae(np.concatenate([points, points], axis=1), twice, SIZE)
    np.testing.assert_allclose(double.decoder[:58], once.decoder, atol=1e-4)
    np.testing.assert_array_equal(double.decoder[58:], double.decoder[:58])
    np.testing.assert_allclose(double.encoder[:, :58], once.encoder / 2, atol=1e-4)
    assert double.certificate["places"] == once.certificate["places"]


def test_a_format_many_times_over_does_not_drown_the_others(joints, points):
    copies = [copy_of("coco_17", number) for number in range(2, 10)]
    many, own = Joints.of([*FORMATS, *copies]), joints.slice_of("coco_17")
    drowned = np.concatenate([points, *[points[:, own]] * 8], axis=1)
    once = fit_acae(points, joints, SIZE).held_out["error"]
    by_places = fit_acae(drowned, many, SIZE).held_out["error"][:58]
    by_joints = fit_acae(drowned, many, SIZE, importance="joints").held_out["error"][:58]
    others = slice(17, None)
    assert by_places[others].mean() < 1.15 * once[others].mean()
    assert by_places[others].mean() < by_joints[others].mean()


def test_importance_of_ones_own(joints, points):
    face = np.array(["eye" in name or "ear" in name or "nose" in name for name in joints.names])
    matters = fit_acae(points, joints, SIZE, importance=np.where(face, 20.0, 1.0)).held_out["error"][face]
    nothing = fit_acae(points, joints, SIZE, importance=np.where(face, 0.0, 1.0)).held_out["error"][face]
    assert matters.mean() < 0.6 * nothing.mean()


def test_coincident_joints_share_their_weight(joints, points):
    h36m, smpl = joints.slice_of("h36m_17"), joints.slice_of("smpl_24")
    moved = points.copy()
    pairs = [(h36m.start + i, smpl.start + j) for i, j in ((4, 1), (1, 2))]  # both hips of smpl on those of h36m
    names = [(joints.names[i].split("/")[1], joints.names[j].split("/")[1]) for i, j in pairs]
    assert names == [("left_hip", "left_hip"), ("right_hip", "right_hip")]
    for i, j in pairs:
        moved[:, j] = moved[:, i]
    acae = fit_acae(moved, joints, SIZE)
    for i, j in pairs:
        np.testing.assert_array_equal(acae.decoder[i], acae.decoder[j])
        np.testing.assert_array_equal(acae.encoder[:, i], acae.encoder[:, j])


@pytest.mark.parametrize("sample", [None, 400])
def test_a_stream_gives_the_bits_of_the_array(joints, points, sample):
    def blocks():
        for start, stop in ((0, 1), (1, 900), (900, 900), (900, 1500)):
            yield points[start:stop]

    whole, stream = (fit_acae(p, joints, SIZE, sample=sample) for p in (points, blocks()))
    np.testing.assert_array_equal(stream.encoder, whole.encoder)
    np.testing.assert_array_equal(stream.decoder, whole.decoder)
    assert stream.certificate["poses"] == 1500
    assert stream.certificate["fitted_on"] + stream.certificate["judged_on"] == (sample or 1500)


def test_a_long_stream_takes_no_more_memory_than_its_sample(joints, points):
    def blocks(count):
        for _ in range(count):
            yield points

    def peak(count):
        tracemalloc.start()
        gather(blocks(count), joints, held_out=0.1, size=1500, seed=0)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(40) < peak(4) + points.nbytes


def test_a_sample_is_drawn_from_the_whole_stream(joints, points):
    numbered = np.broadcast_to(np.arange(6000, dtype=np.float32)[:, None, None], (6000, 58, 3))
    sample = gather(iter(np.array_split(numbered, 7)), joints, held_out=0.1, size=1000, seed=0)
    number = np.concatenate([sample.fit, sample.held_out])[:, 0, 0]
    assert len(np.unique(number)) == 1000
    assert (np.diff(number) > 0).all()  # in the order of the stream
    counts = np.histogram(number, bins=6, range=(0, 6000))[0]
    assert np.abs(counts - 1000 / 6).max() < 50
    assert sample.seen == 6000


def test_the_same_seed_gives_the_same_bits(joints, points):
    first, second, other = (fit_acae(points, joints, SIZE, seed=seed) for seed in (3, 3, 4))
    for name in ("encoder", "decoder", "mean_pose"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.latents == second.latents
    assert abs(other.certificate["objective_m"] / first.certificate["objective_m"] - 1) < 0.01


def test_torch_and_numpy_poses_give_the_same_bits(joints, points):
    import torch

    first, second = fit_acae(points, joints, SIZE), fit_acae(torch.tensor(points), joints, SIZE)
    np.testing.assert_array_equal(first.encoder, second.encoder)


def test_small_weights_are_pruned_and_the_rest_fitted_anew(joints, points):
    kept, pruned = (fit_acae(points, joints, SIZE, l1=0.1, prune=prune) for prune in (0, 0.005))
    for weights, before in zip(pruned.sparsity, kept.sparsity, strict=True):
        assert weights.mean() < before.mean()
    assert distance(pruned, points.astype(float)).mean() < 1.1 * distance(kept, points.astype(float)).mean()
    for weights in (pruned.encoder, pruned.decoder):
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)


def test_no_side_and_no_middle_are_possible(joints, points):
    only_pairs, only_central = (fit_acae(points, joints, latents) for latents in ((16, 0), (0, 8)))
    assert (only_pairs.latent_mirror == [*range(8, 16), *range(8)]).all()
    assert (only_central.latent_mirror == np.arange(8)).all()
    assert (only_central.encoder[:, joints.mirror] == only_central.encoder).all()
    assert replace(only_pairs, held_out={}).report()
