"""The autoencoder as a map: rows that sum to one, what it commutes with, its numbers, its kinds of arrays."""

import numpy as np
import pytest
from acae_poses import FORMATS, poses, turns
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="fitting needs torch (pip install skelbridge[fit])")
import torch

from skelbridge.bridge.acae import ACAE, Joints, fit_acae
from skelbridge.errors import InputError


@pytest.fixture(scope="module")
def acae():
    joints, points = poses(FORMATS, 1500)
    return fit_acae(points, joints, latents=(12, 4), l1=0.2)


@pytest.fixture(scope="module")
def some():
    return poses(FORMATS, 40, seed=9)[1].astype(float)


def of_weights(encoder, decoder, joints, latent_mirror):
    """An autoencoder of given weights."""
    names = tuple(f"latent_{i}" for i in range(len(encoder)))
    return ACAE(joints, encoder, decoder, names, np.asarray(latent_mirror), np.zeros((len(joints), 3)))


def affine_rows(rng, rows, columns):
    """Random rows that sum to one, positive and negative."""
    weights = rng.normal(size=(rows, columns))
    return weights + (1 - weights.sum(axis=1, keepdims=True)) / columns


def test_rows_sum_to_one(acae):
    for weights in (acae.encoder, acae.decoder):
        assert weights.dtype == np.float64
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)


def test_weights_are_mirror_images_of_themselves_to_the_last_bit(acae):
    joint, latent = acae.joints.mirror, acae.latent_mirror
    assert (acae.encoder[latent][:, joint] == acae.encoder).all()
    assert (acae.decoder[joint][:, latent] == acae.decoder).all()


def test_latents_are_listed_left_right_central(acae):
    assert (acae.latent_mirror == [*range(6, 12), *range(6), *range(12, 16)]).all()
    assert acae.pairs == 6
    assert (acae.mean_latents[:6, 0] > 0).all()
    np.testing.assert_allclose(acae.mean_latents[6:12], acae.mean_latents[:6] * [-1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(acae.mean_latents[12:, 0], 0, atol=1e-6)
    for group in (acae.mean_latents[:6], acae.mean_latents[12:]):
        assert (np.diff(group[:, 1]) <= 0).all()  # from the head down


def test_latents_are_called_after_the_body(acae):
    assert len(set(acae.latents)) == 16
    assert all(name.startswith("left_") for name in acae.latents[:6])
    assert all(name == acae.latents[i].replace("left_", "right_") for i, name in enumerate(acae.latents[6:12]))
    assert not any(name.startswith(("left_", "right_")) for name in acae.latents[12:])


def test_the_latents_are_a_format_whose_joints_lie_where_the_latents_are(acae):
    from skelbridge.bridge.file import rest_body

    card = acae.skeleton
    assert card.names == acae.latents
    np.testing.assert_allclose(card.placement @ rest_body().landmarks, acae.mean_latents, atol=1e-3)
    assert (card.mirror_index == acae.latent_mirror).all()


def test_every_affine_map_of_space_goes_through(acae, some):
    rng = np.random.default_rng(2)
    shears = rng.normal(size=(40, 3, 3))
    for linear in (turns(40, rng), -turns(40, rng), shears):
        assert np.linalg.cond(linear).max() < 1e6
        offset = rng.normal(size=(40, 1, 3)) * 3000
        moved = some @ linear + offset
        scale = np.abs(moved).max()
        for through in (acae.encode, acae.reconstruct):
            np.testing.assert_allclose(through(moved), through(some) @ linear + offset, atol=1e-12 * scale)


def test_the_mirror_image_of_a_pose_has_the_mirrored_latents(acae, some):
    flip = np.array([-1.0, 1, 1])
    mirrored = some[:, acae.joints.mirror] * flip
    np.testing.assert_allclose(acae.encode(mirrored), acae.encode(some)[:, acae.latent_mirror] * flip, atol=1e-9)
    np.testing.assert_allclose(
        acae.reconstruct(mirrored), acae.reconstruct(some)[:, acae.joints.mirror] * flip, atol=1e-9
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_the_l1_norm_of_a_row_is_one_and_twice_its_negative_part(seed, pairs, central):
    rng = np.random.default_rng(seed)
    joints = Joints.of("coco_17")
    L = 2 * pairs + central
    mirror = [*range(pairs, 2 * pairs), *range(pairs), *range(2 * pairs, L)]
    acae = of_weights(affine_rows(rng, L, 17), affine_rows(rng, 17, L), joints, mirror)
    for weights, negative in zip((acae.encoder, acae.decoder), acae.negative_mass, strict=True):
        np.testing.assert_allclose(np.abs(weights).sum(axis=1), 1 + 2 * negative, rtol=1e-12)
        assert (negative >= 0).all()


def test_the_same_holds_for_fitted_weights(acae):
    for weights, negative in zip((acae.encoder, acae.decoder), acae.negative_mass, strict=True):
        np.testing.assert_allclose(np.abs(weights).sum(axis=1), 1 + 2 * negative, rtol=1e-12)


def test_negative_mass_and_sparsity_of_weights_known_by_heart():
    encoder = np.zeros((2, 17))
    encoder[0, 0], encoder[1, :3] = 1, [1.5, -0.25, -0.25]
    decoder = np.tile([0.5, 0.5], (17, 1))
    decoder[3] = [3, -2]
    acae = of_weights(encoder, decoder, Joints.of("coco_17"), [0, 1])
    np.testing.assert_array_equal(acae.negative_mass.encoder, [0, 0.5])
    np.testing.assert_array_equal(acae.negative_mass.decoder, [0, 0, 0, 2, *[0] * 13])
    np.testing.assert_array_equal(acae.sparsity.encoder, [1, 3])
    np.testing.assert_array_equal(acae.sparsity.decoder, [2] * 17)
    assert acae.negative_share() == pytest.approx((0.5 / 3, 2 / 21))
    assert acae.sources_of("latent_1") == {
        "coco_17/nose": 1.5, "coco_17/left_eye": -0.25, "coco_17/right_eye": -0.25,
    }  # fmt: skip


def test_a_higher_price_leaves_less_negative_mass_and_a_larger_error():
    joints, points = poses(FORMATS, 1500)
    cheap, dear = (fit_acae(points, joints, (12, 4), l1=l1) for l1 in (0.02, 2.0))
    assert all(d < c for d, c in zip(dear.negative_share(), cheap.negative_share(), strict=True))
    assert max(dear.negative_share()) < 0.02
    assert dear.held_out["error"].mean() > 1.2 * cheap.held_out["error"].mean()


def test_the_report_tells_sizes_errors_and_sources(acae):
    text = acae.report()
    assert "3 formats, 58 joints; 16 latents: 6 on each side, 4 central" in text
    enc, dec = acae.negative_share()
    assert f"encoder {enc:.1%}, decoder {dec:.1%}" in text
    for format in FORMATS:
        line = next(line for line in text.splitlines() if line.startswith(format))
        assert f"{acae.held_out['error'][acae.joints.slice_of(format)].mean():.1f}" in line.split()
    assert all(name in text for name in acae.latents)
    assert "nan" not in text
    assert repr(acae) == "ACAE(3 formats, 58 joints, 16 latents)"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (0,)])
def test_numpy_and_torch_agree_in_every_shape_and_precision(acae, some, dtype, shape):
    count = int(np.prod(shape))
    points = some[:count].reshape(*shape, *some.shape[1:]).astype(dtype)
    tolerance = 1e-9 if dtype == np.float64 else 0.05
    for call, width in ((acae.encode, 16), (acae.reconstruct, 58)):
        array, tensor = call(points), call(torch.as_tensor(points))
        assert array.dtype == dtype
        assert tensor.dtype == torch.as_tensor(points).dtype
        assert array.shape == tuple(tensor.shape) == (*shape, width, 3)
        np.testing.assert_allclose(array, tensor.numpy(), atol=tolerance)
        flat = points.reshape(-1, 58, 3).astype(float)
        np.testing.assert_allclose(array.reshape(-1, width, 3), call(flat), atol=tolerance)


def test_planes_and_single_coordinates_go_through_alike(acae, some):
    np.testing.assert_allclose(acae.encode(some[..., :2]), acae.encode(some)[..., :2], atol=1e-9)
    np.testing.assert_allclose(acae.decode(acae.encode(some[..., 1:2])), acae.reconstruct(some)[..., 1:2], atol=1e-9)


def test_the_gradient_is_the_transposed_matrix(acae, some):
    points = torch.tensor(some[:3], requires_grad=True)
    into = torch.tensor(np.random.default_rng(0).normal(size=(3, 58, 3)))
    (acae.reconstruct(points) * into).sum().backward()
    np.testing.assert_allclose(points.grad.numpy(), (acae.decoder @ acae.encoder).T @ into.numpy(), atol=1e-9)


@pytest.mark.parametrize("name", ["coco_17", "coco", "h36m_17", "smpl_24"])
def test_one_format_can_be_decoded_alone(acae, some, name):
    latents, own = acae.encode(some), acae.joints.slice_of(name)
    np.testing.assert_allclose(acae.decode(latents, format=name), acae.decode(latents)[:, own], atol=1e-9)
    tensor = acae.decode(torch.tensor(latents), format=name)
    np.testing.assert_allclose(tensor.numpy(), acae.decode(latents, format=name), atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_missing_joint_is_missing_in_the_latents_that_draw_on_it_alone(acae, some, dtype):
    joint = int(np.flatnonzero(acae.encoder[0])[0])
    points, drawn = some.astype(dtype), acae.encoder[:, joint] != 0
    points[::2, joint] = np.nan
    array, tensor = acae.encode(points), acae.encode(torch.tensor(points))
    for latents in (array, tensor.numpy()):
        assert latents.dtype == dtype
        assert (np.isnan(latents[::2]).any(axis=(0, 2)) == drawn).all()
        assert (np.isnan(latents[::2]).all(axis=(0, 2)) == drawn).all()
        np.testing.assert_allclose(latents[:, ~drawn], acae.encode(some)[:, ~drawn], atol=0.01)
        np.testing.assert_allclose(latents[1::2], acae.encode(some)[1::2], atol=0.01)


def test_whole_numbers_and_lists_go_through_as_floats(acae, some):
    whole = some.round().astype(int)
    np.testing.assert_allclose(acae.encode(whole), acae.encode(whole.astype(float)))
    np.testing.assert_allclose(acae.encode(whole[0].tolist()), acae.encode(whole.astype(float))[0])


@pytest.mark.parametrize("shape", [(57, 3), (3, 59, 3), (58,), (5, 16, 3)])
def test_other_numbers_of_joints_are_refused(acae, shape):
    with pytest.raises(InputError, match=r"points: expected shape .*58.*got shape"):
        acae.encode(np.zeros(shape))
    with pytest.raises(InputError, match=r"latents: expected shape .*16"):
        acae.decode(torch.zeros(3, 15, 3))


def test_a_format_that_is_not_there_is_refused(acae, some):
    with pytest.raises(InputError, match=r"body_25.*coco_17.*attach"):
        acae.decode(acae.encode(some), format="body_25")


def test_arrays_that_do_not_belong_together_are_refused(acae):
    with pytest.raises(InputError, match="encoder"):
        of_weights(acae.encoder, acae.decoder, Joints.of("coco_17"), acae.latent_mirror)
