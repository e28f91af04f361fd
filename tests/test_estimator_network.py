"""The pose network: its grid, its heads, what training does to it, and its agreement with its parts."""

import copy

import pytest

pytest.importorskip("timm", reason="needs torch and timm (pip install skelbridge[train])")
import torch
from torch import nn

from skelbridge.errors import InputError, UnknownNameError
from skelbridge.estimator.absolute import reconstruct
from skelbridge.estimator.backbone import Backbone
from skelbridge.estimator.design import Design
from skelbridge.estimator.network import PoseNetwork
from skelbridge.estimator.norms import constrain_norms, filters

J, L = 7, 4
TINY = Design(backbone="mobilenetv3_small_050", pretrained=False, side=64, ghost=(4,))


def network(seed=0, **changes):
    torch.manual_seed(seed)
    return PoseNetwork(TINY.model_copy(update=changes), J, L)


def crops(batch=4, side=64, seed=0):
    torch.manual_seed(seed)
    K = torch.tensor([[side * 1.2, 0, (side - 1) / 2], [0, side * 1.2, (side - 1) / 2], [0, 0, 1]])
    return torch.rand(batch, 3, side, side), K.expand(batch, 3, 3)


# -- the backbone's grid ---------------------------------------------------------------------------------------------


def centre_of_a_cell(name, centred, side):
    """Where the cell (i, i - 1) looks, as pixels from (32 i, 32 i - 32), and whether alike to all sides.

    With kernels that are positive and the same when mirrored, what a cell sees is so too, about its centre.
    """
    backbone = Backbone(Design(backbone=name, pretrained=False, centred_stride=centred)).eval()
    backbone.mean.zero_(), backbone.deviation.fill_(1)
    for path, module in list(backbone.named_modules()):
        if isinstance(module, nn.Conv2d):
            kernel = module.weight.data.abs()
            kernel = sum(kernel.flip(axes) for axes in ([], [-1], [-2], [-1, -2]))
            kernel = kernel / kernel.sum(dim=(1, 2, 3), keepdim=True)
            module.weight.data = kernel * ("se" not in path.split("."))  # those look at the whole picture
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1)
        elif isinstance(module, nn.MaxPool2d):  # of equal pixels it would take the first
            setattr(backbone.model, path.removeprefix("model."), nn.AvgPool2d(3, 2, 1))
    image = torch.full((1, 3, side, side), 0.5, requires_grad=True)
    features = backbone(image)
    i = features.shape[-1] // 2
    assert features.shape == (1, backbone.channels, side // 32, side // 32)
    features[0, :, i, i - 1].sum().backward()
    seen = image.grad[0].sum(dim=0) / image.grad.sum()
    pixels = torch.arange(side).float()
    return float(seen.sum(dim=1) @ pixels) - 32 * i, float(seen.sum(dim=0) @ pixels) - 32 * (i - 1)


@pytest.mark.parametrize(
    ("name", "side"),
    [("mobilenetv3_small_100", 512), ("resnet50.tv_in1k", 448), ("tf_efficientnetv2_b0", 448), ("regnety_002", 448)],
)
@pytest.mark.parametrize(("centred", "first"), [(True, 16), (False, 0)])
def test_cells_look_at_16_48_and_so_on_where_the_stride_is_centred(name, side, centred, first):
    assert centre_of_a_cell(name, centred, side) == pytest.approx((first, first), abs=0.05)


def test_efficientnets_keep_their_last_convolution_and_pad_alike_on_all_sides():
    with torch.device("meta"):
        backbone = Backbone(Design(pretrained=False))
        assert backbone(torch.rand(1, 3, 256, 256)).shape == (1, 1280, 8, 8)
        assert backbone(torch.rand(1, 3, 384, 384)).shape == (1, 1280, 12, 12)
    convs = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    assert not any(type(conv).__name__ == "Conv2dSame" for conv in convs)
    assert all(conv.padding == tuple(k // 2 for k in conv.kernel_size) for conv in convs)


def test_shifting_leaves_all_weights_as_they_are():
    states = []
    for centred in (True, False):
        torch.manual_seed(0)
        states.append(Backbone(TINY.model_copy(update={"centred_stride": centred})).state_dict())
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(("name", "mean"), [("tf_efficientnetv2_s", 0.5), ("mobilenetv3_small_100", 0.485)])
def test_pictures_are_scaled_as_the_weights_were_trained(name, mean):
    backbone = Backbone(Design(backbone=name, pretrained=False))
    assert float(backbone.mean[0]) == pytest.approx(mean)
    image = torch.rand(2, 3, 64, 64)
    expected = backbone.eval().model.forward_features((image - backbone.mean) / backbone.deviation)
    assert torch.equal(backbone(image), expected)


def rates(**changes):
    with torch.device("meta"):
        backbone = Backbone(Design(pretrained=False, **changes))
    return [module.drop_prob for module in backbone.modules() if type(module).__name__ == "DropPath"]


def test_stochastic_depth_grows_from_block_to_block_and_follows_the_design():
    usual = rates()
    assert usual == sorted(usual)
    assert 0.18 < usual[-1] <= 0.2
    assert rates(drop_path=0.1) == pytest.approx([rate / 2 for rate in usual])
    assert rates(drop_path=0.0) == []
    assert rates(backbone="mobilenetv3_small_100") == []


def test_weights_that_cannot_be_downloaded_are_one_clear_line(monkeypatch):
    import timm

    def offline(*_, **__):
        raise OSError("no route to host\nand more of that")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(InputError, match=r"no route to host\. Set pretrained = false") as caught:
        PoseNetwork(Design(), J)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("tf_efficientnetv2_m2", UnknownNameError),
        ("hf-hub:somebody/anything", UnknownNameError),  # would be read from the network
        ("local-dir:/tmp", UnknownNameError),
        ("vit_tiny_patch16_224", InputError),  # of fixed size
        ("convnext_tiny", InputError),  # its last kernel has no centre
        ("resnet50d", InputError),  # its last stride is a pooling beside a convolution
    ],
)
def test_backbones_that_cannot_be_used_are_refused(name, error):
    with pytest.raises(error), torch.device("meta"):
        Backbone(Design(backbone=name, pretrained=False))


# -- points ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["joints", "latents", "both"])
@pytest.mark.parametrize("side", [64, 96])
def test_a_head_puts_out_its_points_at_any_multiple_of_32(head, side):
    images, K = crops(side=side)
    found = network(head=head).eval()(images, K)
    assert (found.joints is None) == (head == "latents")
    assert (found.latents is None) == (head == "joints")
    assert found.joints is None or found.joints.shape == (4, J, 3)
    assert found.latents is None or found.latents.shape == (4, L, 3)


def test_a_point_is_read_from_its_own_channels():
    """All channels flat but those of one point, which has its mass in one cell of the picture and one of the box."""
    made = network(head="both").eval()
    n, side = L + J, 128
    logits = torch.zeros(1, 9 * n, 4, 4)
    point = L + 2
    logits[0, point, 1, 3] = 1e4
    logits[0, n + 5 * n + point, 2, 0] = 1e4
    made.head.conv.forward = lambda features: logits
    images, K = crops(1, side)
    found = made(images, K)
    flat, box = (16 + 32 * 1.5, 2200 / side * (16 + 32 * 1.5)), 2200 * 3.5 / 7
    pixels = torch.tensor([[flat[0], flat[0]]]).repeat(J, 1)
    relative = torch.tensor([[flat[1], flat[1], box]]).repeat(J, 1)
    pixels[2] = torch.tensor([16.0 + 32 * 3, 16.0 + 32 * 1])
    relative[2] = torch.tensor([2200 / side * 16, 2200 / side * (16 + 32 * 2), 2200 * 5 / 7])
    torch.testing.assert_close(found.joints, reconstruct(pixels[None], relative[None], K, side), rtol=1e-4, atol=0.1)


def test_both_sets_of_points_are_placed_on_their_own_with_the_same_mix():
    images, K = crops()
    both, mix = network(head="both").eval(), torch.tensor([0.0, 0.3, 0.9, 1.0])
    together = both(images, K, mix=mix)
    alone = network(head="joints").eval()
    alone.take_over(_joints_of(both))
    torch.testing.assert_close(together.joints, alone(images, K, mix=mix).joints, rtol=1e-5, atol=1e-2)


def _joints_of(both):
    """A network with the joints' part of a head of both."""
    made = network(head="joints", seed=5)
    made.backbone.load_state_dict(both.backbone.state_dict())
    rows = torch.arange(9 * (L + J)).view(9, L + J)[:, L:].flatten()
    made.head.conv.weight.data = both.head.conv.weight.data[rows].clone()
    made.head.conv.bias.data = both.head.conv.bias.data[rows].clone()
    return made


def test_bytes_are_pictures_too():
    images, K = crops()
    raw = (images * 255).to(torch.uint8)
    made = network().eval()
    assert torch.equal(made(raw, K).joints, made(raw.float() / 255, K).joints)


def test_the_rest_of_the_batch_has_no_influence_in_evaluation():
    images, K = crops()
    made = network().eval()
    torch.testing.assert_close(made(images, K).joints[[1]], made(images[[1]], K[[1]]).joints, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("shape", [(2, 3, 64, 96), (2, 3, 60, 60), (3, 64, 64)])
def test_pictures_of_another_shape_are_an_error(shape):
    with pytest.raises(InputError, match="multiple of 32"):
        network()(torch.rand(shape), torch.eye(3).expand(2, 3, 3))


def test_a_head_of_latents_needs_their_number():
    with pytest.raises(InputError, match="'both'"):
        PoseNetwork(TINY.model_copy(update={"head": "both"}), J)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_under_autocast_points_are_float32_and_near(layout):
    images, K = crops(8)
    made = network().eval().to(memory_format=layout)
    exact = made(images, K, weak_perspective=True).joints
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = made(images, K, weak_perspective=True).joints
        made.train()(images, K, weak_perspective=True).joints.abs().mean().backward()
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 0.05 * exact.abs().max()
    assert all(weight.grad.isfinite().all() and weight.grad.dtype == torch.float32 for weight in made.parameters())


# -- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["joints", "latents", "both"])
def test_every_weight_belongs_to_one_part_and_is_trained(head):
    images, K = crops()
    made = network(head=head).train()
    found = made(images, K)
    sum(points.square().mean() for points in (found.joints, found.latents) if points is not None).backward()
    parts = made.parameters_of_head(), made.parameters_of_backbone()
    assert len(parts[0]) == 2
    assert [id(weight) for part in parts[::-1] for weight in part] == [id(weight) for weight in made.parameters()]
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in made.parameters())
    assert all(weight.grad.abs().max() > 0 for weight in parts[0])


def test_a_batch_that_ghosts_do_not_divide_is_an_error_in_training_alone():
    images, K = crops(6)
    made = network()
    made.eval()(images, K)
    with pytest.raises(InputError, match="multiple of 4"):
        made.train()(images, K)
    network(ghost=()).train()(images, K)


def test_in_inference_mode_weights_train_and_statistics_stay():
    images, K = crops(8)
    made = network(drop_path=0.9)
    made.train()(images, K)
    expected = made.eval()(images, K).joints
    made.set_inference_mode()
    made.train()
    before = {name: buffer.clone() for name, buffer in made.named_buffers()}
    weights = [weight.clone() for weight in made.parameters()]
    optimiser = torch.optim.SGD(made.parameters(), 1e-6)
    found = made(images[:5], K[:5]).joints  # of any number: no groups
    torch.testing.assert_close(found, expected[:5], rtol=1e-4, atol=0.1)
    found.square().mean().backward()
    optimiser.step()
    assert all(torch.equal(buffer, before[name]) for name, buffer in made.named_buffers())
    moved = [bool((new != old).any()) for new, old in zip(made.parameters(), weights, strict=True)]
    assert sum(moved) > 0.9 * len(moved)


def test_training_goes_on_from_a_network_of_the_same_kind():
    images, K = crops()
    for head in ("joints", "latents", "both"):
        initial, made = network(1, head=head).eval(), network(2, head=head).eval()
        made.take_over(initial)
        one, other = initial(images, K), made(images, K)
        assert one.joints is None or torch.equal(one.joints, other.joints)
        assert one.latents is None or torch.equal(one.latents, other.latents)


def test_joints_go_into_the_last_points_of_a_head_of_both():
    images, K = crops()
    initial, made = network(1).eval(), network(2, head="both").eval()
    before = copy.deepcopy(made.head)
    made.take_over(initial)
    torch.testing.assert_close(made(images, K).joints, initial(images, K).joints, rtol=1e-5, atol=1e-2)
    logits, features = made.head(made.backbone(images)), initial.backbone(images)
    for own, given in zip(logits, initial.head(features), strict=True):  # (B, n, H, W), and (B, D, n, H, W)
        torch.testing.assert_close(own[..., L:, :, :], given, rtol=1e-4, atol=1e-5)
    for own, random in zip(logits, before(features), strict=True):
        torch.testing.assert_close(own[..., :L, :, :], random[..., :L, :, :], rtol=1e-4, atol=1e-5)


def test_a_head_of_latents_begins_at_random_on_the_backbone_of_before():
    initial, made = network(1), network(2, head="latents")
    before = made.head.conv.weight.clone()
    made.take_over(initial)
    assert torch.equal(made.head.conv.weight, before)
    for own, given in zip(made.parameters_of_backbone(), initial.parameters_of_backbone(), strict=True):
        assert torch.equal(own, given)


@pytest.mark.parametrize(
    "initial",
    [{"head": "both"}, {"head": "latents"}, {"depth_bins": 4}, {"backbone": "mobilenetv3_small_075"}],
    ids=lambda changes: str(changes),
)
def test_networks_that_do_not_fit_together_are_refused(initial):
    made = network()
    before = made.head.conv.weight.clone()
    with pytest.raises(InputError, match="to start from"):
        made.take_over(network(1, **initial))
    assert torch.equal(made.head.conv.weight, before)


# -- small filters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_filters_that_grew_are_scaled_down_to_the_limit(layout):
    made = network().to(memory_format=layout)
    depthwise = made.backbone.model.blocks[1][1].conv_dw.weight
    dense = made.backbone.model.blocks[1][1].conv_pw.weight
    squeeze = made.backbone.model.blocks[0][0].se.conv_reduce.weight
    before = copy.deepcopy(made.state_dict())
    with torch.no_grad():
        depthwise[3] *= 30 / depthwise[3].norm()
        dense[2] *= 30 / dense[2].norm()
        squeeze[0] *= 30 / squeeze[0].norm()
        made.head.conv.weight[0] *= 30 / made.head.conv.weight[0].norm()
    constrain_norms(made)
    norms = [weight.flatten(1).norm(dim=1) for weight in (depthwise, dense, squeeze, made.head.conv.weight)]
    assert [norm.max().item() for norm in norms] == pytest.approx([20, 20, 30, 30], rel=1e-5)
    assert depthwise.grad_fn is None
    grown = {id(depthwise): 3, id(dense): 2, id(squeeze): 0, id(made.head.conv.weight): 0}
    for name, weight in made.named_parameters():
        others = [row for row in range(len(weight)) if row != grown.get(id(weight))]
        torch.testing.assert_close(weight[others], before[name][others], rtol=0, atol=0)
    direction = before["backbone.model.blocks.1.1.conv_pw.weight"][2]
    torch.testing.assert_close(dense[2] / 20, direction / direction.norm())


def test_all_convolutions_but_squeeze_excite_are_watched():
    with torch.device("meta"):
        made = PoseNetwork(Design(pretrained=False), J)
    convs = [module for module in made.backbone.modules() if isinstance(module, nn.Conv2d)]
    blocks = sum(type(module).__name__ == "SqueezeExcite" for module in made.modules())
    assert len(filters(made)) == len(convs) - 2 * blocks
    assert blocks == 30
