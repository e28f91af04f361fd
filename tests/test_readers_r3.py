"""What readers do with files that come in several forms, and with files that are not as they should be."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skelbridge.datasets import Reader, reader_class
from skelbridge.errors import FileFormatError, InputError
from skelbridge.io import rle
from skelbridge.io.tree import MissingFileError, Tree
from skelbridge.store.samples import Samples

pytest.importorskip("av")
pytest.importorskip("PIL")
IDS = (
    "aspset_510", "chi3d", "fit3d", "human_sc3d", "cmu_panoptic", "coco", "coco_wholebody", "halpe", "posetrack18",
    "jrdb", "jta", "ikea_asm", "people3d", "umpm",
)  # fmt: skip

Copy = Callable[[str], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The folder with a dataset's native-layout copy, made once."""
    from skelbridge.synthetic.native import write_copy

    folder = tmp_path_factory.mktemp("copies")

    def get(name: str) -> Path:
        if not (folder / name).exists():
            write_copy(name, folder / name)
        return folder / name

    return get


@pytest.fixture
def copy(made: Copy, tmp_path: Path) -> Copy:
    """The same, to be changed."""
    return lambda name: Path(shutil.copytree(made(name), tmp_path / name))


def read(name: str, root: Path, **settings: str) -> tuple[Samples, Reader]:
    reader = reader_class(name)(Tree(root), settings=settings)
    return Samples.joined([block for part in reader.parts() for block in reader.read(part)]), reader


def same(one: Samples, other: Samples, tolerance: float = 1e-3) -> None:
    """Asserts that both say the same of the same people."""
    assert len(one) == len(other)
    for column in ("split", "sequence", "view", "image", "subject"):
        assert one.text[column].tolist() == other.text[column].tolist()
    for values in ("points", "points2d", "box"):
        first, second = getattr(one, values), getattr(other, values)
        assert (first is None) == (second is None)
        assert first is None or np.allclose(first, second, atol=tolerance, equal_nan=True)
    assert np.array_equal(one.frame, other.frame)
    assert np.array_equal(one.world_known, other.world_known)
    assert one.points is None or np.allclose(one.world(), other.world(), atol=tolerance, equal_nan=True)


def changed(path: Path, change: Callable[[Any], Any]) -> None:
    """Rewrites a JSON file."""
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


@pytest.mark.parametrize("name", IDS)
def test_an_empty_folder_is_not_the_dataset(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=tmp_path.name):
        reader_class(name)(Tree(tmp_path)).parts()


@pytest.mark.parametrize("name", ["chi3d", "fit3d"])
def test_joints_at_200_hz_and_at_50_hz_give_the_same_frames(name: str, copy: Copy) -> None:
    root = copy(name)
    before, _ = read(name, root)
    path = sorted(root.glob("train/*/joints3d_25/*.json"))[0]

    def other_rate(content: Any) -> Any:
        joints = np.array(content["joints3d_25"])
        axis = joints.ndim - 3
        frames = 1 + before.frame[[n == str(path.relative_to(root)) for n in before.text["native"].tolist()]].max()
        other = (
            joints.repeat(4, axis) if joints.shape[axis] < 2 * frames else joints.take(range(0, 4 * frames, 4), axis)
        )
        return {"joints3d_25": other.tolist()}

    changed(path, other_rate)
    same(read(name, root)[0], before)


def test_joints_that_fit_the_video_at_no_rate_stop_the_reading_unless_the_rate_is_said(copy: Copy) -> None:
    root = copy("fit3d")
    path = sorted(root.glob("train/*/joints3d_25/*.json"))[0]
    changed(path, lambda content: {"joints3d_25": content["joints3d_25"][:2]})
    with pytest.raises(FileFormatError, match="2 rows"):
        read("fit3d", root)
    samples, _ = read("fit3d", root, joints_per_frame="1")
    mine = np.array([native == str(path.relative_to(root)) for native in samples.text["native"].tolist()])
    assert sorted(set(samples.frame[mine].tolist())) == [0, 1]


def test_the_rate_holds_for_a_camera_whose_video_is_missing(copy: Copy) -> None:
    root = copy("fit3d")
    before, _ = read("fit3d", root)
    for video in sorted(root.glob("train/*/videos/*"))[::2]:
        shutil.rmtree(video)
    after, reader = read("fit3d", root)
    assert not reader.notes.remarks
    seen = [{*zip(s.text["image"].tolist(), s.frame.tolist(), strict=True)} for s in (before, after)]
    assert seen[0] <= seen[1]
    assert max(after.frame) == max(before.frame)


def test_a_rate_that_there_is_not_is_refused(copy: Copy) -> None:
    with pytest.raises(InputError, match="0, 1 or 4"):
        read("fit3d", copy("fit3d"), joints_per_frame="-1")


def test_without_videos_joints_are_at_the_videos_rate(copy: Copy) -> None:
    root = copy("human_sc3d")
    shutil.rmtree(root / "train" / sorted(p.name for p in (root / "train").iterdir())[0] / "videos")
    _, reader = read("human_sc3d", root)
    assert any("50 Hz" in remark for remark in reader.notes.remarks)


def test_a_size_that_the_file_does_not_say_is_the_pictures(copy: Copy) -> None:
    root = copy("halpe")
    samples, _ = read("halpe", root)
    train = np.array(samples.text["split"].tolist()) == "train"
    assert {tuple(size) for size in samples.image_size[train].tolist()} == {(640, 427), (480, 640)}
    shutil.rmtree(root / "hico_20160224_det")
    without, _ = read("halpe", root)
    assert not without.image_size[train].any()


def test_info_names_the_subjects_for_training(copy: Copy) -> None:
    root = copy("fit3d")
    subjects = sorted(path.name for path in (root / "train").iterdir())
    for path in root.glob("*info.json"):
        path.unlink()
    (root / "info.json").write_text(json.dumps({"train_subj_names": subjects[1:]}))
    samples, reader = read("fit3d", root)
    assert set(samples.text["subject"].tolist()) == set(subjects[1:])
    assert any(subjects[0] in remark for remark in reader.notes.remarks)


def test_jtas_old_axes_are_turned(copy: Copy) -> None:
    root = copy("jta")
    before, reader = read("jta", root)
    assert not reader.notes.repaired
    for path in root.glob("annotations/*/*.json"):
        changed(path, lambda rows: [[*row[:6], row[7], -row[6], *row[8:]] for row in rows])
    after, reader = read("jta", root)
    same(after, before)
    assert sum(reader.notes.repaired.values()) == len(before)


def test_jta_with_another_focal_length(copy: Copy) -> None:
    root = copy("jta")
    samples, _ = read("jta", root, focal="1167")
    assert samples.cameras[0].matrix[0][0] == 1167  # type: ignore[index]
    with pytest.raises(InputError, match="focal"):
        read("jta", root, focal="wide")


def test_jrdbs_pictures_lie_two_frames_after_the_labels(copy: Copy) -> None:
    root = copy("jrdb")
    samples, _ = read("jrdb", root)
    unshifted, _ = read("jrdb", root, image_offset="0")
    for later, image, frame in zip(
        samples.text["image"].tolist(), unshifted.text["image"].tolist(), samples.frame, strict=True
    ):
        assert image.endswith(f"/{frame:06d}.jpg")
        assert later.endswith(f"/{frame + 2:06d}.jpg")


@pytest.mark.parametrize("form", ["K: {}", "K: '{}'", "K: [{}]", "K: >\n      {}"])
def test_jrdbs_calibration_in_every_form_of_yaml_it_may_have(form: str, copy: Copy) -> None:
    root = copy("jrdb")
    numbers = "476.71 0 350.738 0 479.505 209.532 0 0 1"
    other = "D: 0 0 0 0 0\n    R: 1 0 0 0 1 0 0 0 1\n    T: 0 -4.5 -52"
    sensors = "\n".join(f"  sensor_{n}:\n    width: 752\n    {form.format(numbers)}\n    {other}" for n in range(10))
    (root / "train_dataset/calibration/cameras.yaml").write_text(f"cameras:\n{sensors}\n")
    for camera in read("jrdb", root)[0].cameras:
        assert np.array_equal(camera.matrix, np.array(numbers.split(), float).reshape(3, 3))
        assert np.array_equal(camera.translation, [0, -4.5, -52])


def test_panoptics_poses_may_lie_in_a_folder_in_one_more_or_in_a_tar(copy: Copy) -> None:
    root = copy("cmu_panoptic")
    before, _ = read("cmu_panoptic", root)
    for folder in root.glob("*/hdPose3d_stage1_coco19"):
        inner = folder.with_name("inner")
        folder.rename(inner)
        folder.mkdir()
        inner.rename(folder / "hd")
    same(read("cmu_panoptic", root)[0], before)
    for folder in root.glob("*/hdPose3d_stage1_coco19"):
        shutil.make_archive(str(folder), "tar", folder.parent, folder.name)
        shutil.rmtree(folder)
    same(read("cmu_panoptic", root)[0], before)


def test_panoptics_confidence_is_a_choice(copy: Copy) -> None:
    root = copy("cmu_panoptic")
    none = reader_class("cmu_panoptic")(Tree(root), settings={"min_confidence": "1.1"})
    assert sum(len(block) for part in none.parts() for block in none.read(part)) == 0
    assert none.notes.dropped


@pytest.mark.parametrize("form", [list, str])
def test_cocos_masks_may_be_polygons_runs_or_codes(form: type, copy: Copy) -> None:
    root = copy("coco")
    before, _ = read("coco", root)
    assert any(before.masks)

    def coded(content: Any) -> Any:
        sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
        for annotation in content["annotations"]:
            size, polygons = sizes.get(annotation["image_id"]), annotation["segmentation"]
            if size and isinstance(polygons, list):
                code = rle.from_polygons(polygons, size)
                flat = rle.decode(code, size).ravel(order="F")
                runs = np.diff(np.flatnonzero(np.diff(flat, prepend=not flat[0], append=not flat[-1]))).tolist()
                counts = [0] * bool(flat[0]) + runs if form is list else code.decode()
                annotation["segmentation"] = {"counts": counts, "size": list(size[::-1])}
        return content

    for path in (root / "annotations").glob("*.json"):
        changed(path, coded)
    assert read("coco", root)[0].masks == before.masks


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "a\0b", ""])
def test_annotations_name_no_picture_outside_the_folder(name: str, copy: Copy) -> None:
    root = copy("coco")
    for path in (root / "annotations").glob("*.json"):
        changed(path, lambda c: {**c, "images": [{**image, "file_name": name} for image in c["images"]]})
    with pytest.raises(FileFormatError, match="file_name"):
        read("coco", root)


def test_posetracks_annotations_may_lie_in_the_folder_itself(copy: Copy) -> None:
    root = copy("posetrack18")
    before, _ = read("posetrack18", root)
    shutil.move(root / "posetrack_data/annotations", root / "annotations")
    same(read("posetrack18", root)[0], before)


def test_posetracks_sizes_are_those_of_the_pictures(copy: Copy) -> None:
    root = copy("posetrack18")
    samples, _ = read("posetrack18", root)
    assert {tuple(size) for size in samples.image_size.tolist()} == {(640, 360), (426, 240), (640, 480)}
    shutil.rmtree(root / "images")
    assert not read("posetrack18", root)[0].image_size.any()


def test_umpms_videos_may_be_unpacked(copy: Copy) -> None:
    import lzma

    root = copy("umpm")
    before, _ = read("umpm", root)
    for path in (root / "Video").glob("*.avi.xz"):
        path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()
    after, _ = read("umpm", root)
    assert all(image.endswith(".avi") for image in after.text["image"].tolist())
    assert np.array_equal(np.asarray(after.points), np.asarray(before.points), equal_nan=True)
    for path in (root / "Video").glob("*.avi"):
        path.unlink()
    without, _ = read("umpm", root)
    assert len(without) >= len(before)


def test_umpms_other_broken_files_are_an_error(copy: Copy) -> None:
    root = copy("umpm")
    (root / "p1_grab_3.json").write_text('{"calib": ')
    with pytest.raises(FileFormatError, match=r"p1_grab_3\.json"):
        read("umpm", root)


def test_ikeas_calibration_as_json_or_as_a_pickle(copy: Copy) -> None:
    root = copy("ikea_asm")
    before, _ = read("ikea_asm", root)
    scenes: dict[str, Any] = {}
    for path in root.glob("Calibration/*/*/camera_parameters.json"):
        said = json.loads(path.read_text())
        scenes.setdefault(path.parts[-3], {})[path.parts[-2]] = {k: np.array(v) for k, v in said.items()}
        path.unlink()
    (root / "Calibration/camera_parameters.pkl").write_bytes(pickle.dumps(scenes))
    same(read("ikea_asm", root)[0], before)


def test_people3d_without_masks_and_with_points_that_fit_no_camera(copy: Copy) -> None:
    root = copy("people3d")
    before, _ = read("people3d", root)
    assert all(before.masks)
    assert np.isfinite(before.box).all()
    bare, _ = read("people3d", root, masks="no")
    assert not any(bare.masks)
    assert np.isnan(bare.box).all()
    path = sorted(root.glob("skeleton/*/*/camera01/0001.txt"))[0]
    rows = np.array([line.split() for line in path.read_text().splitlines()], float)
    rows[:, 0] = rows[::-1, 0]
    path.write_text("\n".join(" ".join(map(str, row)) for row in rows))
    after, reader = read("people3d", root)
    assert len(after) == len(before) - 1
    assert any("no camera" in reason for reason in reader.notes.dropped)
