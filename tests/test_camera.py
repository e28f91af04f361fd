"""Cameras: closed forms, the way back, and OpenCV as an independent judge where it is installed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skelbridge.camera import Camera
from skelbridge.errors import InputError

MATRIX = [[1200.0, 0, 640], [0, 1180, 360], [0, 0, 1]]
LENSES = [(), (-0.3, 0.09), (0.1, -0.05, 1e-3, -2e-3), (-0.28, 0.1, 1e-3, -5e-4, -0.02), (0.2, 0.1, 0, 0, 0.05),
          (0.3, -0.1, 1e-3, 2e-3, 0.02, 0.5, -0.05, 0.01)]  # fmt: skip


def turned(axis, angle):
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def scene(count=200, seed=0):
    """Points that a camera at the origin sees within 30 degrees."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 9, (count, 1))
    return np.concatenate([rng.uniform(-0.4, 0.4, (count, 2)) * depth, depth], axis=1)


def test_a_pinhole_divides_by_depth():
    camera = Camera(MATRIX)
    np.testing.assert_allclose(camera.project([[0, 0, 5], [1, -0.5, 2]]), [[640, 360], [640 + 600, 360 - 295]])
    np.testing.assert_allclose(camera.rays([640 + 600, 360 - 295]), [0.5, -0.25])


def test_distortion_is_the_published_formula():
    k1, k2, p1, p2, k3 = lens = LENSES[3]
    x, y = 0.31, -0.22
    r = np.hypot(x, y)
    radial = 1 + k1 * r**2 + k2 * r**4 + k3 * r**6
    bent = [x * radial + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2), y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y]
    found = Camera(MATRIX, distortion=lens).project([x, y, 1])
    np.testing.assert_allclose(found, [640 + 1200 * bent[0], 360 + 1180 * bent[1]])


@pytest.mark.parametrize("lens", LENSES)
def test_rays_undo_projection(lens):
    camera = Camera(MATRIX, turned([1, 2, 3], 0.7), [0.2, -0.1, 0.3], lens)
    points = camera.to_world(scene())
    rays = camera.rays(camera.project(points))
    seen = camera.to_camera(points)
    np.testing.assert_allclose(rays, seen[:, :2] / seen[:, 2:], atol=1e-9)


@given(angle=st.floats(-3, 3), axis=st.tuples(*[st.floats(0.1, 1)] * 3), shift=st.tuples(*[st.floats(-5, 5)] * 3))
@settings(max_examples=30, deadline=None)
def test_moving_world_and_camera_together_changes_nothing(angle, axis, shift):
    camera, Q = Camera(MATRIX, turned([0, 1, 0], 0.3), [0.1, 0, 2], LENSES[2]), turned(axis, angle)
    moved = Camera(MATRIX, camera.rotation @ Q.T, camera.translation - camera.rotation @ Q.T @ shift, LENSES[2])
    points = camera.to_world(scene(20))
    np.testing.assert_allclose(moved.project(points @ Q.T + shift), camera.project(points), atol=1e-7)
    np.testing.assert_allclose(moved.position, Q @ camera.position + shift, atol=1e-9)
    np.testing.assert_allclose(camera.to_camera(camera.position), 0, atol=1e-12)


def test_what_is_behind_or_missing_is_missing():
    camera = Camera(MATRIX, distortion=LENSES[1])
    assert np.isnan(camera.project([[0, 0, -1], [0, 0, 0], [np.nan, 0, 1]])).all()
    assert np.isnan(camera.rays([np.nan, 3])).all()


def test_a_lens_does_not_fold_the_outside_into_the_image():
    camera = Camera(MATRIX, distortion=(-0.3,))  # r - 0.3 r³ grows up to r = 1.054
    assert np.isfinite(camera.project([1.05, 0, 1])).all()
    assert np.isnan(camera.project([1.7, 0, 1])).all()
    edge = 640 + 1200 * (1.0541 - 0.3 * 1.0541**3)
    assert np.isnan(camera.rays([edge + 5, 360])).all()
    np.testing.assert_allclose(camera.rays(camera.project([1.04, 0, 1])), [1.04, 0], atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"matrix": np.eye(2)}, "matrix"),
        ({"matrix": np.diag([-1.0, 1, 1])}, "focal"),
        ({"matrix": MATRIX, "rotation": np.diag([1.0, 1, -1])}, "rotation"),
        ({"matrix": MATRIX, "rotation": 2 * np.eye(3)}, "rotation"),
        ({"matrix": MATRIX, "translation": [0, np.nan, 0]}, "translation"),
        ({"matrix": MATRIX, "distortion": np.zeros(9)}, "distortion"),
        ({"matrix": MATRIX, "lens": "fisheye"}, "lens"),
    ],
)
def test_what_is_no_camera_is_refused(arguments, word):
    with pytest.raises(InputError, match=word):
        Camera(**arguments)


def test_the_lens_of_human36m_has_the_tangential_products_once():
    k1, k2, p1, p2, k3 = lens = LENSES[3]
    x, y = 0.31, -0.22
    r2 = x**2 + y**2
    factor = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * y + p2 * x
    camera = Camera(MATRIX, distortion=lens, lens="h36m")
    found = camera.project([x, y, 1])
    np.testing.assert_allclose(found, [640 + 1200 * (x * factor + p2 * r2), 360 + 1180 * (y * factor + p1 * r2)])
    np.testing.assert_allclose(camera.rays(found), [x, y], atol=1e-9)


@pytest.mark.parametrize("lens", LENSES)
def test_opencv_agrees(lens):
    cv2 = pytest.importorskip("cv2", reason="OpenCV, an independent judge, is not installed")
    vector, shift = np.array([0.3, -0.5, 0.2]), np.array([0.1, 0.2, 0.4])
    camera = Camera(MATRIX, cv2.Rodrigues(vector)[0], shift, lens)
    points = camera.to_world(scene())
    judged, _ = cv2.projectPoints(points, vector, shift, np.array(MATRIX), np.array(camera.distortion))
    np.testing.assert_allclose(camera.project(points), judged[:, 0], atol=1e-8)
