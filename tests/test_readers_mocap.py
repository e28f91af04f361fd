"""What readers of native files can be told, and what they say where files are missing; a camera from points."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skelbridge.camera import Camera
from skelbridge.datasets import reader_class
from skelbridge.datasets._resection import resected
from skelbridge.errors import InputError, SkelbridgeError
from skelbridge.io import rle
from skelbridge.io.tree import MissingFileError, Tree
from skelbridge.store.samples import Samples
from skelbridge.synthetic.native import write_copy
from skelbridge.synthetic.scene import look_at

Copy = Callable[[str], Path]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The native-layout copy of a dataset, written once."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / name
            write_copy(name, made[name])
        return made[name]

    return of


def read(name: str, root: Path, only: str = "", **settings: Any) -> Samples:
    reader = reader_class(name)(Tree(root), settings={key: str(value) for key, value in settings.items()})
    blocks = [block for part in reader.parts() if part.key.startswith(only) for block in reader.read(part)]
    return Samples.joined(blocks)


def test_the_displaced_takes_of_human36m_move_by_200_mm(copy: Copy) -> None:
    root = copy("h36m")
    moved, left = (read("h36m", root, "S9/Greeting.", shift=shift) for shift in (True, False))
    np.testing.assert_allclose((moved.world() - left.world())[..., 0], -200, atol=1e-2)
    np.testing.assert_allclose((moved.world() - left.world())[..., 1:], 0, atol=1e-2)
    middle = moved.box[:, :2] + moved.box[:, 2:] / 2
    np.testing.assert_array_less(np.linalg.norm(middle - moved.projected().mean(axis=1), axis=1), 60)


def test_boxes_of_human36m_can_be_left_alone(copy: Copy) -> None:
    assert np.isnan(read("h36m", copy("h36m"), "S1/", boxes=False).box).all()


def test_cameras_and_bodies_of_mpi_inf_3dhp_are_chosen(copy: Copy) -> None:
    root = copy("mpi_inf_3dhp")
    some = read("mpi_inf_3dhp", root, "S1/Seq1", cameras="0,2")
    assert set(some.text["view"].tolist()) == {"0", "2"}
    metric, universal = (read("mpi_inf_3dhp", root, "TS1", pose=pose) for pose in ("metric", "universal"))
    np.testing.assert_array_equal(metric.points2d, universal.points2d)
    np.testing.assert_allclose(metric.cameras[0].matrix, universal.cameras[0].matrix)
    assert np.nanmax(np.abs(metric.points - universal.points)) > 10


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("mpi_inf_3dhp", {"pose": "green"}),
        ("mpi_inf_3dhp", {"cameras": "front"}),
        ("mupots_3d", {"pose": "green"}),
        ("muco_3dhp", {"images_from": 2}),
    ],
)
def test_a_wrong_setting_says_what_is_right(copy: Copy, name: str, setting: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"the setting {next(iter(setting))}.*expected"):
        read(name, copy(name), **setting)


def test_the_source_of_muco_may_lie_elsewhere(copy: Copy, tmp_path: Path) -> None:
    together, apart = copy("muco_3dhp"), tmp_path / "muco"
    shutil.copytree(together, apart)
    for folder in sorted(apart.glob("S[1-8]")):
        (tmp_path / "source").mkdir(exist_ok=True)
        folder.rename(tmp_path / "source" / folder.name)
    with pytest.raises(MissingFileError, match="--set source"):
        read("muco_3dhp", apart)
    np.testing.assert_array_equal(
        read("muco_3dhp", apart, source=tmp_path / "source").points, read("muco_3dhp", together).points
    )


def test_augmented_composites_of_muco_have_the_same_people(copy: Copy, tmp_path: Path) -> None:
    root = tmp_path / "muco"
    shutil.copytree(copy("muco_3dhp"), root)
    (root / "unaugmented_set_001").rename(root / "augmented_set_001")
    plain, augmented = read("muco_3dhp", copy("muco_3dhp")), read("muco_3dhp", root)
    assert all(image.startswith("augmented_set_001/") for image in augmented.text["image"].tolist())
    np.testing.assert_array_equal(augmented.points, plain.points)


def test_people_of_surreal_lie_in_their_masks(copy: Copy) -> None:
    found = read("surreal", copy("surreal"), "train/run0")
    hits = []
    for code, points in zip(found.masks, found.projected(), strict=True):
        mask = rle.decode(code, (320, 240))
        x, y = np.round(points).astype(int).T
        inside = (x >= 0) & (x < 320) & (y >= 0) & (y < 240)
        hits += mask[y[inside], x[inside]].tolist()
    assert np.mean(hits) > 0.9
    assert read("surreal", copy("surreal"), masks=False).masks[0] is None


def test_hidden_people_of_sail_vos_are_kept_on_demand(copy: Copy) -> None:
    assert len(read("sail_vos", copy("sail_vos"), occluded=1.0)) > len(read("sail_vos", copy("sail_vos")))


@pytest.mark.parametrize("take", ["HipHop_HipHop1", "Kata_F2"])
def test_the_left_camera_of_the_stereo_part_of_mads_is_read_on_demand(copy: Copy, take: str) -> None:
    several = read("mads", copy("mads"), take)
    first = several[np.array(several.text["view"].tolist()) == "C0"]
    left = read("mads", copy("mads"), f"depth/{take}", stereo=True)
    assert set(left.text["view"].tolist()) == {"Left"}
    assert left.text["image"][0].endswith("_Left.avi")
    np.testing.assert_allclose(left.points, first.points, atol=0.01)
    np.testing.assert_allclose(left.projected(), first.projected(), atol=0.01)


def test_test_samples_of_h3wb_without_a_pictures_name_are_dropped(copy: Copy, tmp_path: Path) -> None:
    root = tmp_path / "h3wb"
    shutil.copytree(copy("h3wb"), root)
    (root / "RGBto3D_test_3d.json").unlink()
    half = read("h3wb", root, "2Dto3D_test_3d.json")
    file = root / "2Dto3D_test_3d.json"
    (first, sample), *others = json.loads(file.read_text()).items()
    del sample["image_path"]
    file.write_text(json.dumps({first: sample, **dict(others)}))
    assert len(read("h3wb", root, "2Dto3D_test_3d.json")) == len(half) - 1


def test_mpii_counts_from_nought_or_as_it_is(copy: Copy) -> None:
    counted, as_it_is = (read("mpii", copy("mpii"), from_one=flag).points2d for flag in (True, False))
    np.testing.assert_allclose(as_it_is - counted, np.where(np.isnan(counted), np.nan, 1), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("h36m", "Release-v1.2/metadata.xml"),
        ("mpi_inf_3dhp", "S1/Seq1/camera.calibration"),
        ("muco_3dhp", "sampled_dataset_info.mat"),
        ("bml_movi", "Calib/cameraParams_PG1.npz"),
        ("gpa", "xyz_gpa12_mdp_cntind_crop_cam_c2g.json"),
        ("total_capture", "calibration.cal"),
        ("mpii", "mpii_human_pose_v1_u12_1.mat"),
    ],
)
def test_a_missing_file_is_named(copy: Copy, tmp_path: Path, name: str, file: str) -> None:
    root = tmp_path / name
    shutil.copytree(copy(name), root)
    (root / file).unlink()
    with pytest.raises(SkelbridgeError, match=Path(file).name.replace(".", r"\.")):
        read(name, root)


def test_an_empty_folder_is_no_dataset(tmp_path: Path) -> None:
    for name in ("h36m", "mpi_inf_3dhp", "mupots_3d", "surreal", "bml_movi", "mads", "h3wb", "sail_vos"):
        with pytest.raises(MissingFileError):
            read(name, tmp_path)


def test_a_camera_is_found_from_what_it_saw() -> None:
    rng = np.random.default_rng(0)
    lens = look_at((3000, 1500, 4000), (200, 900, 0), focal=1100, size=(1280, 800))
    matrix = np.array([[1100, 0, 640], [0, 1130, 400], [0, 0, 1]])
    lens = Camera(matrix, lens.rotation, lens.translation)
    points = rng.normal(0, 400, (60, 3)) + np.array([200, 900, 0])
    far = np.array([2e6, -1e6, 5e5])
    found, error = resected(points + far, lens.project(points), (640, 400))
    assert error < 1e-4
    np.testing.assert_allclose(found.matrix, lens.matrix, atol=1e-2)
    np.testing.assert_allclose(found.position, lens.position + far, atol=0.05)
    np.testing.assert_allclose(found.rotation, lens.rotation, atol=1e-6)


def test_points_that_leave_a_camera_open_give_none() -> None:
    line = np.outer(np.arange(20.0), [1, 2, 3]) + np.array([0, 0, 3000])
    plane = np.c_[np.random.default_rng(1).normal(0, 300, (20, 2)), np.full(20, 3000.0)]
    lens = Camera([[1100, 0, 640], [0, 1100, 400], [0, 0, 1]])
    for points in (line, plane, plane[:5], np.tile(plane[:1], (20, 1))):
        assert resected(points, lens.project(points), (640, 400)) is None
