"""Stand-in SMPL-family models: the package `smplx` loads them, and agrees with the forward pass written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skelbridge.synthetic.native import _smpl
from skelbridge.synthetic.scene import virtual_scene

smplx, torch = pytest.importorskip("smplx"), pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    _smpl.write_models(made, {"smpl": ("male", "female"), "smplh": ("female",), "smplx": ("neutral", "male")})
    return made


def _packaged(folder: Path, kind: str, gender: str, betas, pose, translation, expression=(), **options):
    """The joints (F, J, 3) m and vertices that the package gives in double precision."""
    ext = "pkl" if kind == "smpl" else "npz"
    options |= {"ext": ext, "num_betas": len(betas), "batch_size": len(pose), "dtype": torch.float64}
    model = smplx.create(str(folder), kind, gender=gender, **options)
    flat = np.asarray(pose).reshape(len(pose), -1)
    cuts = {
        "smpl": {"body_pose": (3, 72)},
        "smplh": {"body_pose": (3, 66), "left_hand_pose": (66, 111), "right_hand_pose": (111, 156)},
        "smplx": {
            "body_pose": (3, 66), "jaw_pose": (66, 69), "leye_pose": (69, 72), "reye_pose": (72, 75),
            "left_hand_pose": (75, 120), "right_hand_pose": (120, 165),
        },
    }[kind]  # fmt: skip
    given = {name: torch.tensor(flat[:, a:b]) for name, (a, b) in cuts.items()}
    if len(expression):
        given["expression"] = torch.tensor(np.tile(expression, (len(pose), 1)))
    with torch.no_grad():
        out = model(betas=torch.tensor(np.tile(betas, (len(pose), 1))), global_orient=torch.tensor(flat[:, :3]),
                    transl=torch.tensor(translation), **given)  # fmt: skip
    return out.joints.numpy(), out.vertices.numpy()


@pytest.mark.parametrize(
    ("kind", "gender", "options", "vertices", "joints"),
    [
        ("smpl", "male", {}, 6890, 45),
        ("smpl", "female", {}, 6890, 45),
        ("smplh", "female", {"use_pca": False, "flat_hand_mean": True}, 6890, 73),
        ("smplx", "male", {"use_pca": False, "flat_hand_mean": True}, 10475, 127),
        ("smplx", "neutral", {"use_pca": False, "flat_hand_mean": True}, 10475, 127),
    ],
)
def test_the_package_agrees_with_the_forward_pass(folder, kind, gender, options, vertices, joints):
    rng = np.random.default_rng(1)
    model = _smpl.body_model(kind, gender)
    betas, translation = rng.normal(size=10), rng.normal(size=(4, 3))
    pose = rng.normal(0, 0.6, (4, len(model.parents), 3))
    expression = rng.normal(size=10) if kind == "smplx" else ()
    theirs, mesh = _packaged(folder, kind, gender, betas, pose, translation, expression, **options)
    ours = _smpl.posed(model, betas, pose, translation, expression)
    assert theirs.shape == (4, joints, 3)
    assert mesh.shape == (4, vertices, 3)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)  # the package reads float32 from the files


def test_hands_by_components_about_their_mean(folder):
    rng = np.random.default_rng(2)
    model = _smpl.body_model("smplx", "male")
    hands = rng.normal(size=(2, 3, 12))
    pose = np.zeros((3, 55, 3))
    for side, coefficients, first in zip("lr", hands, (25, 40), strict=True):
        pose[:, first : first + 15] = _smpl.hand_pose(model, side, coefficients)
    made = smplx.create(
        str(folder), "smplx", gender="male", ext="npz", num_pca_comps=12, flat_hand_mean=False, batch_size=3
    )
    with torch.no_grad():
        out = made(left_hand_pose=torch.tensor(hands[0]).float(), right_hand_pose=torch.tensor(hands[1]).float())
    np.testing.assert_allclose(_smpl.posed(model, np.zeros(10), pose), out.joints.numpy(), atol=1e-5)


def test_more_than_ten_shape_numbers_of_smplx(folder):
    betas, pose = np.random.default_rng(3).normal(size=11), np.zeros((1, 55, 3))
    theirs, _ = _packaged(folder, "smplx", "neutral", betas, pose, np.zeros((1, 3)), use_pca=False, flat_hand_mean=True)
    ours = _smpl.posed(_smpl.body_model("smplx", "neutral"), betas, pose)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    fewer = _smpl.posed(_smpl.body_model("smplx", "neutral"), betas[:10], pose)
    assert np.abs(ours - fewer).max() > 1e-3


@pytest.mark.parametrize(("kind", "format"), [("smpl", "smpl_24"), ("smplh", "smplh_52"), ("smplx", "smplx_55")])
@pytest.mark.parametrize("gender", _smpl.GENDERS)
def test_a_model_follows_people(kind, format, gender):
    joints = virtual_scene(2, 12, seed=5).joints(format)[:, 1] / 1000
    model = _smpl.body_model(kind, gender)
    betas, pose, translation = _smpl.follow(model, joints)
    made = _smpl.posed(model, betas, pose, translation)[:, : joints.shape[1]]
    off = np.linalg.norm(made - joints, axis=-1)
    assert off.mean() < 0.03
    assert off.max() < 0.06
    lengths = np.linalg.norm(made[:, 1:] - made[:, model.parents[1:]], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-9
