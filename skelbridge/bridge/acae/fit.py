"""Fitting the autoencoder: `fit_acae`, the front door.

>>> acae = fit_acae(poses, ["coco_17", "h36m_17", "smpl_24"], latents=(16, 4))
>>> print(acae.report())

A fit goes through stages: joints are chosen as the first latents (`start`), decoder and encoder improved in turn on
the poses' moments (`alternating`), then both on the objective itself (`descent`); small weights are pruned and the rest
fitted once more. Everything but the order in which poses are drawn is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skelbridge.bridge.acae.alternating import Alternating, factor, on_support
from skelbridge.bridge.acae.attach import decoder_rows
from skelbridge.bridge.acae.descent import Descent, Recipe, Weights
from skelbridge.bridge.acae.exact import Exact
from skelbridge.bridge.acae.joints import NO_MIRROR, Joints
from skelbridge.bridge.acae.latents import average_body, named, oriented
from skelbridge.bridge.acae.model import ACAE
from skelbridge.bridge.acae.objective import Loss, Objective, check_in_front
from skelbridge.bridge.acae.places import Places
from skelbridge.bridge.acae.run import Run
from skelbridge.bridge.acae.sample import SAMPLE, Sample, gather
from skelbridge.bridge.acae.start import greedy_start
from skelbridge.errors import InputError, need
from skelbridge.skeletons import Skeleton

if TYPE_CHECKING:
    import torch
else:
    torch = need("torch", "fit")

Array = NDArray[np.float64]
Solver = Literal["alternating", "adam", "cvxpy"]

#: Fewer weights than this are fitted by one thread.
FEW_WEIGHTS = 100_000
#: Passes of descent over SAMPLE poses (more over fewer), and those of the refit, with its step size.
EPOCHS, REFIT_EPOCHS, REFIT_RATE = 2.0, 1.0, 3e-4


@dataclass(frozen=True)
class Settings:
    """What `fit_acae` was asked for; see there."""

    latents: tuple[int, int] = (40, 8)
    l1: tuple[float, float] = (0.6, 0.6)
    projection: bool = False
    loss: Loss = "l1"
    delta: float = 5.0
    solver: Solver = "alternating"
    prune: float = 0.005
    seed: int = 0
    held_out: float = 0.1

    def __post_init__(self) -> None:
        sided, central = self.latents
        if sided < 0 or sided % 2 or central < 0 or sided + central < 1:
            raise InputError("latents", expected="(sided, central): an even number, and one or more in all",
                             got=self.latents)  # fmt: skip
        for name, expected, right in (
            ("l1", "a price of 0 or more, or one for the encoder and one for the decoder",
             all(0 <= price < np.inf for price in self.l1)),
            ("loss", "'l1', 'huber' or 'l2'", self.loss in ("l1", "huber", "l2")),
            ("delta", "a number of mm above 0", self.delta > 0),
            ("solver", "'alternating', 'adam' or 'cvxpy'", self.solver in ("alternating", "adam", "cvxpy")),
            ("prune", "a weight from 0 to below 0.1", 0 <= self.prune < 0.1),
            ("seed", "a whole number from 0 to below 2**32", isinstance(self.seed, int) and 0 <= self.seed < 2**32),
        ):  # fmt: skip
            if not right:
                raise InputError(name, expected=expected, got=getattr(self, name))


def fit_acae(
    poses: Any,
    joints: Joints | str | Path | Skeleton | Sequence[str | Path | Skeleton],
    latents: tuple[int, int] = (40, 8),
    *,
    l1: float | tuple[float, float] = 0.6,
    projection: bool = False,
    loss: Loss = "l1",
    delta: float = 5.0,
    importance: Literal["places", "joints"] | ArrayLike = "places",
    solver: Solver = "alternating",
    prune: float = 0.005,
    held_out: float = 0.1,
    sample: int | None = None,
    seed: int = 0,
    device: str | None = None,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> ACAE:
    """Learn latent keypoints from poses in which several formats are known together.

    Parameters
    ----------
    poses: (N, J, 3) mm, numpy or torch, or an iterator of such blocks (read once, in bounded memory); the columns are
        the formats' joints side by side; NaN where missing.
    joints: the formats, as ids, cards or `Joints`.
    latents: how many sided latents (half of them left) and how many central ones.
    l1: the price of absolute weights, of encoder and decoder, or one for both: the higher, the nearer to convex. The
        objective is that of Sárándi et al. 2023, in metres: see `objective`.
    projection: compare projected points, scaled back at the person's mean depth, instead of 3D ones: for pseudo ground
        truth, whose depths disagree between formats. Needs absolute camera coordinates.
    loss: of a coordinate's error: "l1", "huber" (quadratic below `delta` mm), or "l2" (quadratic, as large as "l1" at
        twice `delta`).
    importance: "places" counts joints within 30 mm of each other once, so that faces and hands do not drown the body;
        "joints" counts each once; or a number for each joint, (J,).
    solver: "alternating", convex steps on moments and then descent; "adam", the paper's recipe; "cvxpy", exact
        half-steps (for small problems, as a reference).
    prune: weights below this become zero, and the others are fitted again; 0 keeps all.
    held_out: the share of poses, the last ones, by which the result is judged.
    sample: how many poses are used at most, drawn evenly from all (default 20,000, in at most a gibibyte).
    seed: of what is drawn; the same seed gives the same bits on one machine.
    device: of torch, such as "cuda"; that of `poses` by default, else the processor.
    checkpoint: a file that is written now and then; with the same arguments the fit goes on from it.

    Raises InputError for arguments that do not fit, MissingExtraError without torch.
    """
    joints = Joints.of(joints)
    latents, both = _two("latents", latents, index), _two("l1", [l1, l1] if np.ndim(l1) == 0 else l1, float)
    settings = Settings(latents, both, projection, loss, delta, solver, prune, seed, held_out)
    where = _device(device or (str(poses.device) if isinstance(poses, torch.Tensor) else "cpu"))
    gathered = gather(poses, joints, held_out=held_out, size=sample, seed=seed)
    if projection:
        check_in_front(gathered.fit)
    places = Places.of(gathered.fit, joints)
    places.check_latents(latents)
    with _threads(len(places) * sum(latents)):
        objective = _objective(places, importance, settings, where)
        run = Run(objective, settings, checkpoint, progress)
        start, found = _solve(objective, settings, run)
        run.finish()
        return _finished(joints, places, settings, gathered, objective, start, found)


def _two(name: str, values: Any, kind: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Two numbers of an argument; InputError for other things."""
    try:
        first, second = map(kind, values)
    except (TypeError, ValueError):
        raise InputError(name, expected=f"{'whole ' if kind is index else ''}numbers, two", got=repr(values)) from None
    return first, second


def _device(name: str) -> str:
    """The device, if torch has it here; else InputError."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        got = f"{name!r}: {str(error).splitlines()[0][:120]}"
        raise InputError("device", expected="one that torch has here, such as 'cpu'", got=got) from None
    return name


@contextmanager
def _threads(weights: int) -> Iterator[None]:
    """One thread for small products: several would wait for each other longer than they work."""
    before = torch.get_num_threads()
    if weights < FEW_WEIGHTS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _objective(places: Places, importance: Any, settings: Settings, device: str) -> Objective:
    """The objective over the places, on a device."""
    pairs, central = settings.latents[0] // 2, settings.latents[1]
    sides = [np.arange(pairs) + pairs, np.arange(pairs), 2 * pairs + np.arange(central)]
    points = torch.as_tensor(places.points.transpose(0, 2, 1) / 1000, device=device).contiguous()
    plain = Objective(
        points=points,
        known=None if places.known.all() else torch.as_tensor(places.known, device=device),
        weight=torch.ones(len(places), device=device) / len(places),
        count=len(places),
        mirror=torch.as_tensor(places.mirror, device=device),
        latent_mirror=torch.as_tensor(np.concatenate(sides), device=device),
        l1=settings.l1, loss=settings.loss, delta=settings.delta / 1000, projection=settings.projection,
    )  # fmt: skip
    counts = places.importance(importance, lambda: 1e6 * plain.moments().cpu().numpy())
    weight = torch.as_tensor(counts / counts.sum(), dtype=torch.float32, device=device)
    return replace(plain, weight=weight, count=float(counts.sum()))


def _solve(objective: Objective, settings: Settings, run: Run) -> tuple[Weights, Weights]:
    """The start and the result, each an encoder (L, K) and a decoder (K, L)."""
    V, passes = factor(objective.moments()), max(SAMPLE / len(objective.points), 1.0)
    start = greedy_start(objective, V, settings.latents[0] // 2)
    if settings.solver == "adam":
        found = run.stage("the paper's recipe", Recipe(objective, seed=settings.seed))
    elif settings.solver == "cvxpy":
        found = run.stage("exact half-steps", Exact(objective, *start))
    else:
        found = run.stage("alternating", Alternating(objective, V, *start))
        found = run.stage("descent", Descent(objective, *found, epochs=EPOCHS * passes, seed=settings.seed))
    if settings.prune:
        kept = [_without_small(W, settings.prune) for W in found]
        found = run.stage(
            "refit", Descent(objective, *kept, epochs=REFIT_EPOCHS * passes, seed=settings.seed + 1, rate=REFIT_RATE)
        )
    return start, found


def _without_small(weights: torch.Tensor, least: float) -> torch.Tensor:
    """The weights without small ones; the largest of a row always stays."""
    size = weights.abs()
    return weights * ((size >= least) | (size == size.max(dim=1, keepdim=True).values))


def _finished(
    joints: Joints, places: Places, settings: Settings, sample: Sample, objective: Objective,
    start: Weights, found: Weights,
) -> ACAE:  # fmt: skip
    """Weights of joints instead of places, rows that sum to one in double precision, names, errors."""
    pairs = settings.latents[0] // 2
    mean_pose = average_body(joints, sample.fit)
    encoder, decoder = oriented(*_in_double(objective, found), pairs, mean_pose[places.first])
    latent_mirror = objective.latent_mirror.cpu().numpy()
    rows = places.decoder_of_joints(decoder)
    if (places.of_joint == NO_MIRROR).any():
        _add_single_markers(rows, joints, places, encoder, latent_mirror, sample, settings.l1[1])
    about = {
        "poses": sample.seen, "fitted_on": len(sample.fit), "judged_on": len(sample.held_out), "places": len(places),
        "objective_m": objective.value(*found), **asdict(settings),
    }  # fmt: skip
    return ACAE(
        joints=joints,
        encoder=places.encoder_of_joints(encoder),
        decoder=rows,
        latents=named(encoder @ mean_pose[places.first], pairs, joints, mean_pose),
        latent_mirror=latent_mirror,
        mean_pose=mean_pose,
        held_out=_judged(sample, objective, places, (encoder, decoder), _in_double(objective, start)),
        certificate=about,
    )


def _in_double(objective: Objective, found: Weights) -> tuple[Array, Array]:
    """Encoder (L, K) and decoder (K, L), float64, rows that sum to one, mirror images equal to the last bit."""
    encoder, decoder = objective.tied(*(on_support(W.double(), W != 0) for W in found))
    return encoder.cpu().numpy(), decoder.cpu().numpy()


def _add_single_markers(
    rows: Array,
    joints: Joints,
    places: Places,
    encoder: Array,
    latent_mirror: NDArray[np.intp],
    sample: Sample,
    l1: float,
) -> None:
    """Fill in the decoder rows (J, L) of joints that have no mirror image, by lasso onto the latents."""
    latents = encoder @ places.points.astype(np.float64)
    single = np.flatnonzero(places.of_joint == NO_MIRROR)
    goal = sample.fit[:, single].astype(np.float64)
    rows[single] = decoder_rows(latents, goal, joints, single, latent_mirror, l1)[0]


def _judged(
    sample: Sample, objective: Objective, places: Places, found: tuple[Array, Array], start: tuple[Array, Array]
) -> dict[str, Array]:
    """The mean distance of each joint from its reconstruction on held-out poses, (J,) mm, and of the baselines.

    start: near-convex combinations of as many of the joints themselves; floor: the best affine map of that rank
    (principal components), which is dense and not convex.
    """
    if not len(sample.held_out):
        return {}
    points, known = places.of_other(sample.held_out)
    V = factor(objective.moments()).cpu().numpy()
    principal = np.concatenate([np.ones((len(V), 1)), V[:, ::-1][:, : objective.latents - 1]], axis=1)
    principal = np.linalg.qr(principal)[0]
    result = {}
    for name, (encoder, decoder) in {"error": found, "start": start, "floor": (principal.T, principal)}.items():
        distance = np.linalg.norm(decoder @ (encoder @ points) - points, axis=-1)
        count = known.sum(axis=0)
        mean = np.where(count > 0, (distance * known).sum(axis=0) / np.maximum(count, 1), np.nan)
        result[name] = np.append(mean, np.nan)[places.of_joint]
    return result
