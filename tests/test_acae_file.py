"""The autoencoder in files, and formats that are attached to it."""

import json
import shutil

import numpy as np
import pytest
from acae_poses import FORMATS, poses

pytest.importorskip("torch", reason="fitting needs torch (pip install skelbridge[fit])")

from skelbridge import skeleton
from skelbridge.bridge.acae import ACAE, Joints, fit_acae
from skelbridge.bridge.acae.file import parts_of
from skelbridge.bridge.file import SHIPPED, read_bridge
from skelbridge.errors import FileFormatError, InputError

SIZE = (12, 4)


@pytest.fixture(scope="module")
def acae():
    joints, points = poses(FORMATS, 800)
    return fit_acae(points, joints, SIZE, l1=0.2)


def same(one, other):
    """Whether all that two autoencoders hold is equal, bit for bit."""
    arrays = ("encoder", "decoder", "latent_mirror", "mean_pose")
    assert all((getattr(one, name) == getattr(other, name)).all() for name in arrays)
    assert one.joints == other.joints
    assert one.latents == other.latents
    assert list(one.held_out) == list(other.held_out)
    assert all(np.array_equal(one.held_out[name], other.held_out[name], equal_nan=True) for name in one.held_out)
    assert json.dumps(one.certificate) == json.dumps(other.certificate)
    return True


def test_what_is_saved_is_loaded(acae, tmp_path):
    acae.save(tmp_path / "own.safetensors")
    again = ACAE.load(str(tmp_path / "own.safetensors"))
    assert same(acae, again)
    assert again.report() == acae.report()
    assert parts_of(tmp_path / "own.safetensors") == ("autoencoder",)


def test_the_rest_of_a_bridge_file_stays(acae, tmp_path):
    path = tmp_path / "bridge.safetensors"
    shutil.copy(SHIPPED, path)
    before = read_bridge(path)
    for _ in range(2):  # the second one takes the place of the first
        acae.save(path)
        assert same(acae, ACAE.load(path))
        after = read_bridge(path)
        np.testing.assert_array_equal(after.moments, before.moments)
        np.testing.assert_array_equal(after.rest.vertices, before.rest.vertices)
        assert after.certificate == before.certificate
    assert parts_of(path) == ("moments", "autoencoder")
    assert path.stat().st_size < SHIPPED.stat().st_size + 100_000


def test_cards_that_are_not_in_the_registry_travel_with_the_file(tmp_path):
    own = skeleton("coco_17").model_copy(update={"id": "of_mine", "aliases": ()})
    changed = skeleton("h36m_17").model_copy(update={"title": "differs from the registry's"})
    _, points = poses(["coco_17", "h36m_17"], 300)
    acae = fit_acae(points, Joints.of([own, changed]), (6, 2))
    acae.save(tmp_path / "own.safetensors")
    again = ACAE.load(tmp_path / "own.safetensors")
    assert again.joints.formats == (own, changed)
    np.testing.assert_array_equal(again.decode(acae.mean_latents, format=own), acae.decode(acae.mean_latents)[:17])


def test_hands_keep_their_side_in_a_file(tmp_path):
    joints, points = poses(["mano:left", "mano:right"], 300)
    fit_acae(points, joints, (12, 0)).save(tmp_path / "hands.safetensors")
    assert list(ACAE.load(tmp_path / "hands.safetensors").joints.slices) == ["mano_16:left", "mano_16:right"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_file_is_one_error_and_stays_as_it_is(acae, tmp_path, damage):
    path = tmp_path / "own.safetensors"
    acae.save(path)
    content = bytearray(path.read_bytes())
    content[4] ^= 0xFF if damage == "flip" else 0
    path.write_bytes({"cut": content[:-100], "flip": content, "empty": b"", "other": b"PK" * 100}[damage])
    broken = path.read_bytes()
    for call in (ACAE.load, acae.save, parts_of):
        with pytest.raises(FileFormatError, match=r"own\.safetensors"):
            call(path)
    assert path.read_bytes() == broken
    assert list(tmp_path.iterdir()) == [path]


def rewritten(path, change):
    """Change a saved file's tensors and what it tells."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, framework="numpy") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    about = json.loads(metadata["acae"])
    change(tensors, about)
    save_file(tensors, path, metadata={"acae": json.dumps(about)})


CHANGES = {
    "rows of another sum": lambda t, a: t.update(acae_encoder_values=t["acae_encoder_values"] * 2),
    "NaN": lambda t, a: t.update(acae_decoder_values=t["acae_decoder_values"] * np.nan),
    "columns out of range": lambda t, a: t.update(acae_decoder_columns=t["acae_decoder_columns"] + 16),
    "columns below zero": lambda t, a: t.update(acae_decoder_columns=t["acae_decoder_columns"] - 1),
    "ends that fall": lambda t, a: t.update(acae_encoder_ends=t["acae_encoder_ends"][::-1].copy()),
    "no mirror map": lambda t, a: t.update(acae_latent_mirror=np.zeros(16, np.int32)),
    "a short mean pose": lambda t, a: t.update(acae_mean_pose=t["acae_mean_pose"][1:]),
    "short errors": lambda t, a: t.update(acae_held_out_error=t["acae_held_out_error"][1:]),
    "a lost tensor": lambda t, a: t.pop("acae_encoder_values"),
    "another schema": lambda t, a: a.update(schema=99),
    "no schema": lambda t, a: a.pop("schema"),
    "fewer latents": lambda t, a: a["latents"].pop(),
    "formats that are none": lambda t, a: a.update(formats="coco_17"),
    "no card": lambda t, a: a["formats"][0].update(card={"id": "x"}),
    "an unknown format": lambda t, a: a["formats"][0].update(format="no_such_format"),
    "joints that changed": lambda t, a: a["formats"][0]["joints"].reverse(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_does_not_add_up_is_one_error(acae, tmp_path, name):
    path = tmp_path / "own.safetensors"
    acae.save(path)
    rewritten(path, CHANGES[name])
    with pytest.raises(FileFormatError, match=r"own\.safetensors") as caught:
        ACAE.load(path)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.mend


def test_files_without_an_autoencoder(tmp_path):
    read_bridge(SHIPPED).save(tmp_path / "moments.safetensors")
    assert parts_of(tmp_path / "moments.safetensors") == ("moments",)
    with pytest.raises(FileFormatError, match=r"expected an autoencoder in it.*skelbridge fit"):
        ACAE.load(tmp_path / "moments.safetensors")
    with pytest.raises(InputError, match=r"no bridge file.*nowhere"):
        ACAE.load(tmp_path / "nowhere.safetensors")


def test_an_attached_format_is_decoded_about_as_well_as_a_fitted_one(tmp_path):
    joints, points = poses([*FORMATS, "mpi_inf_3dhp_28"], 800)
    own = joints.slice_of("mpi_inf_3dhp_28")
    small = fit_acae(points[:, : own.start], FORMATS, SIZE, l1=0.1)
    attached = small.attach("mpi_inf_3dhp_28", points[:200, : own.start], points[:200, own])
    whole = fit_acae(points, joints, SIZE, l1=0.1)
    fresh = poses(joints, 200, seed=8)[1].astype(float)
    off = np.linalg.norm(attached.decode(attached.encode(fresh), "mpi_inf_3dhp_28") - fresh[:, own], axis=-1).mean()
    fitted = np.linalg.norm(whole.reconstruct(fresh)[:, own] - fresh[:, own], axis=-1).mean()
    assert off < 1.3 * fitted
    assert attached.held_out["error"][own].mean() == pytest.approx(off, rel=0.3)
    np.testing.assert_allclose(attached.decoder.sum(axis=1), 1, atol=1e-12)
    assert (attached.decoder[attached.joints.mirror][:, attached.latent_mirror] == attached.decoder).all()
    np.testing.assert_array_equal(attached.decoder[: own.start], small.decoder)
    np.testing.assert_array_equal(attached.encoder[:, : own.start], small.encoder)
    assert (attached.encoder[:, own] == 0).all()
    assert attached.certificate["attached"][0]["format"] == "mpi_inf_3dhp_28"
    assert "mpi_inf_3dhp_28" in attached.report()
    attached.save(tmp_path / "more.safetensors")
    assert same(attached, ACAE.load(tmp_path / "more.safetensors"))


def test_latents_may_be_given_instead_of_poses_and_gaps_are_left_out(acae):
    joints, points = poses([*FORMATS, "panoptic_19"], 120)
    goal = points[:, joints.slice_of("panoptic_19")].astype(float)
    by_poses = acae.attach("panoptic_19", points[:, :58], goal, l1=0.1)
    by_latents = acae.attach("panoptic_19", acae.encode(points[:, :58].astype(float)), goal, l1=0.1)
    np.testing.assert_allclose(by_latents.decoder, by_poses.decoder, atol=1e-3)
    goal[::4, 3], given = np.nan, points[:, :58].copy()
    given[::5] = np.nan
    gaps = acae.attach("panoptic_19", given, goal, l1=0.1)
    assert np.isfinite(gaps.decoder).all()
    np.testing.assert_allclose(gaps.mean_pose[58:], by_poses.mean_pose[58:], atol=20)


def test_a_price_of_ones_own_makes_an_attached_format_convex(acae):
    joints, points = poses([*FORMATS, "panoptic_19"], 100)
    goal = points[:, joints.slice_of("panoptic_19")]
    cheap, dear = (acae.attach("panoptic_19", points[:, :58], goal, l1=l1).negative_mass for l1 in (0.0, 20.0))
    assert dear.decoder[58:].max() < 0.01 < cheap.decoder[58:].max()


def test_single_markers_are_attached_without_a_mirror_image(acae):
    card = skeleton("plug_in_gait_39")
    joints, points = poses([*FORMATS, card], 100)
    attached = acae.attach(card, points[:, :58], points[:, 58:], l1=0.1)
    mirror, rows = joints.mirror[58:], attached.decoder[58:]
    single = mirror < 0
    assert [card.names[i] for i in np.flatnonzero(single)] == list(card.asymmetric)
    sided = np.flatnonzero(~single)
    assert (rows[mirror[sided] - 58][:, attached.latent_mirror] == rows[sided]).all()
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
    fresh = poses(joints, 100, seed=4)[1].astype(float)
    off = np.linalg.norm(attached.decode(attached.encode(fresh), card) - fresh[:, 58:], axis=-1).mean(axis=0)
    assert off[single].max() < 60


@pytest.mark.parametrize(
    ("format", "width", "goal", "words"),
    [
        ("coco_17", 58, (50, 17, 3), "each once"),
        ("panoptic_19", 58, (50, 18, 3), r"panoptic_19.*expected shape \(50, 19, 3\).*18"),
        ("panoptic_19", 58, (49, 19, 3), r"panoptic_19.*expected shape \(50, 19, 3\).*49"),
        ("panoptic_19", 57, (50, 19, 3), r"expected shape.*58"),
        ("panoptic_19", 58, (50, 19, 2), r"panoptic_19"),
        ("no_such_format", 58, (50, 19, 3), "no_such_format"),
        ("mano", 58, (50, 16, 3), "side"),
    ],
)
def test_what_cannot_be_attached_is_one_error(acae, format, width, goal, words):
    from skelbridge.errors import SkelbridgeError

    rng = np.random.default_rng(0)
    with pytest.raises(SkelbridgeError, match=words):
        acae.attach(format, rng.normal(size=(50, width, 3)), rng.normal(size=goal))


def test_a_joint_that_is_hardly_ever_known_cannot_be_attached(acae):
    joints, points = poses([*FORMATS, "panoptic_19"], 60)
    goal = points[:, 58:].copy()
    goal[5:, 2] = np.nan
    with pytest.raises(InputError, match=rf"at least 10 that know each.*{joints.names[60].split('/')[1]}"):
        acae.attach("panoptic_19", points[:, :58], goal)
    for wrong in (np.inf, -np.inf):
        goal = points[:, 58:].copy()
        goal[0, 0] = wrong
        with pytest.raises(InputError, match="infinity"):
            acae.attach("panoptic_19", points[:, :58], goal)
    with pytest.raises(InputError, match="l1"):
        acae.attach("panoptic_19", points[:, :58], points[:, 58:], l1=-1.0)
