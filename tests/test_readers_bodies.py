"""What the readers of AIST++, AGORA, 3DOH50K, SPEC-SYN, RICH and their kin decide, on their native-layout copies."""

import json
import pickle
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from skelbridge.datasets import reader_class
from skelbridge.datasets._placing import placed
from skelbridge.datasets.aist_plusplus import frames_shown
from skelbridge.errors import FileFormatError, InputError
from skelbridge.io.tree import MissingFileError, Tree
from skelbridge.store.samples import Samples
from skelbridge.synthetic.native import write_copy
from skelbridge.synthetic.native._smpl import write_models
from skelbridge.synthetic.scene import virtual_scene


def read(name, root, *, models=True, **options):
    folder = root / "models" if models and (root / "models").is_dir() else None
    reader = reader_class(name)(Tree(root), models=folder, **options)
    return Samples.joined([block for part in reader.parts() for block in reader.read(part)]), reader.notes


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A function that gives the folder of a copy, written once."""
    made = {}

    def folder(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name) / name
            write_copy(name, made[name])
        return made[name]

    return folder


@pytest.fixture
def changed(tmp_path):
    """A function that writes a copy which may be changed."""

    def folder(name):
        write_copy(name, tmp_path / name)
        return tmp_path / name

    return folder


@pytest.mark.parametrize("rounding", ["down", "up"])
@pytest.mark.parametrize("rate", [Fraction(60000, 1001), Fraction(30), Fraction(60), Fraction(50)])
def test_frames_shown_at_60_a_second_are_those_of_ffmpeg(rate, rounding):
    av = pytest.importorskip("av")
    tick = 1 / rate
    graph = av.filter.Graph()
    about = f"video_size=16x16:pix_fmt=gray:time_base={tick}:frame_rate={rate}:pixel_aspect=1/1"
    source, rated = graph.add("buffer", about), graph.add("fps", f"fps=60:round={rounding}")
    source.link_to(rated)
    rated.link_to(graph.add("buffersink"))
    graph.configure()
    found = []
    for number in range(1100):
        frame = av.VideoFrame.from_ndarray(np.full((16, 16), number % 256, np.uint8), "gray")
        frame.pts, frame.time_base = number, tick
        graph.push(frame)
        while True:
            try:
                found.append(int(graph.pull().to_ndarray()[0, 0]))
            except av.error.BlockingIOError:
                break
    assert len(found) > 1000
    np.testing.assert_array_equal(frames_shown(len(found), float(rate), rounding) % 256, found)


def test_another_rounding_is_an_error():
    with pytest.raises(InputError, match="rounding"):
        frames_shown(3, 60.0, "near")


def test_bodies_are_placed_exactly_onto_their_points():
    """From any side, near and far, with some points unknown."""
    rng = np.random.default_rng(0)
    joints = virtual_scene(frames=60).joints("smpl_24")[:, 0] / 1000
    body = joints[rng.integers(0, 60, 200)][:, [12, 0, 16, 18, 20, 1, 4, 7, 17, 19, 21, 2, 5, 8]]
    body -= body.mean(axis=1, keepdims=True)
    turns = Rotation.random(200, random_state=1).as_matrix()
    shifts = np.stack([*rng.normal(size=(2, 200)), rng.uniform(1.6, 15, 200)], axis=1)
    seen = np.einsum("nij,npj->npi", turns, body) + shifts[:, None]
    known = rng.random((200, 14)) > 0.15
    found, moved, error = placed(body, seen[..., :2] / seen[..., 2:], known)
    np.testing.assert_allclose(found, turns, atol=1e-6)
    np.testing.assert_allclose(moved, shifts, atol=1e-5)
    assert error.max() < 1e-8
    np.testing.assert_allclose(np.linalg.det(found), 1)


def test_the_unit_of_3doh_can_be_chosen(copy):
    root = copy("doh3d_50k")
    fitted, _ = read("doh3d_50k", root)
    seventh, _ = read("doh3d_50k", root, settings={"unit": "seventh"})
    scale = [
        entry["scale"][0]
        for folder in ("trainset", "testset")
        for _, entry in sorted(json.loads((root / folder / "annots.json").read_text()).items())
    ]
    np.testing.assert_allclose(fitted.points, seventh.points * 7 / np.array(scale)[:, None, None], rtol=1e-5)
    np.testing.assert_allclose(fitted.projected(), seventh.projected(), atol=1e-2)
    with pytest.raises(InputError, match="unit"):
        read("doh3d_50k", root, settings={"unit": "inch"})


def test_hidden_people_of_agora_can_be_left_out(copy):
    """A limit of 0 leaves those of whom nothing is hidden."""
    root = copy("agora")
    every, _ = read("agora", root)
    some, notes = read("agora", root, settings={"max_occlusion": "0"})
    assert len(every) == len(some) + notes.dropped["the person is hidden by others"]
    assert notes.dropped["the person is hidden by others"] > 0


def test_places_in_agoras_world_are_upright(copy):
    """The feet lie below the head, y being down, whatever the pitch of the camera."""
    world = read("agora", copy("agora"))[0].world()
    names = reader_class("agora")(Tree(copy("agora"))).skeleton.names
    assert (world[:, names.index("left_foot"), 1] > world[:, names.index("head"), 1] + 500).all()


def test_smplx_joints_that_are_kept_are_those_of_all(copy):
    for name in ("agora", "rich"):
        whole, _ = read(name, copy(name), skeleton_id="smplx_127")
        part, _ = read(name, copy(name), skeleton_id="smplx_42")
        rows = [whole.skeleton.names.index(joint) for joint in part.skeleton.names]
        np.testing.assert_allclose(part.points, whole.points[:, rows], atol=0.01)


@pytest.mark.parametrize(
    ("name", "first", "second", "genders", "mm"),
    [
        ("aist_plusplus", "coco_17", "smpl_24", ("male",), 200),
        ("behave", "body_25", "smplh_52", (), 200),
        ("behave", "smplh_52", "smpl_24", ("male", "female"), 30),
    ],
)
def test_formats_of_one_dataset_lie_at_the_same_places(name, first, second, genders, mm, changed):
    """Points and bodies that were fitted to them, roughly; bodies of two families well."""
    root = changed(name)
    write_models(root / "models", {"smpl": genders})
    a, b = (read(name, root, skeleton_id=skeleton)[0] for skeleton in (first, second))
    assert a.text["image"].tolist() == b.text["image"].tolist()
    joints = ("left_wrist", "right_knee", "left_ankle", "right_shoulder")
    places = [one.world()[:, [one.skeleton.names.index(joint) for joint in joints]] for one in (a, b)]
    assert np.nanmax(np.linalg.norm(places[0] - places[1], axis=-1)) < mm


def test_the_smpl_bodies_of_bedlam_are_neutral_whatever_the_gender_says(changed):
    root = changed("bedlam")
    write_models(root / "models", {"smpl": ("neutral",)})
    path = sorted(root.glob("all_npz_12_training/*.npz"))[0]
    rows = dict(np.load(path))
    rows["pose_world"] = np.pad(rows["pose_world"][:, :66], ((0, 0), (0, 6)))
    rows["shape"] = rows["shape"][:, :10]
    (root / "all_npz_12_smpl_training").mkdir()
    np.savez(root / "all_npz_12_smpl_training" / path.name, **rows)
    found, _ = read("bedlam", root, skeleton_id="smpl_24")
    assert set(rows["gender"]) == {"male", "female"}
    assert len(found) == len(rows["gender"])
    assert np.isfinite(found.points).all()


def test_detections_of_3dpw_lie_near_its_joints(copy):
    flat, _ = read("threedpw", copy("threedpw"), skeleton_id="coco_18")
    deep, _ = read("threedpw", copy("threedpw"))
    assert len(flat) == len(deep)
    shoulders = [chosen.skeleton.names.index("left_shoulder") for chosen in (flat, deep)]
    off = np.linalg.norm(flat.points2d[:, shoulders[0]] - deep.projected()[:, shoulders[1]], axis=-1)
    assert np.nanmedian(off) < 60


@pytest.mark.parametrize(
    ("name", "model"), [("rich", "smplx/SMPLX_"), ("bedlam", "smplx/SMPLX_NEUTRAL"), ("spec", "smpl/SMPL_NEUTRAL")]
)
def test_a_missing_model_is_told(name, model, copy):
    with pytest.raises(MissingFileError) as caught:
        read(name, copy(name), models=False)
    for word in (model, "--models", name):
        assert word in str(caught.value)


def test_names_in_files_lead_nowhere_else(changed):
    root = changed("aist_plusplus")
    mapping = root / "annotations/cameras/mapping.txt"
    mapping.write_text("".join(f"{line.split()[0]} ../../../secret\n" for line in mapping.read_text().splitlines()))
    with pytest.raises(FileFormatError, match="mapping"):
        read("aist_plusplus", root)
    root = changed("behave")
    for path in root.glob("sequences/*/info.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "kinects": ["../../secret"]}))
    with pytest.raises(FileFormatError, match="kinects"):
        read("behave", root)
    root = changed("agora")
    for path in root.glob("SMPL/*.pkl"):
        table = {
            "imgPath": ["../../secret.png"],
            **{k: [[]] for k in ("gt_joints_3d", "gt_joints_2d", "isValid", "occlusion")},
        }
        path.write_bytes(pickle.dumps({**table, **{key: [0.0] for key in ("camX", "camY", "camZ", "camYaw")}}))
    with pytest.raises(FileFormatError, match="secret"):
        read("agora", root)
