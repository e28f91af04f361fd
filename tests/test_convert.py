"""Converting poses: invariances, missing joints and confidence, arrays of every kind, bad input."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skelbridge.bridge import rest_body
from skelbridge.convert import Converter, convert
from skelbridge.errors import InputError, MissingExtraError, SkelbridgeError, UnknownNameError
from skelbridge.skeletons import Skeleton, formats, skeleton

PAIRS = [
    ("coco_17", "smpl_24"),
    ("mediapipe_pose_33", "h36m_17"),
    ("h36m_17", "body_25"),
    ("smplx_55", "coco_17"),
]


def every_card():
    return [card.with_side("left") if card.one_hand else card for card in formats()]


def poses(name, count=6, seed=0, side=None):
    """Poses of a format: the rest body bent by smooth random maps, turned and moved, mm."""
    rng = np.random.default_rng(seed)
    rest = skeleton(name, side=side).placement @ rest_body().landmarks
    turns = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    bends = rng.normal(size=(count, 3, 3)) * 2e-4
    bent = rest + np.einsum("jd,nde->nje", rest**2 / 1000, bends * 100) * 0.2
    return bent @ turns + rng.normal(size=(count, 1, 3)) * 1000


def mirror_pose(points, card):
    return (points * [-1, 1, 1])[..., card.mirror_index, :]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_conversion_commutes_with_rotation_translation_and_scaling(source, target):
    x = poses(source)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    moved = (x @ turn) * 0.37 + [10, -2000, 5]
    np.testing.assert_allclose(
        convert(moved, source, target), convert(x, source, target) @ turn * 0.37 + [10, -2000, 5], atol=1e-6
    )


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_mirrored_input_gives_mirrored_output(source, target):
    x = poses(source)
    a, b = skeleton(source), skeleton(target)
    np.testing.assert_allclose(convert(mirror_pose(x, a), a, b), mirror_pose(convert(x, a, b), b), atol=1e-9 * 1000)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_mirrored_holes_give_mirrored_holes(source, target):
    a, b = skeleton(source), skeleton(target)
    x = poses(source, 30)
    x[np.random.default_rng(0).random(x.shape[:2]) < 0.3] = np.nan
    np.testing.assert_allclose(convert(mirror_pose(x, a), a, b), mirror_pose(convert(x, a, b), b), atol=1e-6)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_weights_are_tied_exactly(source, target):
    c = Converter(source, target)
    W = c.solution.weights
    assert (W[c.target.mirror_index][:, c.source.mirror_index] == W).all()
    np.testing.assert_allclose(np.asarray(c.weights.sum(axis=1)).ravel(), 1, atol=1e-6)


@given(st.permutations(range(17)))
@settings(max_examples=15, deadline=None)
def test_the_order_of_a_card_changes_nothing_by_name(order):
    card = skeleton("coco_17")
    other = Skeleton.model_validate({**card.model_dump(), "id": "shuffled", "joints": [card.joints[i] for i in order]})
    x = poses("coco_17")
    np.testing.assert_allclose(convert(x[:, order], other, "smpl_24"), convert(x, card, "smpl_24"), atol=1e-6)
    back = convert(poses("smpl_24"), "smpl_24", other)
    np.testing.assert_allclose(back, convert(poses("smpl_24"), "smpl_24", card)[:, order], atol=1e-6)


def test_a_format_into_itself_is_a_copy():
    for card in every_card():
        c = Converter(card, card)
        np.testing.assert_array_equal(c.solution.weights, np.eye(len(card)), err_msg=str(card))
        assert set(c.status) == {"same point"}


def test_a_copy_gives_way_where_the_point_is_not_to_be_believed():
    c, x = Converter("mpi_inf_3dhp_17", "mpi_inf_3dhp_17"), poses("mpi_inf_3dhp_17")
    low = np.ones((6, 17))
    low[:, c.source.index("pelvis")] = 0.25
    assert not np.allclose(c(x, confidence=low).points[:, c.target.index("pelvis")], x[:, c.source.index("pelvis")])


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (1, 2, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dims", [2, 3])
def test_any_leading_shape_and_type(shape, dtype, dims):
    x = poses("coco_17", 12)[: max(int(np.prod(shape)), 1), :, :dims].reshape(*shape, 17, dims).astype(dtype)
    out = Converter("coco_17", "smpl_24")(x, confidence=np.ones((*shape, 17)))
    assert out.points.shape == (*shape, 24, dims)
    assert out.confidence.shape == out.expected_error.shape == (*shape, 24)
    assert out.points.dtype == dtype
    flat = convert(x.reshape(-1, 17, dims).astype(float), "coco_17", "smpl_24")
    np.testing.assert_allclose(out.points.reshape(-1, 24, dims), flat, atol=1e-2 if dtype == np.float32 else 1e-8)


def test_two_dimensions_are_the_first_two_of_three():
    x = poses("coco_17")
    np.testing.assert_allclose(
        convert(x[..., :2], "coco_17", "h36m_17"), convert(x, "coco_17", "h36m_17")[..., :2], atol=1e-9
    )


def test_no_frames_give_no_frames():
    for shape in [(0, 17, 3), (4, 0, 17, 2)]:
        assert convert(np.zeros(shape), "coco_17", "smpl_24").shape == (*shape[:-2], 24, shape[-1])
        out = Converter("coco_17", "smpl_24")(np.zeros(shape), confidence=np.zeros(shape[:-1]))
        assert out.expected_error.shape == out.confidence.shape == (*shape[:-2], 24)


def test_large_arrays_equal_small_ones_and_out_is_filled():
    x = np.random.default_rng(0).normal(size=(9000, 17, 3))
    x[np.random.default_rng(1).random((9000, 17)) < 0.001] = np.nan
    out = np.empty((9000, 24, 3))
    assert convert(x, "coco_17", "smpl_24", out=out) is out
    pieces = np.concatenate([convert(x[i : i + 100], "coco_17", "smpl_24") for i in range(0, 9000, 100)])
    np.testing.assert_allclose(out, pieces, atol=1e-9)


# -- missing joints and confidence ---------------------------------------------------------------------------------


def test_a_missing_wrist_costs_only_what_depends_on_it():
    c, x = Converter("coco_17", "smpl_24"), poses("coco_17")
    hole = x.copy()
    hole[:, c.source.index("left_wrist")] = np.nan
    full, holed = c(x), c(hole)
    changed = ~np.isclose(full.points, holed.points, atol=1e-9, equal_nan=True).all(axis=(0, 2))
    uses = c.solution.weights[:, c.source.index("left_wrist")] != 0
    assert (changed <= uses).all()
    assert {"left_wrist", "left_hand"} <= {c.target.names[i] for i in np.flatnonzero(changed)}
    errors = holed.relative_error[0]
    known = np.isfinite(errors)
    assert (errors[known] >= full.relative_error[0][known] - 1e-9).all()


def test_what_is_missing_does_not_leak():
    c, x = Converter("coco_17", "smpl_24"), poses("coco_17", 1)
    hole, wild = x.copy(), x.copy()
    hole[:, 9] = np.nan
    wild[:, 9, 1] = np.nan  # one coordinate missing is a joint missing
    wild[:, 9, 0] = 1e9
    np.testing.assert_array_equal(c(hole).points, c(wild).points)


def test_all_missing_gives_nan_and_zero_confidence():
    x = np.full((3, 17, 3), np.nan)
    x[1] = poses("coco_17", 1)[0]
    out = Converter("coco_17", "smpl_24")(x)
    assert np.isnan(out.points[[0, 2]]).all()
    assert (out.confidence[[0, 2]] == 0).all()
    assert np.isnan(out.expected_error[0]).all()
    assert np.isfinite(out.points[1]).any()
    sure = np.array([[0.0], [0.9], [np.nan]]) * np.ones(17)
    unsure = Converter("coco_17", "smpl_24")(poses("coco_17", 3), confidence=sure)
    assert np.isfinite(unsure.confidence).all()
    assert (unsure.confidence[[0, 2]] == 0).all()
    assert (unsure.confidence[1] > 0).any()


def test_what_cannot_be_estimated_is_nan_with_confidence_zero():
    c = Converter("coco_17", "coco_wholebody_133")
    out = c(poses("coco_17"))
    lost = np.array([s == "not estimable" for s in c.status])
    assert {"left_foot_index", "left_big_toe"} & {n for n, gone in zip(c.target.names, lost, strict=True) if gone}
    assert np.isnan(out.points[:, lost]).all()
    assert (out.confidence[:, lost] == 0).all()
    assert np.isfinite(out.points[:, ~lost]).all()
    assert (c.expected_error[~lost] <= c.max_error).all()
    assert (c.expected_error[lost] > c.max_error).all()


def test_confidence_decides_whom_to_believe():
    c = Converter("mediapipe_pose_33", "h36m_17", noise=10)
    x, sure = poses("mediapipe_pose_33"), np.ones((6, 33))
    unsure = sure.copy()
    unsure[:, c.source.index("left_wrist")] = 0.3
    row = c.target.index("left_wrist")
    a, b = c(x, confidence=sure), c(x, confidence=unsure)
    assert (b.relative_error[:, row] > a.relative_error[:, row]).all()
    assert (b.confidence[:, row] < a.confidence[:, row]).all()
    np.testing.assert_allclose(a.confidence[np.isfinite(a.relative_error)], 1)
    gone, missing = sure.copy(), x.copy()
    gone[:, 15], missing[:, 15] = 0, np.nan
    np.testing.assert_allclose(c(x, confidence=gone).points, c(missing).points, atol=1e-9)


@given(st.integers(0, 10**6), st.sampled_from(PAIRS), st.floats(0, 1), st.booleans(), st.sampled_from([2, 3]))
@settings(max_examples=40, deadline=None)
def test_points_errors_and_confidence_agree_on_what_is_known(seed, pair, share, sure, dims):
    rng = np.random.default_rng(seed)
    x = poses(pair[0], 5, seed)[..., :dims]
    x[rng.random(x.shape[:2]) < share] = np.nan
    confidence = None if sure else np.where(rng.random(x.shape[:2]) < 0.1, np.nan, rng.random(x.shape[:2]))
    out = Converter(*pair)(x, confidence=confidence)
    unknown = np.isnan(out.points).all(axis=-1)
    assert (unknown == np.isnan(out.points).any(axis=-1)).all()
    assert (unknown == np.isnan(out.relative_error)).all()
    assert (unknown == (out.confidence == 0)).all()
    assert ((out.confidence >= 0) & (out.confidence <= 1)).all()
    assert (out.relative_error[~unknown] <= 75).all()
    nowhere = np.isnan(x).any(axis=-1).all(axis=-1)
    assert unknown[nowhere].all()


def test_many_patterns_of_confidence_in_bounded_pieces(monkeypatch):
    x = poses("coco_17", 60)
    sure = np.random.default_rng(0).uniform(size=(60, 17))
    whole = Converter("coco_17", "smpl_24")(x, confidence=sure)
    monkeypatch.setattr("skelbridge.convert._SCRATCH", 1)  # one pattern at a time
    pieces = Converter("coco_17", "smpl_24")(x, confidence=sure)
    np.testing.assert_allclose(pieces.points, whole.points, atol=1e-9)
    np.testing.assert_allclose(pieces.confidence, whole.confidence)
    np.testing.assert_allclose(pieces.expected_error, whole.expected_error)
    alone = [Converter("coco_17", "smpl_24")(x[i], confidence=sure[i]).points for i in range(0, 60, 7)]
    np.testing.assert_allclose(whole.points[::7], alone, atol=1e-9)


def test_the_noise_part_is_what_noise_does():
    c, x = Converter("coco_17", "smpl_24", noise=12), poses("coco_17", 1)
    np.testing.assert_allclose(c.noise_error, 12 * np.sqrt(np.square(c.solution.weights).sum(axis=1)))
    shaken = x + np.random.default_rng(0).normal(size=(20_000, 17, 3)) * 12 / np.sqrt(3)
    off = np.sqrt(np.mean(np.sum((c(shaken).points - c(x).points) ** 2, axis=-1), axis=0))
    known = np.isfinite(off)
    np.testing.assert_allclose(off[known], c.noise_error[known], rtol=0.03)


def test_in_two_dimensions_the_size_is_that_of_the_body_seen_from_anywhere():
    c = Converter("smpl_24", "coco_17")
    rng = np.random.default_rng(0)
    turns = np.linalg.qr(rng.normal(size=(4000, 3, 3)))[0]
    seen = (c.source.placement @ rest_body().landmarks) @ turns
    known = c.expected_error <= c.max_error
    flat, deep = c(seen[..., :2]).expected_error[:, known], c(seen).expected_error[:, known]
    assert np.sqrt(np.mean(flat**2)) == pytest.approx(np.sqrt(np.mean(deep**2)), rel=0.08)


def test_more_noise_more_expected_error():
    quiet, loud = Converter("coco", "smpl", noise=1), Converter("coco", "smpl", noise=30)
    assert (loud.expected_error > quiet.expected_error).all()


def test_expected_error_is_in_the_units_of_the_input():
    c, x = Converter("coco_17", "smpl_24"), poses("coco_17")
    np.testing.assert_allclose(c(x / 1000).expected_error * 1000, c(x).expected_error, rtol=1e-9)
    parts = np.sqrt(c.bridge_error**2 + c.placement_error**2 + c.noise_error**2)
    np.testing.assert_allclose(parts, c.expected_error)
    # the rest body is 1.7 m tall, so its own scale is near one
    out = c(c.source.placement @ rest_body().landmarks)
    np.testing.assert_allclose(out.expected_error, out.relative_error, rtol=0.15)


def test_there_and_back_does_not_drift():
    for a, b in [("coco_17", "h36m_17"), ("smpl_24", "h36m_17"), ("h36m_17", "mpi_inf_3dhp_17")]:
        go, back = Converter(a, b), Converter(b, a)
        x = poses(a)
        there = go(x)
        home = back(there.points)
        off = np.sqrt(np.mean(np.sum((home.points - x) ** 2, axis=-1), axis=0))
        bound = np.nanmax(go.expected_error[np.isfinite(there.relative_error[0])]) + home.relative_error[0]
        assert (off < bound)[np.isfinite(bound)].all()


# -- hands and sides -----------------------------------------------------------------------------------------------


def test_hands_convert_without_a_side_and_bodies_ask_for_one():
    x = poses("mediapipe_hand_21", side="left")
    y = convert(x, "mediapipe_hand_21", "mano_21")
    assert np.isfinite(y).all()
    right = convert(x * [-1, 1, 1], "mediapipe_hand_21", "mano_21", side="right")
    np.testing.assert_allclose(right, y * [-1, 1, 1], atol=1e-6)
    with pytest.raises(InputError, match="side"):
        convert(poses("coco_wholebody_133"), "coco_wholebody_133", "mano_21")
    with pytest.raises(InputError, match="side"):
        convert(poses("coco_17"), "coco_17", "h36m_17", side="left")


def test_a_hand_of_a_whole_body():
    c = Converter("coco_wholebody_133", "mediapipe_hand_21", side="right")
    assert set(c.status) <= {"same point", "estimated"}
    used = {c.source.names[i] for i in np.flatnonzero(np.abs(c.solution.weights).max(axis=0) > 0.3)}
    assert not {name for name in used if name.startswith("left_")}
    assert Converter("coco_wholebody_133", "mediapipe_hand_21:right").status == c.status


def test_a_hand_does_not_invent_a_body():
    c = Converter("mediapipe_hand_21:left", "h36m_17")
    fine = {name for name, status in zip(c.target.names, c.status, strict=True) if status != "not estimable"}
    assert fine <= {"left_wrist", "left_elbow"}
    assert "left_wrist" in fine


def test_a_face_alone_gives_the_head_and_no_more():
    c = Converter("coco_wholebody_133", "h36m_17")
    x = c.source.placement @ rest_body().landmarks
    x[
        [
            not name.startswith(("nose", "left_eye", "right_eye", "jaw", "left_jaw", "right_jaw"))
            for name in c.source.names
        ]
    ] = np.nan
    out = c(x)
    known = {name for name, error in zip(c.target.names, out.relative_error, strict=True) if np.isfinite(error)}
    assert {"head", "head_top"} <= known <= {"head", "head_top", "neck"}
    off = np.linalg.norm(out.points - c.target.placement @ rest_body().landmarks, axis=-1)
    assert np.nanmax(off) < 60


def test_the_card_in_the_documents_converts_at_once(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "docs" / "cards.md").read_text(encoding="utf-8")
    (tmp_path / "lab_6.toml").write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    c = Converter("coco_17", str(tmp_path / "lab_6.toml"))
    out = c(poses("coco_17"))
    assert out.points.shape == (6, 6, 3)
    assert c.status[c.target.index("left_knee")] in ("same point", "estimated")
    monkeypatch.setenv("SKELBRIDGE_REGISTRY", str(tmp_path))
    np.testing.assert_array_equal(convert(poses("coco_17"), "coco", "lab"), out.points)
    assert np.isfinite(convert(out.points, "lab", "coco")).any()
    assert "lab_6" in {card.id for card in formats()}


# -- torch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [2, 3])
def test_torch_equals_numpy_and_can_be_differentiated(dims):
    torch = pytest.importorskip("torch")
    x = poses("coco_17", 8)[..., :dims]
    x[2, 5], x[5] = np.nan, np.nan
    c = Converter("coco_17", "smpl_24")
    t = torch.tensor(x, requires_grad=True)
    out, ref = c(t), c(x)
    assert isinstance(out.points, torch.Tensor)
    np.testing.assert_allclose(out.points.detach().numpy(), ref.points, atol=1e-9)
    np.testing.assert_allclose(out.confidence.numpy(), ref.confidence)
    np.testing.assert_allclose(out.expected_error.numpy(), ref.expected_error)
    sure = np.random.default_rng(0).uniform(size=(8, 17))
    a, b = c(t, confidence=torch.tensor(sure)), c(x, confidence=sure)
    np.testing.assert_allclose(a.points.detach().numpy(), b.points, atol=1e-9)
    np.testing.assert_allclose(a.confidence.numpy(), b.confidence)
    torch.nan_to_num(out.points).sum().backward()
    assert torch.isfinite(t.grad).all()
    assert (t.grad[2, 5] == 0).all()
    assert (t.grad[0] != 0).any()


def test_torch_float32_stays_float32():
    torch = pytest.importorskip("torch")
    x = torch.tensor(poses("coco_17"), dtype=torch.float32)
    assert convert(x, "coco_17", "smpl_24").dtype == torch.float32
    with pytest.raises(InputError, match="out="):
        convert(x, "coco_17", "smpl_24", out=np.empty((6, 24, 3), np.float32))


# -- words ---------------------------------------------------------------------------------------------------------


def test_explain_and_report_account_for_every_joint():
    c = Converter("coco", "smpl")
    text = c.explain("left_hip")
    assert "left_hip" in text.split("\n")[0].split("=")[1]
    assert all(word in text for word in ("bridge", "placement", "noise", c.status[c.target.index("left_hip")]))
    report = c.report()
    assert [row.joint for row in report.rows] == list(c.target.names)
    assert all(row.joint in str(report) for row in report.rows)
    for row, weights in zip(report.rows, c.solution.weights, strict=True):
        assert sum(float(s + w) for s, w in _terms(row.sources)) == pytest.approx(weights.sum(), abs=0.05)


def _terms(sources):
    words = ("+ " + sources).replace("+ - ", "- ").split()
    return zip(words[0::3], words[1::3], strict=True)


# -- bad input -----------------------------------------------------------------------------------------------------


_rng = np.random.default_rng(0)
#: x, y in pixels and a score, which look like 3D.
SCORED = np.concatenate([_rng.uniform(0, 640, (50, 17, 2)), _rng.uniform(0, 1, (50, 17, 1))], axis=-1)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.zeros((5, 19, 3)), ["17", "19"]),
        (np.zeros((17, 4)), ["4"]),
        (np.zeros(17), ["expected"]),
        (np.full((2, 17, 3), np.inf), ["infinite"]),
        (np.where(np.arange(17)[:, None] == 3, -np.inf, np.ones((2, 17, 3))), ["infinite", "3"]),
        (np.array([["a"] * 3] * 17), ["floats"]),
        (np.zeros((5, 17, 3), dtype=complex), ["complex"]),
        (SCORED, ["score", "confidence"]),
    ],
)  # fmt: skip
def test_bad_points_give_one_clear_error(points, words):
    with pytest.raises(InputError) as error:
        convert(points, "coco_17", "smpl_24")
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("confidence", [np.ones(17), np.full((6, 17), 1.5), np.full((6, 17), -0.1)])
def test_bad_confidence(confidence):
    with pytest.raises(InputError, match="confidence"):
        Converter("coco_17", "smpl_24")(poses("coco_17"), confidence=confidence)


@pytest.mark.parametrize("options", [{"noise": -1}, {"noise": np.nan}, {"max_error": 0}, {"placement": -1}])
def test_bad_options(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Converter("coco_17", "smpl_24", **options)


def test_unknown_formats_name_the_nearest():
    with pytest.raises(UnknownNameError, match="coco_17"):
        convert(np.zeros((17, 3)), "cocoo_17", "smpl")
    with pytest.raises(UnknownNameError, match="left_hip"):
        Converter("coco", "smpl").explain("left_hipp")


@pytest.mark.parametrize(
    "out",
    [np.empty((6, 24, 2)), np.empty((6, 24, 3), np.float32), np.empty((6, 3, 24)).transpose(0, 2, 1), []],
)
def test_bad_out(out):
    with pytest.raises(InputError, match="out="):
        convert(poses("coco_17"), "coco_17", "smpl_24", out=out)


def test_errors_are_of_one_family():
    assert all(issubclass(kind, SkelbridgeError) for kind in (InputError, UnknownNameError, MissingExtraError))


# -- every pair ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", every_card(), ids=str)
def test_every_pair(source):
    """Row sums, mirror symmetry, finite errors, a whole report, and the rest body on its own placement."""
    rest = rest_body().landmarks
    for target in every_card():
        c = Converter(source, target)
        s = c.solution
        np.testing.assert_allclose(s.weights.sum(axis=1), 1, atol=1e-6, err_msg=str(c))
        assert all(np.isfinite(part).all() for part in (s.bridge, s.placement, s.noise)), str(c)
        assert len(c.status) == len(target)
        if not (source.one_hand or target.one_hand or source.asymmetric):
            image = s.weights[target.mirror_index][:, source.mirror_index]
            sided = [name not in target.asymmetric for name in target.names]
            assert (s.weights == image)[sided].all(), str(c)
        off = np.linalg.norm(s.weights @ source.placement @ rest - target.placement @ rest, axis=1)
        fine = np.array(c.status) != "not estimable"
        # The expected error is an rms over poses and joints, this is one pose: single joints may exceed it somewhat.
        assert (off[fine] <= 1.6 * s.total[fine] + 1).all(), (str(c), (off[fine] / s.total[fine]).max())
        assert np.sum(off[fine] ** 2) <= np.sum((1.1 * s.total[fine]) ** 2), str(c)


def test_pairs_are_as_many_as_the_formats_allow():
    cards = every_card()
    assert len(list(itertools.permutations(cards, 2))) == len(cards) * (len(cards) - 1) >= 6000


def test_a_conversion_says_whether_its_places_were_learned():
    """Only where the target's place and those of all sources in use were learned from recordings."""
    among_learned = Converter("cmu_mocap_31", "cmu_mocap_31")
    assert set(among_learned.placement_evidence) == {"learned"}
    assert "(learned)" in among_learned.explain("left_hip")
    from_prior = Converter("coco_17", "cmu_mocap_31")
    assert set(from_prior.placement_evidence) == {"prior"}
    assert "(prior)" in from_prior.explain("left_hip")
