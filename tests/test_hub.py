"""Conversion through latent keypoints: `Converter(..., via="latents")`."""

import numpy as np
import pytest

from skelbridge.bridge import shipped_acae
from skelbridge.bridge.acae import Joints
from skelbridge.cli import main
from skelbridge.convert import Converter, convert
from skelbridge.demo import SAMPLES, read_motion
from skelbridge.errors import InputError
from skelbridge.poses import Poses
from skelbridge.skeletons import skeleton

PAIRS = [
    ("coco_17", "smpl_24"), ("mediapipe_pose_33", "h36m_17"), ("body_25", "mixamo_22"), ("cmu_mocap_31", "coco_17"),
]  # fmt: skip


@pytest.fixture(scope="module")
def landmarks():
    return read_motion(SAMPLES / "motion.npz")[0]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_it_is_nearly_as_good_as_direct_and_the_errors_are_the_expected_ones(source, target, landmarks):
    given, goal = (skeleton(name).placement @ landmarks for name in (source, target))
    exact = {"placement": 0, "max_error": 1e9}
    hub, direct = Converter(source, target, via="latents", **exact), Converter(source, target, **exact)
    off = [np.sqrt(np.mean(np.sum((c.points(given) - goal) ** 2, axis=-1))) for c in (hub, direct)]
    assert off[0] < 1.3 * off[1] + 3
    np.testing.assert_allclose(hub.solution.weights.sum(axis=1), 1, atol=1e-9)
    expected = [np.sqrt(np.mean(c.expected_error**2)) for c in (hub, direct)]
    assert 0.9 * expected[1] < expected[0] < 1.3 * expected[1] + 3


def test_one_pose_in_several_formats_agrees_with_itself(landmarks):
    given = skeleton("mediapipe_pose_33").placement @ landmarks[::20]
    shared = [(f, joint) for f in ("coco_17", "h36m_17", "aspset_17", "lsp_14") for joint in skeleton(f).names]
    by_place = {}
    for f, joint in shared:
        place = tuple(skeleton(f).placement[skeleton(f).index(joint)])
        by_place.setdefault(place, []).append((f, joint))
    several = [named for named in by_place.values() if len(named) > 1]
    assert len(several) > 3
    for named in several:
        made = [convert(given, "mediapipe_pose_33", f, via="latents")[..., skeleton(f).index(j), :] for f, j in named]
        for other in made[1:]:
            np.testing.assert_allclose(other, made[0], atol=1e-6)


def test_it_turns_and_mirrors_with_the_pose(landmarks):
    source, target = skeleton("body_25"), skeleton("smpl_24")
    given = source.placement @ landmarks[::40]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    c = Converter(source, target, via="latents")
    np.testing.assert_allclose(c.points(given @ turn + 7), c.points(given) @ turn + 7, atol=1e-8)
    mirrored = c.points((given * [-1, 1, 1])[:, source.mirror_index])
    np.testing.assert_allclose(mirrored, (c.points(given) * [-1, 1, 1])[:, target.mirror_index], atol=1e-8)


def test_missing_joints_confidence_and_expected_errors(landmarks):
    given = skeleton("coco_17").placement @ landmarks[:6]
    whole = convert(given, "coco_17", "h36m_17", via="latents")
    given[0, 9] = np.nan
    confidence = np.ones((6, 17))
    confidence[1, 13:] = 0.3
    out = Converter("coco_17", "h36m_17", via="latents")(given, confidence)
    np.testing.assert_allclose(out.points[2:], whole[2:])
    known = ~np.isnan(out.points[0]).any(axis=-1)
    assert known.sum() >= 14
    assert np.abs(out.points[0] - whole[0])[known].max() < 250
    assert np.nanmean(out.expected_error[1]) > np.nanmean(out.expected_error[2])


def test_a_card_of_ones_own_and_hands(landmarks, tmp_path):
    card = tmp_path / "lab_2.toml"
    card.write_text(
        'id = "lab_2"\n[[joints]]\nname = "sternum"\nat = { sternum = 1.0 }\n'
        '[[joints]]\nname = "middle"\nat = { left_knee = 0.5, right_knee = 0.5 }\n'
    )
    given = skeleton("smplx_55").placement @ landmarks[::50]
    goal = skeleton(str(card)).placement @ landmarks[::50]
    made = Converter("smplx_55", str(card), via="latents", placement=0).points(given)
    assert np.linalg.norm(made - goal, axis=-1).mean() < 30
    hand = Converter("mediapipe_hand_21:left", "mano_16:left", via="latents")
    assert np.sqrt(np.mean(hand.bridge_error**2)) < 15


def test_an_autoencoder_of_ones_own(landmarks):
    pytest.importorskip("torch")
    from skelbridge.bridge.acae import fit_acae

    joints = Joints.of(["coco_17", "h36m_17"])
    acae = fit_acae(joints.placement @ landmarks, joints, (12, 4))
    c = Converter("coco_17", "h36m_17", via=acae)
    given, goal = (skeleton(name).placement @ landmarks for name in ("coco_17", "h36m_17"))
    assert np.linalg.norm(c.points(given) - goal, axis=-1).mean() < 40


def test_bad_requests_say_what_is_meant(landmarks):
    with pytest.raises(InputError, match="latents"):
        Converter("coco_17", "h36m_17", via="hub")
    points = [skeleton(name).placement @ landmarks for name in ("coco_17", "h36m_17")]
    with pytest.raises(InputError, match="via=None"):
        Converter("coco_17", "h36m_17", via="latents").fit(*points)


def test_the_command(tmp_path, landmarks, capsys):
    given = skeleton("coco_17").placement @ landmarks[:5]
    Poses(given, "coco_17", units="mm", fps=20).save(tmp_path / "a.npz")
    assert (
        main(["convert", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), "--to", "h36m_17", "--via", "latents"]) == 0
    )
    with np.load(tmp_path / "b.npz") as made:
        np.testing.assert_allclose(made["points"], convert(given, "coco_17", "h36m_17", via="latents"), atol=1e-3)
    assert main(["explain", "coco_17", "h36m_17", "--via", "latents"]) == 0
    assert "left_knee" in capsys.readouterr().out


def test_the_shipped_latents_fit_the_registry_as_it_is():
    acae = shipped_acae()
    assert acae.joints.names == Joints.registry().names  # else: skelbridge build-bridge
    encoder, decoder = acae.negative_share()
    assert encoder < 0.05
    assert decoder < 0.01
    from skelbridge.bridge import rest_body

    body = acae.joints.placement @ rest_body().landmarks
    np.testing.assert_allclose(acae.mean_pose, body, atol=1)
    assert np.linalg.norm(acae.reconstruct(body) - body, axis=-1).mean() < 10
