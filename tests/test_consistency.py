"""The objectives of training: their totals against plain numpy, what learns from what, and several processes."""

from dataclasses import replace

import numpy as np
import numpy_losses as plain
import pytest

pytest.importorskip("torch", reason="losses need torch (pip install skelbridge[train])")
import torch
from acae_poses import FORMATS, poses
from loss_batches import JOINTS, LATENTS, affine_rows, batch, small_autoencoder
from torch import distributed, multiprocessing, nn

from skelbridge.bridge.acae import ACAE
from skelbridge.errors import InputError
from skelbridge.estimator.autoencoder import Autoencoder
from skelbridge.estimator.consistency import ConsistencySettings, Objective
from skelbridge.estimator.examples import Examples
from skelbridge.estimator.losses import LossSettings
from skelbridge.estimator.names2d import NAMES_2D, names2d_matrix
from skelbridge.estimator.network import Prediction

VARIANTS = ("none", "output", "latents", "hybrid")
GROUPS = plain.groups_of(JOINTS.names, NAMES_2D)
LATE = 5001  # the first step at which every term counts


def objective(variant, autoencoder=None, losses=None, **consistency):
    """The objective of a variant over JOINTS, in float64."""
    autoencoder = autoencoder or small_autoencoder()
    settings = losses or LossSettings()
    made = Objective(settings, names2d_matrix(JOINTS), variant, autoencoder, ConsistencySettings(**consistency))
    made.names = made.names.double()
    return made


def predicted(made, kind=torch.float64):
    """The predictions of a batch, from leaves that take gradients."""
    joints, latents = (torch.tensor(a, dtype=kind, requires_grad=True) for a in (made.joints, made.latents))
    return Prediction(joints=joints, latents=latents)


def plain_total(variant, made, step, **weights):
    """The total of a batch by the numpy version."""
    encoder, decoder = (W.double().numpy() for W in (small_autoencoder().encoder, small_autoencoder().decoder))
    (K3, K2), joints, latents = (made.parts(a) for a in (made.intrinsics, made.joints, made.latents))
    labels = ((made.truth, K3), (made.pixels, K2), made.side, GROUPS, step)
    if variant == "none":
        return plain.initial_total(joints, *labels)
    if variant == "output":
        return plain.output_total(joints, *labels, encoder, decoder, **weights)
    if variant == "latents":
        return plain.latents_total(latents, *labels, decoder)
    return plain.hybrid_total(joints, latents, *labels, encoder, decoder, **weights)


# -- totals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("step", [0, 5000, 5001])
@pytest.mark.parametrize(("deep", "flat"), [(5, 4), (4, 0), (0, 4)])
def test_totals_are_those_of_plain_numpy(variant, step, deep, flat):
    made = batch(seed=deep + step, deep=deep, flat=flat)
    expected = plain_total(variant, made, step)
    assert expected > 0.01
    found = objective(variant)(predicted(made), made.examples(), step)
    assert found["loss"].item() == pytest.approx(expected, rel=1e-10)


def test_absolute_and_teacher_terms_begin_after_their_steps():
    made = batch()
    late = {variant: plain_total(variant, made, LATE) for variant in VARIANTS}
    for variant, expected in late.items():
        assert expected != pytest.approx(plain_total(variant, made, 5000), rel=1e-3)
        early = objective(variant, losses=LossSettings(absolute_from=3), teacher_from=3)
        assert early(predicted(made), made.examples(), 4)["loss"].item() == pytest.approx(expected, rel=1e-10)
        assert early(predicted(made), made.examples(), 3)["loss"].item() != pytest.approx(expected, rel=1e-3)


def test_weights_are_those_of_plain_numpy():
    made, weights = batch(), {"weight": 0.3, "weight_2d": 1.7}
    found = objective("output", **weights)(predicted(made), made.examples(), LATE)["loss"]
    assert found.item() == pytest.approx(plain_total("output", made, LATE, **weights), rel=1e-10)
    found = objective("hybrid", **weights, reconstructed=0.6, teacher=0.4)(predicted(made), made.examples(), LATE)
    expected = plain_total("hybrid", made, LATE, **weights, through=0.6, teacher=0.4)
    assert found["loss"].item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_terms_are_reported_unweighted_and_without_gradient(variant):
    made = batch()
    found = objective(variant)(predicted(made), made.examples(), LATE)
    assert found.pop("loss").requires_grad
    assert not any(value.requires_grad for value in found.values())
    result = plain.affine(small_autoencoder().decoder.double().numpy(), made.latents)
    (joints3, joints2) = made.parts(made.joints if variant in ("none", "output") else result)
    assert found["absolute"].item() == pytest.approx(plain.absolute_loss(joints3, made.truth), rel=1e-10)
    expected = plain.loss_2d(joints2, made.pixels, made.parts(made.intrinsics)[1], made.side, GROUPS)
    assert found["weak_2d"].item() == pytest.approx(expected, rel=1e-10)
    assert ("consistency_3d" in found) == ("consistency_2d" in found) == (variant in ("output", "hybrid"))
    assert ("teacher_3d_relative" in found) == (variant == "hybrid")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_result_is_the_joints_or_the_decoded_latents(variant):
    made = batch()
    prediction, auto = predicted(made), small_autoencoder()
    expected = prediction.joints if variant in ("none", "output") else auto.decode(prediction.latents)
    assert torch.equal(objective(variant, auto).points(prediction), expected)


# -- consistency ---------------------------------------------------------------------------------------------------


def test_poses_in_the_span_of_the_latents_are_consistent():
    made, rng = batch(), np.random.default_rng(1)
    decoder = affine_rows(rng, len(JOINTS), LATENTS)
    auto = Autoencoder(np.linalg.pinv(decoder), decoder)  # decoding and encoding gives the same latents
    made.joints = decoder @ made.latents
    found = objective("output", auto)(predicted(made), made.examples(), LATE)
    assert found["consistency_3d"].item() < 1e-5 > found["consistency_2d"].item()
    made.joints[0, 0, 0] += 100
    assert objective("output", auto)(predicted(made), made.examples(), LATE)["consistency_3d"].item() > 1e-4


def test_consistency_does_not_see_where_people_are_nor_what_is_labelled():
    made, other = batch(), batch()
    other.joints = other.joints + np.random.default_rng(0).normal(0, 5000, (len(made.joints), 1, 3))
    other.truth[:] = np.nan
    first, second = (objective("output")(predicted(b), b.examples(), LATE) for b in (made, other))
    for term in ("consistency_3d", "consistency_2d"):
        assert second[term].item() == pytest.approx(first[term].item(), rel=1e-10)


def test_gradients_of_consistency_flow_through_both_sides():
    made, auto = batch(deep=5, flat=0), small_autoencoder()
    made.truth[:] = np.nan
    prediction = predicted(made)
    objective("output", auto)(prediction, made.examples(), LATE)["loss"].backward()
    change = np.eye(len(JOINTS)) - (auto.decoder.double() @ auto.encoder.double()).numpy()
    expected = change.T @ np.sign(change @ made.joints) / (1000 * made.joints.size)
    np.testing.assert_allclose(prediction.joints.grad.numpy(), expected, atol=1e-12)


def gradients(made, variant="hybrid", **settings):
    """The gradients of joints and latents in a batch."""
    prediction = predicted(made)
    objective(variant, **settings)(prediction, made.examples(), LATE)["loss"].backward()
    return prediction.joints.grad, prediction.latents.grad


def test_the_teacher_does_not_learn_from_the_student():
    (joints, latents), (alone, untaught) = gradients(batch()), gradients(batch(), teacher=0)
    assert torch.equal(joints, alone)
    assert not torch.allclose(latents, untaught)
    assert not torch.allclose(gradients(batch(), stop_gradient=False)[0], joints)


def test_without_weight_the_output_is_trained_as_if_there_were_no_autoencoder():
    made = batch()
    (regular, _), (without, _) = gradients(made, "output", weight=0), gradients(made, "none")
    assert torch.equal(regular, without)
    assert not torch.allclose(gradients(made, "output")[0], without)


def test_gradients_are_finite_whatever_is_predicted():
    made = batch()
    made.joints[..., 2], made.latents[..., 2] = 0, -50
    for variant in VARIANTS:
        prediction = predicted(made, torch.float32)
        found = objective(variant)(prediction, made.examples(torch.float32), LATE)
        found["loss"].backward()
        assert all(value.isfinite() for value in found.values())
        assert all(p.grad is None or p.grad.isfinite().all() for p in (prediction.joints, prediction.latents))


# -- precision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_are_in_single_precision_under_autocast(variant):
    made, auto = batch(), small_autoencoder()
    made_objective = Objective(LossSettings(), names2d_matrix(JOINTS), variant, auto)
    prediction = predicted(made, torch.float32)
    expected = made_objective(prediction, made.examples(torch.float32), LATE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = made_objective(prediction, made.examples(torch.float32), LATE)
        points = made_objective.points(prediction)
    assert torch.equal(points, made_objective.points(prediction))
    assert {k: (v.item(), v.dtype) for k, v in found.items()} == {
        k: (v.item(), torch.float32) for k, v in expected.items()
    }
    half = Prediction(joints=prediction.joints.half(), latents=prediction.latents.half())
    assert made_objective(half, made.examples(torch.float32), LATE)["loss"].dtype == torch.float32


# -- the autoencoder -----------------------------------------------------------------------------------------------


def fitted_acae():
    """An autoencoder of three formats with random weights, and poses of these formats."""
    joints, points = poses(FORMATS, 4, depth=4000)
    rng = np.random.default_rng(0)
    encoder, decoder = affine_rows(rng, 6, len(joints)), affine_rows(rng, len(joints), 6)
    names = tuple(f"latent_{i}" for i in range(6))
    return ACAE(joints, encoder, decoder, names, np.arange(6), np.zeros((len(joints), 3))), points


def test_the_autoencoder_is_that_of_the_fit():
    acae, points = fitted_acae()
    auto = Autoencoder.of(acae)
    for dims in (2, 3):
        pose = points[..., :dims].astype(float)
        np.testing.assert_allclose(auto.encode(torch.tensor(pose)), acae.encode(pose), rtol=1e-9)
        np.testing.assert_allclose(auto.decode(auto.encode(torch.tensor(pose))), acae.reconstruct(pose), rtol=1e-9)
    assert auto.reconstruct(torch.tensor(points[0])).shape == points[0].shape
    assert not list(auto.parameters())
    assert set(auto.state_dict()) == {"encoder", "decoder"}


def test_the_autoencoder_is_as_exact_far_away_as_float32_can_be():
    rng, shift = np.random.default_rng(0), 2.0**20  # mm; float32 counts in eighths of a millimetre there
    rows = [weights / weights.sum(axis=1, keepdims=True) for weights in (rng.random((6, 200)), rng.random((200, 6)))]
    auto, points = Autoencoder(*rows), torch.tensor(rng.integers(-900, 900, (4, 200, 3))).float()
    near, far = auto.encode(points), auto.encode(points + shift)
    torch.testing.assert_close(far - shift, near, atol=0.07, rtol=0)
    torch.testing.assert_close(auto.decode(far) - shift, auto.decode(far - shift), atol=0.07, rtol=0)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="decoder"):
        Autoencoder(np.ones((3, 5)), np.ones((3, 5)))
    with pytest.raises(InputError, match="'output'"):
        Objective(LossSettings(), names2d_matrix(JOINTS), "output")
    made = batch()
    for variant, missing in (("none", "joints"), ("latents", "latents"), ("hybrid", "joints"), ("hybrid", "latents")):
        with pytest.raises(InputError, match=missing):
            objective(variant)(replace(predicted(made), **{missing: None}), made.examples(), 0)


# -- several processes ---------------------------------------------------------------------------------------------


class Shared(nn.Module):
    """Predictions of a batch, all moved by one trained shift, and what is minimised."""

    def __init__(self, variant, made):
        super().__init__()
        self.fixed, self.objective = predicted(made), objective(variant)
        self.shift = nn.Parameter(torch.linspace(-20, 20, len(JOINTS) * 3, dtype=torch.float64).reshape(-1, 3))

    def forward(self, examples):
        part = examples.numbers
        joints = self.fixed.joints.detach()[part] + self.shift
        latents = self.fixed.latents.detach()[part] + self.shift[:LATENTS]
        return self.objective(Prediction(joints=joints, latents=latents), examples, LATE)


def part_of(examples, deep, flat):
    """The examples of one process: some with 3D labels, some without, by number."""
    flat_places = [n - examples.deep for n in flat]
    n = torch.tensor([*deep, *flat], dtype=torch.int64)
    return Examples(
        examples.images[n], examples.intrinsics[n], examples.points[deep], examples.points2d[flat_places], n
    )


def in_process(rank, where, parts, results):
    """Losses and gradient of one process of two that share a batch."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{where}", rank=rank, world_size=2)
    made, found = batch(), {}
    for variant in VARIANTS:
        module = nn.parallel.DistributedDataParallel(Shared(variant, made))
        losses = module(part_of(made.examples(), *parts[rank]))
        losses["loss"].backward()
        found[variant] = {k: v.item() for k, v in losses.items()}, module.module.shift.grad.numpy()
    torch.save(found, f"{results}/{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_train_as_one(tmp_path):
    made = batch()
    parts = (([0, 1, 2, 3, 4], [5]), ([], [6, 7, 8]))  # one process has all 3D labels
    multiprocessing.spawn(in_process, (tmp_path / "meeting", parts, tmp_path), nprocs=2)
    for variant in VARIANTS:
        alone = Shared(variant, made)
        losses = alone(made.examples())
        losses["loss"].backward()
        for rank in range(2):
            found, gradient = torch.load(tmp_path / f"{rank}.pt", weights_only=False)[variant]
            assert found == pytest.approx({k: v.item() for k, v in losses.items()}, rel=1e-12)
            np.testing.assert_allclose(gradient, alone.shift.grad.numpy(), rtol=1e-9, atol=1e-15)
