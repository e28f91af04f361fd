"""Crops are virtual cameras: what is projected by them lies where the picture shows it, however it was made."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch and OpenCV (pip install skelbridge[train])")
pytest.importorskip("cv2", reason="needs OpenCV (pip install skelbridge[train])")
from skelbridge.camera import Camera
from skelbridge.datasets.packing import cut
from skelbridge.errors import InputError
from skelbridge.estimator.crops import WHOLE, assumed_camera, flat_crop, looking_along, person_crop, reduced, shrunk

SIZE = (720, 560)
LENSES = {
    "straight": Camera([[900, 0, 371], [0, 860, 266], [0, 0, 1]]),
    "skewed": Camera([[900, 40, 371], [0, 860, 266], [0, 0, 1]]),
    "bent": Camera([[700, 0, 371], [0, 690, 266], [0, 0, 1]], distortion=(-0.25, 0.07, 0.004, -0.006, 0.01)),
    "rational": Camera([[700, 0, 371], [0, 690, 266], [0, 0, 1]], distortion=(0.3, 0.1, 0, 0.01, 0, 0.5, 0.1, 0.02)),
    "h36m": Camera([[700, 0, 371], [0, 690, 266], [0, 0, 1]], distortion=(-0.2, 0.2, 0.02, 0.03), lens="h36m"),
}
MOVES = {
    "upright": {},
    "moved": {"shift": (0.06, -0.08), "zoom": 0.8},
    "rolled": {"roll": np.radians(20), "zoom": 1.2},
    "flipped": {"flip": True},
    "all": {"shift": (-0.1, 0.02), "zoom": 0.9, "roll": -0.3, "flip": True},
}
BOX = np.array([420.0, 60.0, 130.0, 300.0])


def scene(camera, seed=0):
    """Points within the box, in the camera's axes, (12, 3) mm."""
    random = np.random.default_rng(seed)
    pixels = BOX[:2] + BOX[2:] * random.uniform(0.2, 0.8, (12, 2))
    rays = np.concatenate([camera.rays(pixels), np.ones((12, 1))], axis=1)
    return rays * random.uniform(2000, 5000, (12, 1))


def dot(pixel, size, spread=3.0):
    """A picture (height, width, 3) with one soft bright dot."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    bright = 250 * np.exp(-((x - pixel[0]) ** 2 + (y - pixel[1]) ** 2) / (2 * spread**2))
    return np.repeat(np.round(bright).astype(np.uint8)[..., None], 3, axis=2)


def brightest(image):
    """The middle of a dot, (2,) pixels."""
    weights = image[..., 0].astype(float)
    y, x = np.mgrid[: len(image), : len(image)]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("lens", LENSES)
def test_truth_is_where_the_crop_shows_it(lens, move):
    camera = LENSES[lens]
    crop = person_crop(camera, BOX, 128, **MOVES[move])
    for point, pixel in zip(scene(camera)[:4], camera.project_seen(scene(camera))[:4], strict=True):
        shown = crop.warp(dot(pixel, SIZE), finer=2)
        wanted = crop.project(crop.into(point))
        assert np.abs(brightest(shown) - wanted).max() < 0.1
        assert np.abs(brightest(crop.warp(dot(pixel, SIZE))) - wanted).max() < 0.2


@pytest.mark.parametrize("lens", ["straight", "bent"])
@pytest.mark.parametrize("move", ["moved", "all"])
def test_a_packed_picture_gives_the_same_crop(lens, move):
    from PIL import Image

    camera = LENSES[lens]
    crop = person_crop(camera, BOX, 128, **MOVES[move])
    for pixel, point in zip(camera.project_seen(scene(camera))[4:7], scene(camera)[4:7], strict=True):
        content, placed = cut(dot(pixel, SIZE, 4.0), BOX.astype(np.float32))
        packed = np.asarray(Image.open(__import__("io").BytesIO(content)))
        wanted = crop.project(crop.into(point))
        assert np.abs(brightest(crop.warp(packed, placed)) - wanted).max() < 0.2
        assert np.abs(brightest(crop.warp(*shrunk(packed, placed, crop))) - wanted).max() < 0.2


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("lens", LENSES)
def test_poses_come_back_to_the_source_camera(lens, move):
    camera, points = LENSES[lens], scene(LENSES[lens])
    crop = person_crop(camera, BOX, 256, **MOVES[move])
    np.testing.assert_allclose(crop.back(crop.into(points)), points, rtol=0, atol=1e-9)
    np.testing.assert_allclose(crop.into(points) @ crop.rotation, points, rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(crop.into(points), axis=1), np.linalg.norm(points, axis=1))
    assert crop.mirrors == MOVES[move].get("flip", False)
    assert np.linalg.det(crop.rotation) == pytest.approx(-1 if crop.mirrors else 1)
    np.testing.assert_allclose(crop.pixels(camera.project_seen(points)), crop.project(crop.into(points)), atol=1e-6)


@pytest.mark.parametrize("box", [(420, 60, 130, 300), (100, 200, 350, 80)])
def test_the_longer_side_fills_the_crop_and_its_middle_is_the_crops(box):
    camera, box = LENSES["straight"], np.array(box, float)
    crop = person_crop(camera, box, 128)
    middle, half = box[:2] + box[2:] / 2, np.where(box[2:] == box[2:].max(), box[2:] / 2, 0)
    np.testing.assert_allclose(crop.pixels(middle), [63.5, 63.5], atol=1e-9)
    assert np.linalg.norm(np.diff(crop.pixels([middle - half, middle + half]), axis=0)) == pytest.approx(128)
    np.testing.assert_allclose(crop.into(np.append(camera.rays(middle), 1.0))[:2], 0, atol=1e-12)
    assert crop.matrix[0, 0] == crop.matrix[1, 1]
    zoomed = person_crop(camera, box, 128, zoom=1.25)
    assert zoomed.matrix[0, 0] == pytest.approx(1.25 * crop.matrix[0, 0])


def test_crops_stand_upright():
    camera, up = LENSES["bent"], np.array([0.2, -0.9, 0.1])
    for given, name in (({}, (0, -1, 0)), ({"up": up}, up)):
        x, y, _ = person_crop(camera, BOX, 128, **given).into(name)
        assert abs(x) < 1e-12
        assert y < 0
    turned = person_crop(camera, BOX, 128, roll=0.3).into((0, -1, 0))
    assert np.arctan2(turned[0], -turned[1]) == pytest.approx(0.3)  # up goes right: clockwise
    rotation = looking_along((0, -1, 0), up=(0, -1, 0))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation @ [0, -1, 0], [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("move", MOVES)
def test_flat_crops_do_not_turn_towards_the_person(move):
    """A picture without a camera: similar to the source picture, shifted so that the box's middle is the crop's."""
    crop = flat_crop(SIZE, BOX, 128, **MOVES[move])
    zoom, shift = MOVES[move].get("zoom", 1.0), np.array(MOVES[move].get("shift", (0, 0)))
    middle = BOX[:2] + BOX[2:] / 2 + shift * 300
    np.testing.assert_allclose(crop.pixels(middle), [63.5, 63.5], atol=1e-9)
    corners = np.array([[400.0, 50.0], [500, 50], [400, 300]])
    shown = crop.pixels(corners)
    np.testing.assert_allclose(np.linalg.norm(shown[1] - shown[0]), 100 * zoom * 128 / 300)
    np.testing.assert_allclose(np.linalg.norm(shown[2] - shown[0]), 250 * zoom * 128 / 300)
    a, b = shown[1] - shown[0], shown[2] - shown[0]
    assert np.sign(a[0] * b[1] - a[1] * b[0]) == (-1 if crop.mirrors else 1)
    view = 2 * np.degrees(np.arctan(SIZE[0] / 2 / crop.camera.matrix[0, 0]))
    assert view == pytest.approx(8)
    for pixel in (corners[0], middle):
        shown = crop.warp(dot(pixel, SIZE), finer=2)
        if crop.pixels(pixel).min() > 12:
            assert np.abs(brightest(shown) - crop.pixels(pixel)).max() < 0.1


def test_a_whole_picture_of_an_assumed_camera_is_itself():
    camera = assumed_camera((128, 128), 55.0)
    crop = person_crop(camera, (-0.5, -0.5, 128, 128), 128)
    np.testing.assert_allclose(crop.matrix, camera.matrix)
    np.testing.assert_allclose(crop.rotation, np.eye(3), atol=1e-12)
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    np.testing.assert_array_equal(crop.warp(image), image)
    assert 2 * np.degrees(np.arctan(64 / camera.matrix[0, 0])) == pytest.approx(55)


def test_what_a_picture_does_not_show_is_black():
    white = np.full((560, 720, 3), 255, np.uint8)
    crop = person_crop(LENSES["straight"], (-150, 100, 300, 300), 128)
    shown = crop.warp(white)
    inside = crop.pixels([[0.0, 250.0]])[0, 0]
    assert (shown[:, : int(inside) - 2] == 0).all()
    assert (shown[20:-20, int(inside) + 3 :] == 255).all()


@pytest.mark.parametrize("distortion", [(), (-0.3, 0.02)])
def test_behind_a_wide_camera_and_beyond_its_lens_there_is_nothing(distortion):
    """The crop's corner looks where the source sees nothing; the picture's far side must not show up there."""
    camera = Camera([[200, 0, 400], [0, 200, 300], [0, 0, 1]], distortion=distortion)
    white = np.full((600, 800, 3), 255, np.uint8)
    crop = person_crop(camera, (20, 20, 560, 560), 128, zoom=0.25, shift=(-0.3, -0.3))
    shown = crop.warp(white)
    pixels = np.stack(np.meshgrid(np.arange(128), np.arange(128)), axis=-1)
    rays = crop.back(np.concatenate([pixels, np.ones((128, 128, 1))], axis=-1) @ np.linalg.inv(crop.matrix).T)
    seen = (rays[..., 2] > 0) & np.isfinite(camera.project_seen(np.where(rays[..., 2:] > 0, rays, np.nan))).all(-1)
    assert not seen.all()
    assert not shown[~seen].any()
    assert shown.any()


def test_averaging_before_warping_keeps_places():
    assert reduced((10, 20, 0.5), 2).tolist() == [11.0, 21.0, 0.25]
    crop = person_crop(LENSES["straight"], BOX, 64)
    assert crop.shrinks() == 4
    image, placed = shrunk(np.zeros((562, 722, 3), np.uint8), WHOLE, crop)
    assert image.shape == (140, 180, 3)
    assert np.asarray(placed).tolist() == [1.5, 1.5, 0.25]
    fine = np.tile(np.array([0, 255], np.uint8), (560, 360))[..., None].repeat(3, axis=2)
    assert np.ptp(crop.warp(*shrunk(fine, WHOLE, crop))) < 3 < np.ptp(crop.warp(fine))


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (np.nan, 0, 10, 10), (0, 0, 10), (5, 5, -3, -2)])
def test_no_box_no_crop(box):
    with pytest.raises(InputError, match="box"):
        person_crop(LENSES["straight"], box, 128)
    with pytest.raises(InputError, match="box"):
        flat_crop(SIZE, box, 128)
