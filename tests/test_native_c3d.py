"""The C3D writer of native-layout copies, held against the reader and against ezc3d."""

from __future__ import annotations

import numpy as np
import pytest

from skelbridge.io import c3d
from skelbridge.synthetic.native._c3d import write_c3d


@pytest.fixture
def written(tmp_path):
    """A file with an invalid point; its points and labels."""
    points = np.random.default_rng(0).uniform(-3000, 3000, (7, 30, 3))
    points[2, 3] = np.nan
    labels = [f"A:m{number}" for number in range(30)]
    write_c3d(tmp_path / "some.c3d", points, labels, 50, more={"POINT": {"SKEL": "made_up"}, "TRIAL": {"CAMERA": 3}})
    return tmp_path / "some.c3d", points, labels


def test_what_is_written_is_read(written):
    path, points, labels = written
    poses = c3d.read(path, None)
    np.testing.assert_allclose(poses.points, points, atol=1e-3)
    assert poses.fps == 50
    assert list(poses.skeleton.names) == [label.removeprefix("A:") for label in labels]


def test_ezc3d_reads_the_same(written):
    ezc3d = pytest.importorskip("ezc3d", reason="ezc3d is not installed")
    path, points, labels = written
    file = ezc3d.c3d(str(path))
    np.testing.assert_allclose(file["data"]["points"][:3].transpose(2, 1, 0), points, atol=1e-3)
    parameters = file["parameters"]
    assert parameters["POINT"]["LABELS"]["value"] == labels
    assert parameters["POINT"]["UNITS"]["value"] == ["mm"]
    assert parameters["POINT"]["RATE"]["value"][0] == 50
    assert parameters["POINT"]["SKEL"]["value"] == ["made_up"]
    assert parameters["TRIAL"]["CAMERA"]["value"][0] == 3
    assert file["header"]["points"]["first_frame"] == 0
    assert file["header"]["points"]["last_frame"] == 6
