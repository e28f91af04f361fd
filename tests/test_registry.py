"""The registry: every built-in card, look-up, cards of users, and cards that are wrong."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from skelbridge import errors
from skelbridge.landmarks import Landmark, landmarks, mirrored_name, read_landmarks, registry_dir
from skelbridge.skeletons import Skeleton, card_paths, formats, read_card, skeleton

BUILT_IN = sorted((registry_dir() / "skeletons").glob("*.toml"))

#: Formats whose own list of edges is not the same on both sides.
NATIVE_EDGES_DIFFER = {"human4d_33"}

CARD = """
    id = "three_3"
    aliases = ["threesome"]
    root = ["middle"]
    mirror = [["left_hand", "right_hand"]]
    edges = [["left_hand", "middle"], ["right_hand", "middle"]]

    [[joints]]
    name = "middle"
    at = { pelvis = 0.5, left_hip = 0.25, right_hip = 0.25 }

    [[joints]]
    name = "left_hand"
    at = { left_wrist = 1 }

    [[joints]]
    name = "right_hand"
    at = { right_wrist = 1 }
"""


def written(folder: Path, text: str, name: str = "three_3.toml") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def sided(card: Skeleton) -> Skeleton:
    return card.with_side("left") if card.one_hand else card


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.stem)
def test_a_card_is_whole(path: Path) -> None:
    card = sided(read_card(path))
    assert card.id == path.stem
    assert len(card) == int(re.search(r"_(\d+)$", card.id).group(1))
    assert card.title
    assert card.root
    assert all(joint.at and joint.kind for joint in card.joints)
    assert card.placement.shape == (len(card), len(landmarks().names))
    np.testing.assert_allclose(card.placement.sum(axis=1), 1, atol=1e-6)
    assert np.abs(card.placement).sum(axis=1).max() <= 3.0 + 1e-9, "a placement is near-convex"
    assert (card.placement_uncertainty > 0).all()
    mirror = card.mirror_index
    assert (mirror[mirror] == np.arange(len(card))).all()


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.stem)
def test_edges_mirror_to_edges(path: Path) -> None:
    card = read_card(path)
    edges = {frozenset(edge) for edge in card.edge_index.tolist()}
    mirrored = {frozenset(card.mirror_index[edge].tolist()) for edge in card.edge_index}
    assert (edges == mirrored) == (card.id not in NATIVE_EDGES_DIFFER)
    assert all(len(edge) == 2 for edge in edges)


def test_there_are_78_formats_and_their_names_are_unique() -> None:
    assert len(BUILT_IN) == 78
    names = [name for card in formats() for name in (card.id, *card.aliases)]
    assert len({name.lower() for name in names}) == len(names)
    assert skeleton("coco").id == "coco_17"
    assert skeleton("SMPL").id == "smpl_24"


def test_the_same_point_is_written_the_same_way() -> None:
    def at(card: str, joint: str) -> dict[str, float]:
        found = skeleton(card)
        return found.joints[found.index(joint)].at

    assert at("coco_17", "left_knee") == at("body_25", "left_knee") == at("halpe_26", "left_knee")
    assert at("smpl_24", "left_knee") == at("smplx_55", "left_knee") == at("smplh_52", "left_knee")
    assert at("mediapipe_hand_21", "index1") == at("openpose_hand_21", "index1") == {"index_mcp": 1}
    assert at("mano_21", "index1") == at("mano_16", "index1") != at("openpose_hand_21", "index1")
    assert at("h36m_17", "left_hip") == at("h36m_32", "left_hip") != at("smpl_24", "left_hip")
    assert at("body_25", "neck") == at("coco_18", "neck") != at("openpose_25b_25", "neck")


def test_a_card_is_found_by_its_id_whatever_the_file_is_called(tmp_path, monkeypatch) -> None:
    (tmp_path / "other_name.toml").write_text('id = "lab_1"\njoints = [{ name = "a", at = { nose_tip = 1 } }]\n')
    monkeypatch.setenv("SKELBRIDGE_REGISTRY", str(tmp_path))
    assert skeleton("lab_1").names == ("a",)


def test_a_registry_folder_that_is_not_there_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SKELBRIDGE_REGISTRY", str(tmp_path / "nowhere"))
    with pytest.raises(errors.InputError, match="nowhere"):
        skeleton("coco_17")


def test_a_hand_needs_a_side_and_takes_one() -> None:
    left, right = skeleton("mediapipe_hand_21:left"), skeleton("mediapipe_hand_21", side="right")
    assert str(left) == "mediapipe_hand_21:left"
    np.testing.assert_array_equal(right.placement, left.placement[:, landmarks().mirror])
    names = landmarks().names
    assert names[left.placement[0].argmax()] == "left_wrist"
    assert names[right.placement[0].argmax()] == "right_wrist"
    np.testing.assert_array_equal(skeleton(left, side="right").placement, right.placement)
    with pytest.raises(errors.InputError, match="side="):
        _ = skeleton("mano_16").placement
    with pytest.raises(errors.InputError, match="Leave side= out"):
        skeleton("coco_17", side="left")


def test_unknown_names_list_the_nearest() -> None:
    with pytest.raises(errors.UnknownNameError, match="h36m_17"):
        skeleton("h36n_17")
    with pytest.raises(errors.UnknownNameError, match="left_knee"):
        skeleton("coco").index("left_kne")
    with pytest.raises(errors.UnknownNameError, match="left_elbow"):
        landmarks().index("left_elbo")


def test_a_user_adds_a_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, CARD)
    assert skeleton(path).names == ("middle", "left_hand", "right_hand")
    assert skeleton(str(path)).id == "three_3"
    with pytest.raises(errors.UnknownNameError):
        skeleton("three_3")
    monkeypatch.setenv("SKELBRIDGE_REGISTRY", str(tmp_path))
    assert skeleton("threesome") == skeleton("three_3") == skeleton(path)
    assert len(card_paths()) == 79
    (tmp_path / "skeletons").mkdir()
    path.rename(tmp_path / "skeletons" / path.name)
    assert "three_3" in {card.id for card in formats()}


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('name = "right_hand"', 'name = "right_foot"', "right_hand.*is no joint"),
        ('mirror = [["left_hand", "right_hand"]]', "", "orphan"),
        ("{ left_wrist = 1 }", "{ left_wirst = 1 }", "left_wirst.*no landmark.*left_wrist"),
        ("{ left_wrist = 1 }", "{ left_wrist = 0.9 }", "sum to 0.9"),
        ("{ left_wrist = 1 }", "{ left_elbow = 1 }", "not the mirror image"),
        ("left_hip = 0.25, right_hip = 0.25", "left_hip = 0.5", "not the mirror image"),
        ('name = "right_hand"', 'name = "left_hand"', "listed twice"),
        ('root = ["middle"]', 'roots = ["middle"]', "roots"),
        ('["left_hand", "middle"]', '["left_hand", "elbow"]', "elbow.*no joint"),
        ('name = "middle"', 'name = "the middle"', r"joints\.0\.name"),
        ("{ left_wrist = 1 }", "{ left_wrist = 1 ", "cannot be read"),
        ('root = ["middle"]', 'root = ["middle"]\ndims = 4', "dims"),
    ],
)
def test_a_wrong_card_says_what_and_where(tmp_path: Path, before: str, after: str, complaint: str) -> None:
    assert before in CARD
    path = written(tmp_path, CARD.replace(before, after, 1))
    with pytest.raises(errors.CardError, match=complaint) as caught:
        read_card(path)
    assert str(path) in str(caught.value)


def test_a_joint_without_a_partner_can_be_declared(tmp_path: Path) -> None:
    card = CARD.replace('mirror = [["left_hand", "right_hand"]]', 'asymmetric = ["left_hand", "right_hand"]')
    assert (read_card(written(tmp_path, card)).mirror_index == np.arange(3)).all()


def test_landmarks_come_in_pairs_and_are_read_off_with_weights_that_sum_to_one() -> None:
    found = landmarks()
    assert len(found.names) > 250
    assert (found.mirror[found.mirror] == np.arange(len(found.names))).all()
    assert [found.names[image] for image in found.mirror] == [mirrored_name(name) for name in found.names]
    for point in found.listed:
        weights = [*point.heads.values(), *point.tails.values(), *point.vertices.values()]
        assert sum(weights) == pytest.approx(1, abs=2e-3), point.name


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ('name = "left_x"\npart = "wing"\nkind = "bony"\ndefinition = "?"', "left_x"),
        ('name = "right_x"\npart = "arm"\nkind = "bony"\ndefinition = "?"', "List the left one"),
    ],
)
def test_a_wrong_landmark_file_says_which(tmp_path: Path, entry: str, complaint: str) -> None:
    with pytest.raises(errors.CardError, match=complaint):
        read_landmarks(written(tmp_path, f"[[landmark]]\n{entry}\n", "landmarks.toml"))


@pytest.fixture(scope="module")
def rest_points() -> np.ndarray:
    """The landmarks of anny's default body at rest, (landmarks, 3) in mm, x to the body's left, z up."""
    anny = pytest.importorskip("anny", reason="reading landmarks off a body needs anny")
    model = anny.Anny()
    output = model()
    places = dict(zip(model.bone_labels, 1000 * output["bone_poses"][0, :, :3, 3].numpy(), strict=True))
    indices = model.base_mesh_vertex_indices.tolist()
    places |= dict(zip(indices, 1000 * output["vertices"][0].numpy(), strict=True))

    def read(point: Landmark) -> np.ndarray:
        return sum((weight * places[key] for key, weight in {**point.heads, **point.vertices}.items()), np.zeros(3))

    points = {point.name: read(point) for point in landmarks().listed}
    points |= {mirrored_name(name): place * [-1, 1, 1] for name, place in points.items() if name.startswith("left_")}
    return np.array([points[name] for name in landmarks().names])


def test_hips_are_as_wide_as_published(rest_points: np.ndarray) -> None:
    def joint(card: str, name: str) -> np.ndarray:
        found = skeleton(card).prior()  # learned places answer to recordings, not to published figures
        return found.placement[found.index(name)] @ rest_points

    def hips_to_leg(card: str) -> float:
        hip, knee, ankle = (joint(card, f"left_{name}") for name in ("hip", "knee", "ankle"))
        leg = np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle)
        return float(np.linalg.norm(hip - joint(card, "right_hip")) / leg)

    published = {  # hip to hip, over thigh and shank of the same skeleton
        "smplx_55": 122.1 / 789.5,
        "smpl_24": 137.2 / 777.4,
        "mhr_70": 146.7 / 819.6,
        "cmu_mocap_31": 173.7 / 834.1,
        "panoptic_19": 197.6 / 820.1,
        "anny_104": 204.6 / 794.0,
        "h36m_17": 267.3 / 886.3,
        "mpi_inf_3dhp_17": 265.4 / 847.9,
    }
    placed = {card: hips_to_leg(card) for card in published}
    assert sorted(placed, key=placed.get) == list(published)
    for card, ratio in published.items():
        assert placed[card] == pytest.approx(ratio, rel=0.06), card


def test_joints_lie_in_the_order_of_the_body(rest_points: np.ndarray) -> None:
    up = {
        card: dict(zip(skeleton(card).names, (skeleton(card).placement @ rest_points)[:, 2], strict=True))
        for card in ("smpl_24", "h36m_17", "kinect_v2_25", "mpi_inf_3dhp_28", "cmu_mocap_31", "xsens_23")
    }
    chains = {
        "smpl_24": (
            "left_foot",
            "left_ankle",
            "left_knee",
            "left_hip",
            "pelvis",
            "spine1",
            "spine2",
            "neck",
            "head",
        ),
        "h36m_17": ("left_ankle", "left_knee", "left_hip", "spine", "neck", "head", "head_top"),
        "kinect_v2_25": ("left_hip", "spine_base", "spine_mid", "spine_shoulder", "neck", "head"),
        "mpi_inf_3dhp_28": ("pelvis", "spine", "spine2", "spine3", "spine4", "neck", "head", "head_top"),
        "cmu_mocap_31": ("left_hip", "pelvis", "spine1", "spine2", "thorax", "neck", "head", "head_top"),
        "xsens_23": ("pelvis", "spine1", "spine2", "spine3", "spine4", "neck", "head"),
    }
    for card, chain in chains.items():
        heights = [up[card][name] for name in chain]
        assert heights == sorted(heights), card
