"""The paper's recipe and the library's fit on the same poses: what each reaches, and when."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.acae_poses import Bodies, before_camera
from benchmarks.acae_recipe import EPOCHS, Recipe, Scene
from skelbridge.bridge.acae import ACAE, Joints, fit, fit_acae
from skelbridge.bridge.acae.objective import Objective
from skelbridge.bridge.acae.places import Places
from skelbridge.bridge.acae.run import Run
from skelbridge.plot.ink import COLOURS, canvas, heading, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Weights = tuple[torch.Tensor, torch.Tensor]

#: The formats of the paper's union that have cards (the paper's 555 joints are of 28 datasets).
FORMATS = [
    "smpl_24", "h36m_25", "sail_vos_26", "panoptic_19", "coco_17", "mpi_inf_3dhp_28", "gpa_34", "aspset_17", "doh3d_14",
    "people3d_29", "bml_movi_87", "mads_19", "umpm_15", "berkeley_mhad_43", "total_capture_21", "jta_22", "human4d_32",
    "smplx_42", "ghum_35",
]  # fmt: skip
LATENTS, L1 = (40, 8), 0.6
SEEDS, THREADS = (0, 1, 2), (1, 2)
#: Passes of the recipe, and steps of each of our stages, between two looks at the objective; steps of a trial.
RECIPE_LOOKS, OUR_LOOKS, TRIAL = 3, 10, 60


@dataclass
class Trace:
    """One run: seconds since its start and weights now and then, the last at its end; objectives, mm, come later."""

    threads: int
    seconds: list[float] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)
    objective: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def judge(self, scene: Scene) -> Trace:
        """Look at the objective over all poses."""
        self.objective = np.array([scene.objective(*weights) for weights in self.weights])
        return self

    def reached(self, goal: float) -> float:
        """Seconds until the objective was at or below a goal, as it was looked at."""
        below = np.flatnonzero(self.objective <= goal)
        return self.seconds[below[0]] if len(below) else np.nan

    @property
    def last(self) -> float:
        """The final objective, mm."""
        return float(self.objective[-1])


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Give every library so many threads."""
    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        yield
    torch.set_num_threads(before)


def of_recipe(scene: Scene, seed: int, threads: int, scaled: bool = False) -> Trace:
    """A run of the paper's recipe; putting the poses in its order does not count as its time."""
    trace = Trace(threads)
    with on_threads(threads):
        recipe = Recipe(scene, seed, scaled)
        start = time.perf_counter()
        for number in range(EPOCHS):
            recipe.epoch(number)
            if number % RECIPE_LOOKS == RECIPE_LOOKS - 1 or number == EPOCHS - 1:
                trace.seconds.append(time.perf_counter() - start)
                trace.weights.append(recipe.in_order())
    return trace


@dataclass
class Log:
    """What a watched fit went through: its objective, weights with their times, and those at the end of each stage."""

    objective: Objective | None = None
    seen: list[tuple[float, Weights]] = field(default_factory=list)
    ended: dict[str, Weights] = field(default_factory=dict)


class Watched(Run):
    """A run of the library's stages that keeps the weights which it goes through; keeping them counts as its time."""

    def __init__(self, log: Log, objective: Objective, *arguments: Any):
        super().__init__(objective, *arguments)
        self.log, log.objective = log, objective

    def stage(self, name: str, stage: Any) -> Weights:
        """Carry a stage out."""
        step = stage.step

        def watched(number: int) -> None:
            step(number)
            if number % OUR_LOOKS == OUR_LOOKS - 1:
                self.keep(stage.weights)

        stage.step = watched
        weights = super().stage(name, stage)
        self.log.ended[name] = self.keep(weights)
        return weights

    def keep(self, weights: Weights) -> Weights:
        """Keep weights and the time."""
        encoder, decoder = (W.detach().clone() for W in weights)
        self.log.seen.append((time.perf_counter(), (encoder, decoder)))
        return encoder, decoder


@contextmanager
def watching() -> Iterator[Log]:
    """Fits in here are watched, one."""
    log = Log()
    with mock.patch.object(fit, "Run", partial(Watched, log)):
        yield log


def of_ours(poses: NDArray[np.float32], joints: Joints, seed: int, threads: int) -> Trace:
    """A run of `fit_acae`, gathering and all."""
    with on_threads(threads), watching() as log:
        start = time.perf_counter()
        acae = fitted(poses, joints, seed)
        end = time.perf_counter() - start
    places = Places.of(poses, joints)
    on_joints = [_on_joints(places, *weights) for _, weights in log.seen]
    last = torch.as_tensor(acae.encoder), torch.as_tensor(acae.decoder)
    return Trace(threads, [*(at - start for at, _ in log.seen), end], [*on_joints, last])


def fitted(poses: Any, joints: Joints, seed: int = 0, device: str | None = None) -> ACAE:
    """The library's fit with the recipe's objective, on all poses."""
    return fit_acae(
        poses, joints, LATENTS, l1=L1, projection=True, importance="joints", held_out=0.0, seed=seed, device=device
    )


def _on_joints(places: Places, encoder: torch.Tensor, decoder: torch.Tensor) -> Weights:
    """Weights of joints instead of places."""
    on_places = (W.double().cpu().numpy() for W in (encoder, decoder))
    made = places.encoder_of_joints(next(on_places)), places.decoder_of_joints(next(on_places))
    return torch.as_tensor(made[0]), torch.as_tensor(made[1])


def fastest(trial: Callable[[], Any]) -> tuple[int, dict[int, float]]:
    """The number of threads on which a trial is faster, and the seconds on each; each is tried twice."""
    seconds = {}
    for threads in THREADS:
        with on_threads(threads):
            seconds[threads] = min(timeit.repeat(trial, number=1, repeat=2))
    return min(seconds, key=lambda threads: seconds[threads]), seconds


@dataclass(frozen=True)
class Race:
    """All runs: of the recipe, of the recipe with scaled drops, ours; and the seconds of the trials."""

    scene: Scene
    runs: dict[str, list[Trace]]
    trials: dict[str, dict[int, float]]


def race(bodies: Bodies) -> Race:
    """Run all contenders with all seeds, one after the other."""
    joints = Joints.of(FORMATS)
    poses = before_camera(bodies.fit, joints)
    points = torch.as_tensor(poses / 1000).permute(0, 2, 1).contiguous()
    scene = Scene.of(points, torch.as_tensor(joints.mirror), LATENTS, L1)
    recipe = Recipe(scene, 0)
    one, recipe_trial = fastest(lambda: recipe.epoch(0, TRIAL))
    two, our_trial = fastest(lambda: fitted(poses, joints))
    contenders: dict[str, Callable[[int], Trace]] = {
        "recipe": lambda seed: of_recipe(scene, seed, one),
        "recipe, drops scaled to the run": lambda seed: of_recipe(scene, seed, one, scaled=True),
        "ours": lambda seed: of_ours(poses, joints, seed, two),
    }
    with on_threads(1):
        runs = {name: [run(seed).judge(scene) for seed in SEEDS] for name, run in contenders.items()}
    return Race(scene, runs, {"recipe": {n: s / TRIAL for n, s in recipe_trial.items()}, "ours": our_trial})


def table(result: Race) -> Iterator[str]:
    """The runs side by side, and what is wanted of them."""
    recipes, ours = result.runs["recipe"], result.runs["ours"]
    goal = min(trace.last for name, traces in result.runs.items() if name != "ours" for trace in traces)
    N, J = len(result.scene.points), result.scene.points.shape[2]
    yield (
        f"{N:,} poses in the {J} joints of {len(FORMATS)} formats of the paper, {sum(LATENTS)} latents, λ = {L1}. A "
        f"step of the recipe took {_trial(result.trials['recipe'], 1000, ' ms')}, our whole fit "
        f"{_trial(result.trials['ours'], 1, ' s')}; each ran on what was faster.\n"
    )
    yield "| contender | seed | threads | time, s | final objective, mm | negative: encoder, decoder | goal after, s |"
    yield "|---|---|---|---|---|---|---|"
    for name, traces in result.runs.items():
        for seed, trace in zip(SEEDS, traces, strict=True):
            negative = ", ".join(f"{-W.clamp(max=0).sum() / W.abs().sum():.1%}" for W in trace.weights[-1])
            yield (
                f"| {name} | {seed} | {trace.threads} | {trace.seconds[-1]:.1f} | {trace.last:.2f} | {negative} "
                f"| {_or_dash(trace.reached(goal))} |"
            )
    yield f"\nThe goal is the lowest final objective of the recipe's runs, {goal:.2f} mm.\n"
    yield "| what | measured | wanted |"
    yield "|---|---|---|"
    slow, quick = (float(np.median([trace.seconds[-1] for trace in traces])) for traces in (recipes, ours))
    reached = max(trace.reached(goal) for trace in ours)
    first = float(np.nanmedian([trace.reached(trace.last * (1 + 1e-9)) for trace in recipes]))
    yield f"| time of the recipe / our time to the goal, slowest seed | {slow / reached:.1f} | at least 5, aim 20 |"
    yield f"| the recipe's first time at its own final objective / the same | {first / reached:.1f} | |"
    yield f"| time of the recipe / our whole fit | {slow / quick:.1f} | |"
    worst = max(trace.last for trace in ours)
    yield f"| our final objective below the goal, worst seed | {1 - worst / goal:.1%} | at least 5 % |"
    for name, traces in (("ours", ours), ("the recipe", recipes)):
        spread = max(t.last for t in traces) / min(t.last for t in traces) - 1
        yield f"| spread over seeds, {name} | {spread:.2%} | {'within 1 %' if name == 'ours' else ''} |"


def _trial(seconds: dict[int, float], factor: float, unit: str) -> str:
    return " and ".join(f"{factor * s:.1f}{unit} on {n} thread{'s' * (n > 1)}" for n, s in seconds.items())


def _or_dash(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


@styled
def plot_race(result: Race) -> Figure:
    """The objective of every run against its time."""
    figure = canvas(6.4, 3.7)
    axes = figure.add_axes((0.085, 0.12, 0.89, 0.68))
    for (name, traces), colour in zip(result.runs.items(), (COLOURS["right"], "#B8860B", COLOURS["left"]), strict=True):
        for number, trace in enumerate(traces):
            axes.plot(trace.seconds, trace.objective, color=colour, lw=1.3, label=name if number == 0 else None)
            axes.plot(trace.seconds[-1], trace.last, "o", color=colour, ms=3.5)
    lowest = min(trace.last for traces in result.runs.values() for trace in traces)
    axes.set(xscale="log", ylim=(lowest - 0.5, lowest + 9), xlabel="seconds", ylabel="objective over all poses, mm")
    low, high = axes.get_xlim()
    marks = [mark for mark in (0.2, 0.5, 1, 2, 5, 10, 20, 50) if low <= mark <= high]
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.grid(True)
    axes.legend(loc="upper right")
    heading(
        figure, "The paper's recipe and ours", f"{len(SEEDS)} seeds each; dots: the end; ours rises where it prunes"
    )
    return figure
