"""Readers on real numbers: re-packed frames of Human3.6M, MPI-INF-3DHP, MPII and H3WB, put back into native files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.datasets import reader_class
from skelbridge.io.pickles import read_npz, read_pickle
from skelbridge.io.tree import Tree
from skelbridge.skeletons import skeleton
from skelbridge.store.samples import Samples, Visibility

VIEWS = ("54138969", "55011271", "58860488", "60457274")


def unpickled(path: Path) -> Any:
    with path.open("rb") as stream:
        return read_pickle(stream, str(path))


def arrays(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:
        return read_npz(stream, str(path))


def read(name: str, root: Path, **options: Any) -> Samples:
    reader = reader_class(name)(Tree(root), **options)
    return Samples.joined([block for part in reader.parts() for block in reader.read(part)])


def in_28(values: np.ndarray) -> np.ndarray:
    """17 joints (17, D) among MPI-INF-3DHP's 28; the others at the pelvis."""
    few, many = skeleton("mpi_inf_3dhp_17"), skeleton("mpi_inf_3dhp_28")
    found = np.repeat(values[[few.index("pelvis")]], 28, axis=0)
    for joint, name in enumerate(few.names):
        found[many.index(name)] = values[joint]
    return found


def test_human36m_reprojects_exactly(real: Path, tmp_path: Path) -> None:
    """The stored picture points follow from the stored world, the calibration as it is written, and the lens."""
    cdfwrite = pytest.importorskip("cdflib.cdfwrite")
    cameras, frames = unpickled(real / "h36m" / "cameras.pkl"), arrays(real / "h36m" / "test_h36m_body3d.npz")
    outer, inner = np.zeros((4, 11, 6)), np.zeros((4, 9))
    for (subject, view), numbers in cameras.items():
        # the pickle has the rotation from the camera to the world, and metres
        angles = Rotation.from_matrix(numbers["R"].T).as_euler("XYZ")
        outer[VIEWS.index(view), int(subject[1:]) - 1] = [*angles, *1000 * numbers["T"].ravel()]
        inner[VIEWS.index(view)] = np.concatenate([numbers[key].ravel() for key in ("f", "c", "k", "p")])
    (tmp_path / "metadata.xml").write_text(f"<m><w0>[{' '.join(map(str, [*outer.flat, *inner.flat]))}]</w0></m>")
    expected = {}
    for name, points, image in zip(frames["imgname"], frames["S"], frames["part"], strict=True):
        subject, (take, view) = name.split("/")[0], name.split("/")[1].split("_", 1)[1].split(".")
        numbers = cameras[subject, view]
        world = 1000 * (points[:, :3] @ numbers["R"].T + numbers["T"].ravel())
        full = np.repeat(world[:1], 32, axis=0)
        for joint, word in enumerate(skeleton("h36m_17").names):
            full[skeleton("h36m_32").index(word)] = world[joint]
        folder = tmp_path / subject / "MyPoseFeatures" / "D3_Positions"
        folder.mkdir(parents=True)
        spec = {"Variable": "Pose", "Data_Type": 45, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": [1, 96]}
        with cdfwrite.CDF(str(folder / f"{take}.cdf"), cdf_spec={"Majority": "row_major"}) as file:
            file.write_var({**spec, "Var_Type": "zVariable", "Compress": 6}, var_data=full.reshape(1, 1, 96))
        expected[subject, view] = 1000 * points[:, :3], image[:, :2]
    found = read("h36m", tmp_path, skeleton_id="h36m_17")
    rows = [k for k in range(len(found)) if (found.text["subject"][k], found.text["view"][k]) in expected]
    assert len(rows) == len(frames["S"])
    for row in rows:
        seen, image = expected[found.text["subject"][row], found.text["view"][row]]
        np.testing.assert_allclose(found.points[row], seen, atol=0.01)
        np.testing.assert_allclose(found[np.array([row])].projected()[0], image, atol=0.01)


def test_mpi_inf_3dhp_reprojects_but_for_hips_and_spine(real: Path, tmp_path: Path) -> None:
    frame = arrays(real / "mpi_inf_3dhp" / "test_3dhp_train.npz")
    cameras = unpickled(real / "mpi_inf_3dhp" / "cameras_train.pkl")
    lines = ["Skeleton calibration file"]
    for view in (0, 1):
        numbers = cameras[f"S4_Seq2_Cam{view}"]
        inner, outer = np.eye(4), np.eye(4)
        inner[[0, 1], [0, 1]], inner[:2, 2] = numbers["f"].ravel(), numbers["c"].ravel()
        outer[:3, :3], outer[:3, 3] = numbers["R"], 1000 * numbers["T"].ravel()
        lines += [f"name {view}", "  sensor 10 10", "  size 2048 2048", "  animated 0"]
        lines += ["  intrinsic " + " ".join(map(str, inner.flat)), "  extrinsic " + " ".join(map(str, outer.flat))]
        lines += ["  radial 0"]
    folder = tmp_path / "S4" / "Seq2"
    folder.mkdir(parents=True)
    (folder / "camera.calibration").write_text("\n".join(lines))
    deep, flat = np.empty((2, 1), object), np.empty((2, 1), object)
    for view in (0, 1):
        deep[view, 0] = in_28(1000 * frame["S"][0, :, :3]).reshape(1, 84)
        flat[view, 0] = in_28(frame["part"][0, :, :2]).reshape(1, 56)
    values = {"annot3": deep, "annot2": flat, "cameras": [[0], [1]], "frames": [[0]]}
    scipy.io.savemat(folder / "annot.mat", values, do_compression=True)
    found = read("mpi_inf_3dhp", tmp_path, skeleton_id="mpi_inf_3dhp_17", settings={"cameras": "0"})
    assert len(found) == 1
    off = np.linalg.norm(found.projected()[0] - found.points2d[0], axis=1)
    unlike = np.isin(found.skeleton.names, ["right_hip", "left_hip", "spine"])
    assert off[~unlike].max() < 0.02
    assert off[unlike].min() > 0.3
    assert off[unlike].max() < 2.5


def test_the_test_camera_of_mpi_inf_3dhp_is_training_camera_8(real: Path, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    frame = arrays(real / "mpi_inf_3dhp" / "test_3dhp_test.npz")
    folder = tmp_path / "mpi_inf_3dhp_test_set" / "TS1"
    folder.mkdir(parents=True)
    with h5py.File(folder / "annot_data.mat", "w", userblock_size=512) as file:
        file["annot2"] = frame["part"][:, None, :, :2]
        file["annot3"] = file["univ_annot3"] = 1000 * frame["S"][:, None, :, :3]
        file["valid_frame"] = file["activity_annotation"] = np.ones((1, 1))
    found = read("mpi_inf_3dhp", tmp_path)
    (lens,) = found.cameras
    numbers = unpickled(real / "mpi_inf_3dhp" / "cameras_train.pkl")["S1_Seq1_Cam8"]
    training = Camera(np.eye(3), numbers["R"], 1000 * numbers["T"].ravel())
    np.testing.assert_allclose(lens.rotation, training.rotation, atol=2e-5)
    np.testing.assert_allclose(lens.position, training.position, atol=0.5)
    np.testing.assert_allclose(np.diag(lens.matrix)[:2], numbers["f"].ravel(), atol=0.5)
    np.testing.assert_allclose(np.asarray(lens.matrix)[:2, 2], numbers["c"].ravel(), atol=0.5)
    off = np.linalg.norm(found.projected()[0] - found.points2d[0], axis=1)
    assert np.nanmedian(off) < 0.02
    assert np.nanmax(off) < 2.5


def test_mpii_people_lie_in_their_pictures(real: Path, tmp_path: Path) -> None:
    people = json.loads((real / "mpii" / "test_mpii.json").read_text())
    pictures = np.empty((1, len(people)), object)
    for number, person in enumerate(people):
        points = np.empty((1, 16), [(name, object) for name in ("x", "y", "id", "is_visible")])
        for joint, (x, y) in enumerate(person["joints"]):
            points[0, joint] = (
                x,
                y,
                joint,
                str(person["joints_vis"][joint]) if joint not in (8, 9) else np.zeros((0, 0)),
            )
        there = [joint for joint, (x, y) in enumerate(person["joints"]) if x > 0 or y > 0]
        pictures[0, number] = {
            "image": {"name": person["image"]},
            "annorect": {"annopoints": {"point": points[:, there]}},
        }
    table = np.empty((1, len(people)), [("image", object), ("annorect", object)])
    for number in range(len(people)):
        table[0, number] = tuple(pictures[0, number].values())
    release = {"annolist": table, "img_train": np.ones((1, len(people)))}
    scipy.io.savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release}, long_field_names=True)
    (tmp_path / "images").mkdir()
    for picture in (real / "mpii").glob("*.jpg"):
        shutil.copy(picture, tmp_path / "images")
    found = read("mpii", tmp_path)
    assert len(found) == len(people)
    known = np.isfinite(found.points2d).all(axis=2)
    inside = ((found.points2d >= 0) & (found.points2d < found.image_size[:, None])).all(axis=2)
    assert known.sum() > 40
    assert (inside | ~known).all()
    for number, person in enumerate(people):
        np.testing.assert_allclose(
            found.points2d[number][known[number]], np.array(person["joints"])[known[number]] - 1, atol=1e-3
        )
    head = [found.skeleton.index("head_top"), found.skeleton.index("neck")]
    assert (found.visibility[:, head][known[:, head]] == Visibility.UNSAID).all()


def test_h3wb_has_the_cameras_of_human36m(real: Path, tmp_path: Path) -> None:
    shutil.copy(real / "h3wb" / "h3wb_train_bbox_subset.npz", tmp_path / "h3wb_train.npz")
    found = read("h3wb", tmp_path)
    assert len(found) == 1
    assert found.text["sequence"][0] == "S5/Directions 1"
    assert found.frame[0] == 2190
    (lens,) = found.cameras
    numbers = unpickled(real / "h36m" / "cameras.pkl")["S5", "60457274"]
    rotation = numbers["R"].T
    np.testing.assert_allclose(lens.rotation, rotation, atol=1e-5)
    np.testing.assert_allclose(lens.position, 1000 * numbers["T"].ravel(), atol=0.5)
    np.testing.assert_allclose(np.diag(lens.matrix)[:2], numbers["f"].ravel(), atol=0.01)
    bends = np.concatenate([numbers["k"].ravel()[:2], numbers["p"].ravel(), numbers["k"].ravel()[2:]])
    np.testing.assert_allclose(lens.distortion[:5], bends, atol=1e-6)
    entry = arrays(tmp_path / "h3wb_train.npz")["bbox"].item()["S5", "Directions 1", "60457274", 2190]
    left, top, width, height = found.box[0]
    assert [left, top, left + width, top + height] == pytest.approx(
        [entry[k] for k in ("x_min", "y_min", "x_max", "y_max")]
    )
