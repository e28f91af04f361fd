"""Joints of SMPL-family bodies agree with the models of the package smplx, on model files with random content."""

import pickle

import numpy as np
import pytest
import scipy.sparse

from skelbridge.datasets._smpl import BodyModel, smpl_gender
from skelbridge.errors import FileFormatError, InputError
from skelbridge.io.tree import MissingFileError

smplx = pytest.importorskip("smplx")
torch = pytest.importorskip("torch")

SIZES = {"smpl": (24, 6890, 10), "smplh": (52, 6890, 16), "smplx": (55, 10475, 20)}


def content(family, seed=0):
    joints, vertices, shapes = SIZES[family]
    rng = np.random.default_rng(seed)
    parents = np.array([2**32 - 1, *(rng.integers(0, joint) for joint in range(1, joints))], np.uint32)
    data = {
        "v_template": rng.normal(size=(vertices, 3)) * 0.3, "shapedirs": rng.normal(size=(vertices, 3, shapes)) * 0.01,
        "posedirs": rng.normal(size=(vertices, 3, 9 * (joints - 1))) * 0.001, "f": rng.integers(0, vertices, (500, 3)),
        "J_regressor": rng.dirichlet(np.full(vertices, 0.1), joints),
        "weights": rng.dirichlet(np.full(joints, 0.1), vertices),
        "kintree_table": np.stack([parents, np.arange(joints, dtype=np.uint32)]),
    }  # fmt: skip
    if family != "smpl":
        for side in "lr":
            data[f"hands_mean{side}"] = rng.normal(size=45) * 0.1
            data[f"hands_components{side}"] = rng.normal(size=(45, 45))
    if family == "smplx":
        data["lmk_faces_idx"] = rng.integers(0, 500, 51)
        data["lmk_bary_coords"] = rng.dirichlet(np.ones(3), 51)
    return data


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for family in SIZES:
        (folder / family).mkdir()
    data = content("smpl")
    data["J_regressor"] = scipy.sparse.csc_matrix(data["J_regressor"])
    (folder / "smpl/SMPL_MALE.pkl").write_bytes(pickle.dumps(data, 2))
    np.savez(folder / "smplh/SMPLH_FEMALE.npz", **content("smplh"))
    np.savez(folder / "smplx/SMPLX_NEUTRAL.npz", **content("smplx"))
    return folder


def drawn(*shape, scale=0.4):
    return np.random.default_rng(len(shape) + shape[-1]).normal(size=shape) * scale


def tensors(**values):
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def package(models, family, gender, **options):
    suffix = "pkl" if family == "smpl" else "npz"
    return smplx.create(models, family, gender=gender, ext=suffix, batch_size=3, dtype=torch.float64, **options)


def test_smpl_as_the_package_has_it(models):
    pose, betas, transl = drawn(3, 72), drawn(3, 10), drawn(3, 3)
    theirs = package(models, "smpl", "male")(
        **tensors(global_orient=pose[:, :3], body_pose=pose[:, 3:], betas=betas, transl=transl)
    )
    model = BodyModel.load(models, "smpl", "male", "a reader")
    theirs = theirs.joints.detach().numpy()
    np.testing.assert_allclose(model.joints(pose, betas, transl), theirs[:, :24], atol=1e-6)
    np.testing.assert_allclose(model.joints(pose, betas, transl, landmarks=True), theirs, atol=1e-6)
    np.testing.assert_allclose(model.joints(pose, betas[0], transl)[0], theirs[0, :24], atol=1e-6)


def test_smplh_with_full_and_with_principal_hands(models):
    pose, betas = drawn(3, 156), drawn(3, 10)  # the package takes 10 shape components of files with less than 300
    model = BodyModel.load(models, "smplh", "female", "a reader")
    body = {"global_orient": pose[:, :3], "body_pose": pose[:, 3:66], "betas": betas}
    flat = package(models, "smplh", "female", use_pca=False, flat_hand_mean=True)
    theirs = flat(**tensors(**body, left_hand_pose=pose[:, 66:111], right_hand_pose=pose[:, 111:]))
    np.testing.assert_allclose(model.joints(pose, betas), theirs.joints.detach().numpy()[:, :52], atol=1e-6)
    left, right = drawn(3, 12), drawn(3, 12) * 0.5
    bent = package(models, "smplh", "female", use_pca=True, num_pca_comps=12, flat_hand_mean=False)
    theirs = bent(**tensors(**body, left_hand_pose=left, right_hand_pose=right))
    ours = np.concatenate([pose[:, :66], model.hand_pose(left, right)], axis=1)
    np.testing.assert_allclose(model.joints(ours, betas), theirs.joints.detach().numpy()[:, :52], atol=1e-6)


def test_smplx_with_face(models):
    pose, betas, expression, transl = drawn(3, 165), drawn(3, 10), drawn(3, 10) * 2, drawn(3, 3)
    theirs = package(models, "smplx", "neutral", use_pca=False, flat_hand_mean=True)(
        **tensors(
            global_orient=pose[:, :3], body_pose=pose[:, 3:66], jaw_pose=pose[:, 66:69], leye_pose=pose[:, 69:72],
            reye_pose=pose[:, 72:75], left_hand_pose=pose[:, 75:120], right_hand_pose=pose[:, 120:], betas=betas,
            expression=expression, transl=transl,
        )
    )  # fmt: skip
    model = BodyModel.load(models, "smplx", "neutral", "a reader")
    theirs = theirs.joints.detach().numpy()
    ours = model.joints(pose, betas, transl, expression=expression, landmarks=True)
    assert ours.shape == (3, 127, 3)
    np.testing.assert_allclose(ours, theirs[:, :127], atol=1e-6)
    np.testing.assert_allclose(model.joints(pose, betas, transl, expression=expression), theirs[:, :55], atol=1e-6)


def test_many_frames_are_as_one_by_one(models):
    model = BodyModel.load(models, "smpl", "male", "a reader")
    pose = drawn(1100, 72)
    whole = model.joints(pose, np.zeros(10))
    for frame in (0, 511, 512, 1099):
        np.testing.assert_allclose(whole[frame], model.joints(pose[frame : frame + 1], np.zeros(10))[0], atol=1e-9)
    assert model.joints(pose[:0], np.zeros(10)).shape == (0, 24, 3)


def test_a_missing_model_says_which_where_from_and_where_to(models):
    for folder in (None, models):
        with pytest.raises(MissingFileError) as caught:
            BodyModel.load(folder, "smpl", "female", "rich")
        message = str(caught.value)
        for part in ("rich", "smpl/SMPL_FEMALE", "https://smpl.is.tue.mpg.de", "--models"):
            assert part in message


def test_wrong_parameters_are_named(models):
    model = BodyModel.load(models, "smpl", "male", "a reader")
    for wrong in (
        {"pose": np.zeros((2, 75)), "betas": np.zeros(10)},
        {"pose": np.zeros((2, 72)), "betas": np.zeros(11)},
        {"pose": np.zeros((2, 72)), "betas": np.zeros((3, 10))},
        {"pose": np.zeros((2, 72)), "betas": np.zeros(10), "transl": np.zeros((1, 3))},
        {"pose": np.zeros((2, 72)), "betas": np.zeros(10), "expression": np.zeros((2, 1))},
    ):
        with pytest.raises(InputError):
            model.joints(**wrong)
    with pytest.raises(FileFormatError, match="hands"):
        model.hand_pose(np.zeros((1, 6)), np.zeros((1, 6)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v_template", np.zeros((5, 3))), ("weights", None), ("kintree_table", np.full((2, 24), 30)),
        ("J_regressor", "text"), ("posedirs", np.full((6890, 3, 207), np.nan)),
    ],
)  # fmt: skip
def test_damaged_models_are_errors_of_the_file(name, value, tmp_path):
    (tmp_path / "smpl").mkdir()
    path = tmp_path / "smpl/SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps({**content("smpl"), name: value}))
    with pytest.raises(FileFormatError, match=name):
        BodyModel.load(tmp_path, "smpl", "neutral", "a reader")


@pytest.mark.parametrize(
    ("word", "gender"), [("m", "male"), (b"female", "female"), ("Neutral", "neutral"), ("f", "female")]
)
def test_genders(word, gender):
    assert smpl_gender(word, "x", "gender") == gender
