"""From heatmaps to absolute points: soft-argmax, and where the points of picture and box together stand."""

import math

import pytest

pytest.importorskip("torch", reason="needs torch (pip install skelbridge[train])")
import torch

from skelbridge.errors import InputError
from skelbridge.estimator.absolute import FEWEST, normalised, reconstruct, within_reach
from skelbridge.estimator.heatmaps import soft_argmax_2d, soft_argmax_3d, to_metric, to_pixels

SIDE = 256
EXACT = torch.float64


def camera(batch=1, seed=0, kind=EXACT):
    """Intrinsics (B, 3, 3): fields of view from 8 to 70 degrees, principal points off the centre, some skew."""
    draw = torch.Generator().manual_seed(seed)
    angle = torch.deg2rad(8 + 62 * torch.rand(batch, generator=draw, dtype=EXACT))
    K = torch.zeros(batch, 3, 3, dtype=EXACT)
    K[:, 0, 0] = SIDE / 2 / torch.tan(angle / 2)
    K[:, 1, 1] = K[:, 0, 0] * (1 + 0.1 * torch.rand(batch, generator=draw, dtype=EXACT))
    K[:, :2, 2] = 127.5 + 20 * torch.randn(batch, 2, generator=draw, dtype=EXACT)
    K[:, 0, 1] = 3
    K[:, 2, 2] = 1
    return K.to(kind)


def project(points, K):
    image = points @ K.mT
    return image[..., :2] / image[..., 2:]


def people(batch=8, n=20, seed=0, extent=0.7, kind=EXACT):
    """Poses (B, n, 3) mm that fill about `extent` of the crop, their pixels, their points in the box, and cameras."""
    draw = torch.Generator().manual_seed(seed)
    K = camera(batch, seed)
    shape = 800 * (2 * torch.rand(batch, n, 3, generator=draw, dtype=EXACT) - 1)
    depth = 1600 / SIDE * K[:, 0, 0] / extent
    middle = torch.stack([torch.full_like(depth, 127.5), torch.full_like(depth, 127.5), torch.ones_like(depth)], dim=-1)
    points = shape + (torch.linalg.solve(K, middle[..., None]).squeeze(-1) * depth[:, None])[:, None]
    relative = shape + 1100 + 50 * torch.randn(batch, 1, 3, generator=draw, dtype=EXACT)
    return tuple(tensor.to(kind) for tensor in (points, project(points, K), relative, K))


# -- heatmaps --------------------------------------------------------------------------------------------------------


def one_hot(*cells):
    """Logits (1, D, 1, 8, 8) with all mass in one cell."""
    logits = torch.full((1, 8, 1, 8, 8), -1e4, dtype=EXACT)
    logits[0, cells[0], 0, cells[1], cells[2]] = 0
    return logits


@pytest.mark.parametrize("cell", [(0, 0, 0), (7, 7, 7), (3, 1, 6), (5, 4, 2)])
@pytest.mark.parametrize("centred", [True, False])
def test_all_mass_in_one_cell_is_that_cell(cell, centred):
    d, i, j = cell
    first = 16 if centred else 0
    pixels = to_pixels(soft_argmax_2d(one_hot(*cell)[:, d]), SIDE, centred)
    assert pixels[0, 0].tolist() == pytest.approx([first + 32 * j, first + 32 * i])
    metric = to_metric(soft_argmax_3d(one_hot(*cell)), SIDE, 2200.0, centred)
    across = 2200 / 256
    assert metric[0, 0].tolist() == pytest.approx(
        [(first + 32 * j) * across, (first + 32 * i) * across, 2200 * d / 7], abs=1e-9
    )


def test_a_larger_crop_has_more_cells_and_a_point_is_the_mean_of_the_cells():
    assert to_pixels(torch.tensor([0.0, 1.0]), 384, True).tolist() == [16, 368]
    assert to_pixels(torch.tensor([0.0, 1.0]), 384, False).tolist() == [0, 352]
    logits = torch.full((1, 2, 3, 4), -1e4)
    logits[0, 0, 0, 0], logits[0, 0, 2, 1] = math.log(0.25), math.log(0.75)  # weights a quarter and three quarters
    logits[0, 1] = 5.0
    torch.testing.assert_close(soft_argmax_2d(logits), torch.tensor([[[0.25, 0.75], [0.5, 0.5]]]))


def test_the_softmax_of_the_box_is_over_all_its_cells_together():
    logits = torch.full((1, 2, 1, 2, 2), -1e4)
    logits[0, 0, 0, 0, 0], logits[0, 1, 0, 1, 1] = 0, math.log(3)
    assert soft_argmax_3d(logits)[0, 0].tolist() == pytest.approx([0.75] * 3)


def test_soft_argmax_is_differentiable_and_never_in_half_precision():
    torch.manual_seed(0)
    flat, deep = torch.randn(2, 3, 3, 4, dtype=EXACT), torch.randn(2, 3, 2, 2, 4, dtype=EXACT)
    assert torch.autograd.gradcheck(soft_argmax_2d, flat.requires_grad_())
    assert torch.autograd.gradcheck(soft_argmax_3d, deep.requires_grad_())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = soft_argmax_3d(deep.bfloat16())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, soft_argmax_3d(deep.bfloat16().double()).float())


# -- exact input, exact output ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "tolerance"), [(EXACT, 1e-7), (torch.float32, 0.02)])
@pytest.mark.parametrize("extent", [0.3, 0.7, 1.6])  # at 1.6 most points lie outside
def test_exact_places_in_picture_and_box_give_the_exact_pose(kind, tolerance, extent):
    points, pixels, relative, K = people(64, 20, extent=extent, kind=kind)
    seen = within_reach(pixels, SIDE)
    assert bool(seen.all()) == (extent == 0.3)
    solvable = seen.sum(dim=1) >= FEWEST
    pixels = torch.where(seen[..., None], pixels, pixels.clamp(16, 240))  # heatmaps reach no further
    found = reconstruct(pixels, relative, K, SIDE)
    assert solvable.sum() > 30
    assert (found - points)[solvable].abs().max() < tolerance


def test_picture_and_box_agree_where_they_are_exact():
    points, pixels, relative, K = people()
    for share in (0.0, 0.3, 1.0):
        found = reconstruct(pixels, relative, K, SIDE, mix=torch.full((len(points),), share, dtype=EXACT))
        assert (found - points).abs().max() < 1e-3


def test_it_is_the_least_squares_solution_where_they_are_not():
    points, pixels, relative, K = people(4, extent=0.4)
    torch.manual_seed(1)
    pixels, relative = pixels + 4 * torch.randn_like(pixels), relative + 40 * torch.randn_like(relative)
    assert within_reach(pixels, SIDE).all()
    moved = reconstruct(pixels, relative, K, SIDE, mix=torch.ones(4, dtype=EXACT))
    rays = torch.linalg.solve(K, torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1).mT).mT
    for k in range(4):
        x, R = rays[k, :, :2], relative[k]
        rows = torch.eye(2, dtype=EXACT).expand(len(x), 2, 2)
        A = torch.cat([rows, -x[..., None]], dim=-1).flatten(0, 1)
        b = (x * R[:, 2:] - R[:, :2]).flatten()
        t = torch.linalg.lstsq(A, b[:, None]).solution[:, 0]
        torch.testing.assert_close(moved[k] - R, t.expand_as(R), rtol=1e-9, atol=1e-6)
    assert (moved - points).abs().max() > 10


@pytest.mark.parametrize("weak", [True, False])
def test_the_rest_of_the_batch_has_no_influence(weak):
    _, pixels, relative, K = people(16, extent=1.2)
    together = reconstruct(pixels, relative, K, SIDE, weak_perspective=weak)
    for k in range(16):
        alone = reconstruct(pixels[[k]], relative[[k]], K[[k]], SIDE, weak_perspective=weak)
        torch.testing.assert_close(together[[k]], alone, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("weak", [True, False])
def test_where_the_box_stands_does_not_matter(weak):
    _, pixels, relative, K = people(extent=1.2)
    one = reconstruct(pixels, relative, K, SIDE, weak_perspective=weak)
    other = reconstruct(pixels, relative + torch.tensor([300.0, -50, 700]), K, SIDE, weak_perspective=weak)
    torch.testing.assert_close(one, other, rtol=0, atol=0.01)


def test_weak_perspective_is_exact_for_what_is_flat_and_faces_the_camera():
    points, _, relative, K = people(extent=0.5)
    points[..., 2], relative[..., 2] = points[:, :1, 2], relative[:, :1, 2]
    found = reconstruct(project(points, K), relative, K, SIDE, weak_perspective=True)
    assert (found - points).abs().max() < 1e-3


def test_weak_perspective_keeps_the_middle_and_the_size():
    points, pixels, relative, K = people(extent=0.5)
    ones = torch.ones(len(points), dtype=EXACT)
    found = reconstruct(pixels, relative, K, SIDE, weak_perspective=True, mix=ones)
    torch.testing.assert_close(found - found.mean(dim=1, keepdim=True), relative - relative.mean(dim=1, keepdim=True))
    rays = normalised(pixels, K)
    middle = found.mean(dim=1)
    torch.testing.assert_close(middle[:, :2] / middle[:, 2:], rays.mean(dim=1))


# -- the edge of the picture -----------------------------------------------------------------------------------------


def test_in_view_ends_three_quarters_of_a_cell_from_the_edge():
    at = torch.tensor([[23.9, 100], [24, 100], [232, 232], [232.1, 100], [100, 23.9], [100, 232.1]])
    assert within_reach(at, SIDE).tolist() == [False, True, True, False, False, False]
    assert within_reach(at - 16, SIDE, centred=False).tolist() == within_reach(at, SIDE).tolist()


def test_points_in_view_are_mixed_and_the_others_come_from_the_box():
    _, pixels, relative, K = people(4, extent=1.2)
    torch.manual_seed(0)
    relative = relative + 30 * torch.randn_like(relative)
    share = torch.tensor([0.0, 0.25, 1.0, 0.5], dtype=EXACT)
    seen = within_reach(pixels, SIDE)
    box = reconstruct(pixels, relative, K, SIDE, mix=torch.ones(4, dtype=EXACT))
    picture = reconstruct(pixels, relative, K, SIDE, mix=torch.zeros(4, dtype=EXACT))
    mixed = reconstruct(pixels, relative, K, SIDE, mix=share)
    assert 0.2 < seen.double().mean() < 0.9
    torch.testing.assert_close(project(picture, K)[seen], pixels[seen])
    assert torch.equal(picture[~seen], box[~seen])
    torch.testing.assert_close(picture[..., 2], box[..., 2])
    expected = share[:, None, None] * box + (1 - share[:, None, None]) * picture
    torch.testing.assert_close(mixed, expected)
    torch.testing.assert_close(reconstruct(pixels, relative, K, SIDE)[3], mixed[3])


@pytest.mark.parametrize("weak", [True, False])
def test_what_is_out_of_view_does_not_move_the_rest_unless_too_little_is_within_reach(weak):
    _, pixels, relative, K = people(1, 12, extent=0.5)
    outside = torch.tensor([[5.0, 250], [250, 5], [3, 128]], dtype=EXACT)
    for count, moves in ((3, False), (9, True)):
        out = torch.cat([pixels[:, : 12 - count], outside.repeat(3, 1)[None, :count]], dim=1)
        further = torch.where(within_reach(out, SIDE)[..., None], out, out + 1)
        one, other = (reconstruct(u, relative, K, SIDE, weak_perspective=weak) for u in (out, further))
        assert ((one - other).abs().max() > 1) == moves


# -- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weak", [True, False])
@pytest.mark.parametrize("extent", [0.5, 1.4])
def test_gradients_are_right(weak, extent):
    _, pixels, relative, K = people(3, 6, extent=extent)
    torch.manual_seed(0)
    pixels, relative = pixels + torch.randn_like(pixels), relative + 20 * torch.randn_like(relative)
    mix = torch.tensor([0.1, 0.5, 0.8], dtype=EXACT)

    def metres(u, R):  # in units of the crop and the box, so that all gradients are of like size
        return reconstruct(u * SIDE, R * 1000, K, SIDE, weak_perspective=weak, mix=mix) / 1000

    given = (pixels / SIDE).requires_grad_(), (relative / 1000).requires_grad_()
    assert torch.autograd.gradcheck(metres, given, atol=1e-4, rtol=1e-4)


def degenerate():
    _, pixels, relative, K = people(2, 6, kind=torch.float32)
    centre = torch.full_like(pixels, 128.0)
    yield "all points in one place", centre, torch.full_like(relative, 1100.0), K
    yield "one place in the picture", centre, relative, K
    yield "one place in the box", pixels, torch.full_like(relative, 1100.0), K
    yield "nothing in view", torch.full_like(pixels, 5.0) + torch.arange(6)[:, None], relative, K
    yield "one place, out of view", torch.full_like(pixels, 5.0), relative, K
    yield "a single point", pixels[:, :1], relative[:, :1], K


@pytest.mark.parametrize("weak", [True, False])
@pytest.mark.parametrize("case", list(degenerate()), ids=lambda case: case[0])
def test_degenerate_points_give_finite_points_and_gradients(case, weak):
    _, pixels, relative, K = case
    pixels, relative = pixels.clone().requires_grad_(), relative.clone().requires_grad_()
    found = reconstruct(pixels, relative, K, SIDE, weak_perspective=weak)
    found.abs().sum().backward()
    assert found.isfinite().all()
    assert pixels.grad.isfinite().all()
    assert relative.grad.isfinite().all()


@pytest.mark.parametrize("weak", [True, False])
def test_gradients_stay_bounded_as_points_draw_together(weak):
    _, pixels, relative, K = people(1, 8, extent=0.3)
    found = []
    for spread in (1, 1e-2, 1e-4, 1e-8):
        close = (128 + spread * (pixels - 128)).requires_grad_()
        reconstruct(close, relative, K, SIDE, weak_perspective=weak).sum(dim=1)[0, 2].backward()
        found.append(float(close.grad.abs().max()))
    size = 800 * K[0, 0, 0]  # mm · pixels: depth is that of the body, times the focal length, over that in the picture
    assert found[0] < size / 10**2
    assert max(found) < 4 * size / 0.4**2


def test_under_autocast_it_is_as_precise_as_without():
    _, pixels, relative, K = people(4, kind=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = reconstruct(pixels, relative, K, SIDE)
    assert found.dtype == torch.float32
    assert torch.equal(found, reconstruct(pixels, relative, K, SIDE))


def test_mix_of_another_shape_is_an_error():
    _, pixels, relative, K = people(4)
    with pytest.raises(InputError, match=r"shape \(4,\)"):
        reconstruct(pixels, relative, K, SIDE, mix=torch.rand(4, 1))
