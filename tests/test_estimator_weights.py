"""The model file: what is saved is loaded, and nothing else is believed."""

import json

import numpy as np
import pytest

pytest.importorskip("timm", reason="needs torch and timm (pip install skelbridge[train])")
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from skelbridge import skeleton
from skelbridge.bridge.acae import ACAE, Joints
from skelbridge.errors import FileFormatError, InputError
from skelbridge.estimator.design import Design
from skelbridge.estimator.network import PoseNetwork
from skelbridge.estimator.weights import load_model, save_model

OWN = skeleton("coco_17").model_copy(update={"id": "of_mine", "aliases": ()})
JOINTS = Joints.of(["h36m_17", OWN])
L = 5
DESIGN = Design(backbone="mobilenetv3_small_050", pretrained=False, side=64, ghost=(3, 1), head="both", drop_path=0.1)
ABOUT = {"steps": 400, "data": ["a", "b"], "scores": {"mpjpe": 61.5}}


def autoencoder(joints=JOINTS, latents=L):
    rng = np.random.default_rng(0)
    encoder, decoder = rng.random((latents, len(joints))), rng.random((len(joints), latents))
    return ACAE(
        joints,
        encoder / encoder.sum(axis=1, keepdims=True),
        decoder / decoder.sum(axis=1, keepdims=True),
        tuple(f"latent_{k}" for k in range(latents)),
        np.arange(latents),
        np.zeros((len(joints), 3)),
        {"near": np.ones(len(joints))},
        {"poses": 3},
    )


def network(**changes):
    torch.manual_seed(0)
    made = PoseNetwork(DESIGN.model_copy(update=changes), len(JOINTS), L)
    made.train()(torch.rand(4, 3, 64, 64), torch.eye(3).expand(4, 3, 3))  # moves the running statistics
    return made


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    save_model(path, network(), JOINTS, autoencoder(), ABOUT)
    return path


def parts(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


def test_what_is_saved_is_loaded(saved):
    model, made = load_model(saved), network().eval()
    K = torch.tensor([[80.0, 0, 31.5], [0, 80, 31.5], [0, 0, 1]])[None]
    image = torch.rand(1, 3, 64, 64)
    one, other = made(image, K), model.network(image, K)
    assert torch.equal(one.joints, other.joints)
    assert torch.equal(one.latents, other.latents)
    assert not model.network.training
    assert (model.network.design, model.network.latents) == (DESIGN, L)
    assert model.joints == JOINTS
    assert model.joints.formats[1] == OWN  # a card that the registry does not have
    assert model.about == ABOUT
    assert model.autoencoder.certificate == {"poses": 3}
    np.testing.assert_array_equal(model.autoencoder.encoder, autoencoder().encoder)
    np.testing.assert_array_equal(model.autoencoder.decoder, autoencoder().decoder)


def test_the_autoencoder_can_be_read_alone(saved):
    np.testing.assert_array_equal(ACAE.load(saved).decoder, autoencoder().decoder)


def test_joints_without_an_autoencoder_and_weights_in_any_layout(tmp_path):
    made = network(head="joints").to(memory_format=torch.channels_last)
    save_model(tmp_path / "m.safetensors", made, JOINTS, None, {})
    model = load_model(tmp_path / "m.safetensors")
    assert model.autoencoder is None
    for name, weights in made.state_dict().items():
        assert torch.equal(model.network.state_dict()[name], weights)


def test_loading_downloads_nothing(tmp_path):
    made = network(head="joints")
    made.design = made.design.model_copy(update={"pretrained": True})
    save_model(tmp_path / "m.safetensors", made, JOINTS, None, {})
    assert json.loads(parts(tmp_path / "m.safetensors")[1]["model"])["design"]["pretrained"] is True
    assert load_model(tmp_path / "m.safetensors").network.design.pretrained is False


@pytest.mark.parametrize(
    ("joints", "latents", "made"),
    [
        (Joints.of("h36m_17"), L, {}),  # fewer joints than the network puts out
        (JOINTS, L + 1, {}),  # another number of latents than the head's
        (JOINTS, None, {"head": "latents"}),  # nothing to decode them with
        (Joints.of([OWN, "h36m_17"]), L, {"head": "joints"}),  # an autoencoder with the joints in another order
    ],
)
def test_parts_that_do_not_belong_together_are_not_saved(tmp_path, joints, latents, made):
    acae = None if latents is None else autoencoder(latents=latents)
    with pytest.raises(InputError, match="a model"):
        save_model(tmp_path / "m.safetensors", network(**made), joints, acae, {})
    assert not list(tmp_path.iterdir())


def test_what_json_cannot_hold_is_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="plain JSON"):
        save_model(tmp_path / "m.safetensors", network(), JOINTS, autoencoder(), {"at": tmp_path})
    assert not list(tmp_path.iterdir())


# -- damage ----------------------------------------------------------------------------------------------------------


def drop(tensors, metadata):
    del tensors["network/head.conv.bias"]


def add(tensors, metadata):
    tensors["network/more"] = torch.zeros(3)


def reshape(tensors, metadata):
    tensors["network/head.conv.weight"] = tensors["network/head.conv.weight"][:-1].contiguous()


def nan(tensors, metadata):
    tensors["network/head.conv.weight"][3, 0] = torch.nan


def infinite(tensors, metadata):
    tensors["network/backbone.model.bn1.running_var"][0] = torch.inf


def decoder(tensors, metadata):
    tensors["acae_decoder_values"][0] += 0.5


def nothing(tensors, metadata):
    metadata.clear()


def described(**changes):
    def change(tensors, metadata):
        told = json.loads(metadata["model"])
        metadata["model"] = json.dumps(told | changes)

    return change


def designed(**changes):
    return described(design=DESIGN.model_dump(mode="json") | changes)


def format(**changes):
    def change(tensors, metadata):
        told = json.loads(metadata["model"])
        told["formats"][0] |= changes
        metadata["model"] = json.dumps(told)

    return change


def deep(tensors, metadata):
    metadata["model"] = "[" * 100_000


DAMAGE = {
    "a tensor less": (drop, "head.conv.bias"),
    "a tensor more": (add, "more"),
    "a row less": (reshape, "head.conv.weight"),
    "not a number": (nan, "not finite: head.conv.weight"),
    "infinite": (infinite, "not finite"),
    "autoencoder": (decoder, "autoencoder in .* sum to one"),
    "no model": (nothing, "expected a pose network in it"),
    "schema of the future": (described(schema=2), "expected schema 1, got schema 2"),
    "no schema": (described(schema=None), "schema None"),
    "other latents": (described(latents=L + 1), "weights of another network"),
    "latents as text": (described(latents="many"), "cannot be read"),
    "unknown setting": (designed(run="rm"), "cannot be read"),
    "huge": (designed(depth_bins=10**9), "weights of another network"),
    "beyond integers": (designed(depth_bins=10**30), "cannot be read"),
    "other backbone": (designed(backbone="mobilenetv3_small_075"), "weights of another network"),
    "backbone from afar": (designed(backbone="hf-hub:somebody/anything"), "a model of timm"),
    "unknown format": (format(format="nobody_17"), "not known"),
    "changed format": (format(joints=["nose"] * 17), "have changed"),
    "about as text": (described(about="me"), "no table"),
    "no JSON": (deep, "cannot be read"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_model_is_one_clear_error(saved, tmp_path, damage, message):
    tensors, metadata = parts(saved)
    damage(tensors, metadata)
    path = tmp_path / "damaged.safetensors"
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(FileFormatError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"\xff" * 1000, b"PK\x03\x04 an archive"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="is not a model file"):
        load_model(path)


@pytest.mark.parametrize("share", [0.0001, 0.3, 0.999])
def test_a_file_that_was_cut_short_is_refused(saved, tmp_path, share):
    content = saved.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileFormatError):
        load_model(path)


def test_random_bytes_in_the_header_are_refused_or_harmless(saved, tmp_path):
    content, rng = saved.read_bytes(), np.random.default_rng(0)
    size = int.from_bytes(content[:8], "little")
    path = tmp_path / "flipped.safetensors"
    refused = 0
    for _ in range(15):
        changed = bytearray(content)
        for at in rng.integers(8, 8 + size, 20):
            changed[at] = rng.integers(256)
        path.write_bytes(changed)
        try:
            load_model(path)
        except FileFormatError:
            refused += 1
    assert refused > 10


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no model file"):
        load_model(tmp_path / "none.safetensors")


def test_a_bridge_file_is_no_model(tmp_path):
    autoencoder().save(tmp_path / "bridge.safetensors")
    with pytest.raises(FileFormatError, match="expected a pose network in it"):
        load_model(tmp_path / "bridge.safetensors")
