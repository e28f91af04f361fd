"""The solvers of the autoencoder: linear programmes and exact half-steps as judges, stops and resumptions."""

import numpy as np
import pytest
from acae_poses import poses

pytest.importorskip("torch", reason="fitting needs torch (pip install skelbridge[fit])")

from skelbridge.bridge.acae import fit as fitting
from skelbridge.bridge.acae import fit_acae, run
from skelbridge.bridge.acae.alternating import Alternating
from skelbridge.bridge.acae.descent import Descent, Recipe
from skelbridge.bridge.acae.exact import Exact, exact_decoder, exact_encoder, lasso_row
from skelbridge.errors import FileFormatError, InputError

FORMATS, SIZE = ("coco_17", "h36m_17"), (6, 2)


def fitted(monkeypatch, points, joints, **settings):
    """What was minimised, and the encoder and decoder over places that were found."""
    kept = {}
    solve = fitting._solve

    def spy(objective, *others):
        start, found = solve(objective, *others)
        kept.update(objective=objective, start=start, found=found)
        return start, found

    monkeypatch.setattr(fitting, "_solve", spy)
    fit_acae(points, joints, SIZE, held_out=0, **settings)
    monkeypatch.undo()
    return kept["objective"], kept["start"], kept["found"]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("price", [0.0, 0.05, 1.0])
def test_the_lasso_is_the_optimum_of_a_linear_programme(tied, price):
    """min mean|A w - y| + price |w|₁ with w = expand v and a sum of one,."""
    linprog = pytest.importorskip("scipy.optimize").linprog
    pytest.importorskip("cvxpy")
    rng = np.random.default_rng(1)
    n, L = 60, 8
    A, y = rng.normal(size=(n, L)), rng.normal(size=n)
    expand = np.eye(L)[:, : L // 2] + np.eye(L)[:, L // 2 :] if tied else np.eye(L)
    V = expand.shape[1]
    zeros, ones = np.zeros((n, L)), np.eye(n)
    cost = np.concatenate([np.zeros(V), np.full(n, 1 / n), np.full(L, price)])  # v, |residuals|, |weights|
    upper = [[A @ expand, -ones, zeros], [-A @ expand, -ones, zeros], [expand, zeros.T, -np.eye(L)],
             [-expand, zeros.T, -np.eye(L)]]  # fmt: skip
    bounds = [(None, None)] * V + [(0, None)] * (n + L)
    total = np.concatenate([expand.sum(axis=0), np.zeros(n + L)])[None]
    found = linprog(cost, np.block(upper), np.concatenate([y, -y, np.zeros(2 * L)]), total, [1.0], bounds)
    w = lasso_row(A, y, price, expand)
    assert w.sum() == pytest.approx(1, abs=1e-7)
    assert np.abs(A @ w - y).mean() + price * np.abs(w).sum() == pytest.approx(found.fun, rel=1e-6)
    np.testing.assert_allclose(w, expand @ found.x[:V], atol=1e-4)


@pytest.mark.parametrize("loss", ["huber", "l2"])
def test_the_lasso_with_other_losses_satisfies_the_optimality_conditions(loss):
    pytest.importorskip("cvxpy")
    rng = np.random.default_rng(2)
    A, y, price, delta = rng.normal(size=(80, 6)), rng.normal(size=80), 0.1, 0.5
    w = lasso_row(A, y, price, np.eye(6), loss, delta)
    residual = A @ w - y
    slope = (residual if loss == "l2" else residual.clip(-delta, delta)) / delta
    gradient = A.T @ slope / 80
    multiplier = -(gradient + price * np.sign(w))[np.abs(w) > 1e-4]
    assert np.ptp(multiplier) < 1e-3
    assert (np.abs(gradient + multiplier.mean()) < price + 1e-3).all()


@pytest.mark.parametrize(("l1", "projection"), [(0.1, False), (0.6, True)])
def test_exact_half_steps_gain_little_on_the_fast_solver(monkeypatch, l1, projection):
    pytest.importorskip("cvxpy")
    joints, points = poses(FORMATS, 40, depth=4000)
    o, start, (E, D) = fitted(monkeypatch, points, joints, l1=l1, projection=projection)
    value = o.value(E, D)
    assert value < o.value(*start)
    better = o.value(E.double(), exact_decoder(o, E.double(), D.double()))
    assert 0.97 * value < better < 1.0001 * value
    if not projection:
        assert 0.97 * value < o.value(exact_encoder(o, D.double()), D.double()) < 1.0001 * value


def test_exact_half_steps_keep_sums_and_mirror_images(monkeypatch):
    pytest.importorskip("cvxpy")
    joints, points = poses(FORMATS, 25)
    o, _, (E, D) = fitted(monkeypatch, points, joints)
    better_D, better_E = exact_decoder(o, E.double(), D.double()), exact_encoder(o, D.double())
    for W, rows, columns in ((better_D, o.mirror, o.latent_mirror), (better_E, o.latent_mirror, o.mirror)):
        np.testing.assert_allclose(W.sum(dim=1), 1, atol=1e-6)
        np.testing.assert_allclose(W[rows][:, columns], W, atol=1e-4)


def test_the_exact_solver_solves_small_problems_and_refuses_large_ones():
    pytest.importorskip("cvxpy")
    joints, points = poses("coco_17", 30)
    exact, fast = (fit_acae(points, joints, (4, 1), solver=solver, held_out=0) for solver in ("cvxpy", "alternating"))
    assert exact.certificate["objective_m"] == pytest.approx(fast.certificate["objective_m"], rel=0.03)
    np.testing.assert_allclose(exact.encoder.sum(axis=1), 1, atol=1e-12)
    joints, points = poses(FORMATS, 2000)
    with pytest.raises(InputError, match=r"exact encoder step.*Take fewer poses"):
        fit_acae(points, joints, (16, 4), solver="cvxpy")


def test_the_recipe_reaches_a_sane_objective_and_ours_a_lower_one():
    joints, points = poses(FORMATS, 1000)
    recipe, ours = (fit_acae(points, joints, SIZE, solver=s, l1=0.1, prune=0) for s in ("adam", "alternating"))
    ratio = ours.certificate["objective_m"] / recipe.certificate["objective_m"]
    assert 0.6 < ratio < 1
    np.testing.assert_allclose(recipe.encoder.sum(axis=1), 1, atol=1e-12)
    assert recipe.held_out["error"].mean() < 2 * recipe.held_out["start"].mean()


class Stop(KeyboardInterrupt):
    pass


STAGES = [
    ("alternating", Alternating, 37), ("alternating", Descent, 60), ("alternating", Descent, 130),
    ("adam", Recipe, 100), ("cvxpy", Exact, 1),
]  # fmt: skip


@pytest.mark.parametrize(("solver", "stage", "steps"), STAGES)
def test_a_fit_that_was_stopped_goes_on_to_the_same_bits(tmp_path, monkeypatch, solver, stage, steps):
    joints, points = poses("coco_17", 30 if solver == "cvxpy" else 400)
    part = tmp_path / "fit.part"

    def fit(**more):
        return fit_acae(points, joints, (4, 1), solver=solver, **more)

    whole, taken, step = fit(), [], stage.step

    def stopping(self, number):
        if len(taken) == steps:
            raise Stop
        taken.append(number)
        step(self, number)

    monkeypatch.setattr(run, "SAVE_EVERY", -1.0)
    monkeypatch.setattr(stage, "step", stopping)
    with pytest.raises(Stop):
        fit(checkpoint=part)
    assert part.exists()
    again = []
    monkeypatch.setattr(stage, "step", lambda self, number: (again.append(number), step(self, number))[1])
    resumed = fit(checkpoint=part)
    assert not part.exists()
    np.testing.assert_array_equal(resumed.encoder, whole.encoder)
    np.testing.assert_array_equal(resumed.decoder, whole.decoder)
    steps_in_all = {Alternating: 100, Exact: 3}.get(stage)
    if steps_in_all:
        assert len(taken) + len(again) == steps_in_all  # nothing was done twice


def checkpoint_left(tmp_path, monkeypatch):
    """A small fit's joints, poses and the checkpoint that it leaves when it does not get to remove it."""
    joints, points = poses("coco_17", 200)
    part = tmp_path / "fit.part"
    monkeypatch.setattr(run.Run, "finish", lambda self: None)
    fit_acae(points, joints, (4, 1), checkpoint=part)
    monkeypatch.undo()
    return joints, points, part


def test_a_checkpoint_of_another_fit_is_refused(tmp_path, monkeypatch):
    joints, points, part = checkpoint_left(tmp_path, monkeypatch)
    content = part.read_bytes()
    different = [
        (points, {"seed": 1}), (points, {"l1": 0.3}), (points + 1, {}), (points[:-20], {}), (points, {"loss": "l2"}),
        (points, {"importance": np.arange(1, 18)}), (points, {"projection": False, "prune": 0.01}),
    ]  # fmt: skip
    for other, settings in different:
        with pytest.raises(InputError, match=r"fit\.part is of a fit with other poses or settings.*Remove it"):
            fit_acae(other, joints, (4, 1), checkpoint=part, **settings)
    with pytest.raises(InputError, match="other poses or settings"):
        fit_acae(points, joints, (2, 1), checkpoint=part)
    assert part.read_bytes() == content
    fit_acae(points, joints, (4, 1), checkpoint=part)
    assert not part.exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "bits"])
def test_a_damaged_checkpoint_is_one_error(tmp_path, monkeypatch, damage):
    joints, points, part = checkpoint_left(tmp_path, monkeypatch)
    content = part.read_bytes()
    start = content.index(b"free.0")
    part.write_bytes({
        "cut": content[: len(content) // 2], "empty": b"", "other": b"PK" * 200,
        "bits": content[:start] + b"eerf.0" + content[start + 6 :],
    }[damage])  # fmt: skip
    with pytest.raises(FileFormatError, match=r"fit\.part cannot be read.*Remove it to begin anew"):
        fit_acae(points, joints, (4, 1), checkpoint=part)


def test_the_bar_shows_loss_error_and_negative_mass(monkeypatch):
    joints, points = poses("coco_17", 200)
    shown, look = [], run.Run.look
    monkeypatch.setattr(run.Run, "look", lambda self, *weights: shown.append(look(self, *weights)) or shown[-1])
    acae = fit_acae(points, joints, (4, 1), progress=True)
    last = shown[-1]
    assert last.startswith(f"loss {1000 * acae.certificate['objective_m']:.1f}")
    assert "mm, off " in last
    enc, dec = acae.negative_share()
    assert f"negative {enc:.1%} / {dec:.1%}" in last
