"""Readers on real samples of COCO, COCO-WholeBody, Halpe, PoseTrack 2018 and CMU Panoptic."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from skelbridge.datasets import reader_class
from skelbridge.datasets.boxes import box_of, overlap
from skelbridge.io import rle
from skelbridge.io.images import image_size
from skelbridge.io.tree import Tree
from skelbridge.store.samples import Samples, Visibility

Read = Callable[..., Samples]


@pytest.fixture
def read(real: Path, tmp_path: Path) -> Read:
    """Reads a dataset whose folder is made of real samples: name in the dataset -> name of the sample."""

    def all_of(name: str, files: dict[str, str], skeleton_id: str | None = None) -> Samples:
        for target, source in files.items():
            path = tmp_path / target
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(real / source, path)
        reader = reader_class(name)(Tree(tmp_path), skeleton_id=skeleton_id)
        return Samples.joined([block for part in reader.parts() for block in reader.read(part)])

    return all_of


COCO = {
    "annotations/person_keypoints_val2017.json": "coco/test_coco.json",
    **{f"val2017/{n:012}.jpg": f"coco/{n:012}.jpg" for n in (785, 40083, 196141)},
}


def near(samples: Samples, one: str, other: str) -> np.ndarray:
    """Distances of two joints, of the longer side of the box, of those who have both."""
    points = np.asarray(samples.points2d)
    gap = points[:, samples.skeleton.index(one)] - points[:, samples.skeleton.index(other)]
    off = np.linalg.norm(gap, axis=-1) / samples.box[:, 2:].max(axis=-1)
    return off[np.isfinite(off)]


def test_coco_gives_everyone_who_has_a_labelled_point(read: Read, real: Path) -> None:
    samples = read("coco", COCO)
    said = json.loads((real / "coco/test_coco.json").read_text())["annotations"]
    listed = np.array([a["keypoints"] for a in said], float).reshape(-1, 17, 3)
    labelled = listed[(listed[..., 2] > 0).any(axis=1)]
    assert len(samples) == len(labelled) == 7
    assert samples.text["split"].tolist() == ["val2017"] * 7
    flags = np.array([0, 1, 2, 9])[samples.visibility]  # MISSING, OCCLUDED, VISIBLE, UNSAID
    given = np.concatenate([np.nan_to_num(np.asarray(samples.points2d)), flags[..., None]], axis=-1)
    assert sorted(given.tolist()) == sorted(labelled.tolist())


def test_cocos_masks_boxes_and_pictures_belong_to_the_points(read: Read, tmp_path: Path) -> None:
    samples = read("coco", COCO)
    for row in range(len(samples)):
        size = tuple(map(int, samples.image_size[row]))
        with Tree(tmp_path).open(samples.text["image"][row]) as stream:
            assert image_size(stream, "a") == size
        code = samples.masks[row]
        assert code is not None
        assert overlap(samples.box[row], rle.box(code, size))[0, 0] > 0.8
        x, y = samples.points2d[row][samples.visibility[row] == Visibility.VISIBLE].astype(int).T
        assert rle.decode(code, size)[y, x].mean() > 0.8


def test_coco_wholebody_has_hands_at_the_wrists_and_feet_at_the_ankles_of_their_side(read: Read) -> None:
    samples = read("coco_wholebody", {"coco_wholebody_val_v1.0.json": "coco/test_coco_wholebody.json"})
    body = read("coco", COCO)
    assert np.array_equal(np.asarray(samples.points2d)[:, :17], np.asarray(body.points2d), equal_nan=True)
    assert samples.masks == body.masks
    for side, other in (("left", "right"), ("right", "left")):
        for root, joint in ((f"{side}_hand_root", "wrist"), (f"{side}_heel", "ankle")):
            own, wrong = (near(samples, root, f"{word}_{joint}") for word in (side, other))
            assert np.median(own) < 0.1
            assert np.median(own) < np.median(wrong)


@pytest.mark.parametrize("skeleton_id", ["halpe_136", "halpe_26"])
def test_halpe_has_feet_at_the_ankles_of_their_side(read: Read, skeleton_id: str) -> None:
    samples = read("halpe", {"halpe_val_v1.json": "halpe/test_halpe.json"}, skeleton_id)
    assert len(samples) == 7
    assert len(samples.skeleton) == int(skeleton_id[6:])
    for side, other in (("left", "right"), ("right", "left")):
        heel = f"{side}_heel"
        assert np.median(near(samples, heel, f"{side}_ankle")) < np.median(near(samples, heel, f"{other}_ankle"))
    assert (overlap(samples.box, box_of(samples.points2d)).diagonal() > 0.3).all()


@pytest.mark.parametrize("skeleton_id", ["posetrack18_17", "posetrack18_15"])
def test_posetrack18(read: Read, real: Path, skeleton_id: str) -> None:
    names = [f"{kind}/val/{video}{end}" for video in ("003418_mpii_test", "009473_mpii_test")
             for kind, end in (("annotations", ".json"), ("images", "/000000.jpg"))]  # fmt: skip
    samples = read("posetrack18", {name: f"posetrack18/{name}" for name in names}, skeleton_id)
    assert len(samples) == 3
    assert set(samples.text["sequence"].tolist()) == {"003418_mpii_test", "009473_mpii_test"}
    assert samples.text["image"].tolist() == [f"images/val/{s}/000000.jpg" for s in samples.text["sequence"].tolist()]
    assert (samples.image_size == [1920, 1080]).all()
    assert set(np.unique(samples.visibility)) == {Visibility.MISSING, Visibility.UNSAID}
    points, card = np.asarray(samples.points2d), samples.skeleton
    outside = np.maximum(
        samples.box[:, None, :2] - points, points - samples.box[:, None, :2] - samples.box[:, None, 2:]
    )
    assert np.nanmax(outside) <= 1
    above = points[:, card.index("neck"), 1] - points[:, card.index("head_top"), 1]
    assert (above > 0).all()


def panoptic(read: Read) -> Samples:
    sequence = "160906_band1"
    poses = [f"{sequence}/hdPose3d_stage1_coco19/body3DScene_{n:08}.json" for n in (168, 169)]
    files = [f"{sequence}/calibration_{sequence}.json", *poses]
    return read("cmu_panoptic", {name: f"panoptic_body3d/{name}" for name in files})


def test_panoptic_gives_each_person_to_each_hd_camera(read: Read) -> None:
    samples = panoptic(read)
    assert len(samples) == len(set(zip(samples.text["view"].tolist(), samples.frame, samples.person, strict=True)))
    assert set(samples.text["view"].tolist()) == {f"00_{n:02}" for n in range(31)}
    assert sorted(set(samples.frame.tolist())) == [168, 169]
    assert np.array_equal(samples.video_frame, samples.frame)
    assert (samples.image_size == [1920, 1080]).all()
    first = samples.world()[samples.camera == 0]
    for camera in range(1, 31):
        assert np.allclose(samples.world()[samples.camera == camera], first, atol=0.01, equal_nan=True)


def test_panoptics_people_are_people_and_stand_before_the_cameras(read: Read) -> None:
    samples = panoptic(read)
    card, world = samples.skeleton, samples.world()[samples.camera == 0]
    at = {name: world[:, card.index(name)] for name in card.names}
    for side in ("left", "right"):
        for above, below in (("hip", "knee"), ("knee", "ankle")):
            length = np.linalg.norm(at[f"{side}_{above}"] - at[f"{side}_{below}"], axis=-1)
            assert ((length > 330) & (length < 480) | np.isnan(length)).all()
    assert (at["neck"][:, 1] < at["pelvis"][:, 1]).all()  # y points down
    ankles = np.stack([at["left_ankle"], at["right_ankle"]])[..., 1]
    assert np.nanmax(ankles) < 0 < np.nanmax(ankles) + 150
    # left and right: the nose lies before the shoulders
    ahead = np.cross(at["right_shoulder"] - at["left_shoulder"], at["pelvis"] - at["neck"])
    forward = np.sum(ahead * (at["nose"] - (at["left_shoulder"] + at["right_shoulder"]) / 2), axis=-1)
    assert (forward[np.isfinite(forward)] > 0).all()
    image = samples.projected()
    inside = ((image >= 0) & (image < samples.image_size[:, None])).all(axis=-1)[
        np.isfinite(samples.points).all(axis=-1)
    ]
    assert 0.8 < inside.mean() < 0.95
    heights = np.array([camera.position[1] for camera in samples.cameras])
    assert ((heights < -700) & (heights > -3500)).all()
