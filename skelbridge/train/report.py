"""The report of a run: accuracy and inconsistency of every network, over all seeds, as a table and as pictures."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.errors import InputError
from skelbridge.estimator.estimator import Estimator
from skelbridge.estimator.stored import EvaluationData, Views
from skelbridge.io.files import replacing
from skelbridge.train.sources import Sources

#: What is told, in the order of the table: where in `judged.json` it stands, its heading, how it is written.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "own mpjpe": ("MPJPE, own format", "mm"),
    "everywhere mpjpe": ("MPJPE, all formats", "mm"),
    "everywhere pmpjpe": ("P-MPJPE, all formats", "mm"),
    "everywhere pck100": ("PCK@100, all formats", "%"),
    "everywhere cps200": ("CPS@200, all formats", "%"),
    "inconsistency reconstruction": ("inconsistency, reconstruction", "mm"),
    "inconsistency conversion": ("inconsistency, conversion", "mm"),
}
#: The networks, in the order of the table.
NETWORKS = ("initial", "finetune-none", "finetune-output", "finetune-latents", "finetune-hybrid")

#: Results by network and measure: one number for each seed.
Results = dict[str, dict[str, list[float]]]


def read_results(folder: Path) -> Results:
    """What was measured in a run: each measure of each network, for each seed that is through."""
    names, seeds = judged(folder)
    found: Results = {}
    for name in names:
        told = [json.loads((seed / name / "judged.json").read_text(encoding="utf-8"))["mean"] for seed in seeds]
        found[name] = {measure: [each[measure] for each in told] for measure in COLUMNS if measure in told[0]}
    return found


def judged(folder: Path) -> tuple[list[str], list[Path]]:
    """The networks that were judged, and the folders of the seeds that have all of them, in their order."""
    seeds = sorted(folder.glob("seed-*"), key=lambda path: int(path.name.removeprefix("seed-")))
    own = {seed: [name for name in NETWORKS if (seed / name / "judged.json").exists()] for seed in seeds}
    names = max(own.values(), key=len, default=[])
    return names, [seed for seed in seeds if own[seed] == names]


def table(results: Results) -> str:
    """The results as a Markdown table: mean ± standard deviation over seeds, and the difference from "none"."""
    measures = [name for name in COLUMNS if any(name in values for values in results.values())]
    lines = [
        "| network | " + " | ".join(f"{COLUMNS[m][0]}, {COLUMNS[m][1]}" for m in measures) + " |",
        "|---|" + "---|" * len(measures),
    ]
    for name, values in results.items():
        lines.append(f"| {name} | " + " | ".join(_spread(values[m]) for m in measures) + " |")
    base = results.get("finetune-none")
    for name in (n for n in results if base and n.startswith("finetune-") and n != "finetune-none"):
        apart = [np.subtract(results[name][m], base[m]) for m in measures] if base else []
        lines.append(f"| {name} less finetune-none | " + " | ".join(_spread(each, sign=True) for each in apart) + " |")
    return "\n".join(lines)


def _spread(values: Sequence[float] | Any, sign: bool = False) -> str:
    mean, many = float(np.mean(values)), len(values)
    shown = f"{mean:+.1f}" if sign else f"{mean:.1f}"
    return f"{shown} ± {np.std(values, ddof=1):.1f}" if many > 1 else shown


def write_report(folder: Path, sources: Sources, about: str) -> Path:
    """Write `report.md`, `results.json` and, where matplotlib is installed, pictures into a run's folder."""
    results = read_results(folder)
    if not results:
        raise InputError(f"{folder}: a report", expected="networks that were judged", got="none",
                         mend="Carry out the other stages first.")  # fmt: skip
    seeds = len(next(iter(results["initial"].values())))
    told = f"Mean ± standard deviation over {seeds} seeds." if seeds > 1 else "One seed."
    text = f"# {folder.name}\n\n{about}\n\n{told}\n\n{table(results)}\n"
    for name, content in (("report.md", text), ("results.json", json.dumps(results, indent=1))):
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    if importlib.util.find_spec("matplotlib"):
        _draw(folder, sources, results)
    return folder / "report.md"


def _draw(folder: Path, sources: Sources, results: Results) -> None:
    """`networks.png`, what was measured; `predictions.png`, what networks of the first seed see in some people."""
    from skelbridge.plot import plot_networks, plot_predictions
    from skelbridge.plot.virtual import save_sheet

    words = {name: f"{heading.replace(', ', chr(10))}\n({unit})" for name, (heading, unit) in COLUMNS.items()}
    plot_networks(results, words, floors_of(folder), title=folder.name).savefig(folder / "networks.png")
    networks = {name: Estimator.load(first_seed(folder) / name / "model.safetensors") for name in results}
    views = shown(sources, networks["initial"].side)
    predictions = {name: _by_format(estimator, views) for name, estimator in networks.items()}
    images = views.examples.images.permute(0, 2, 3, 1).numpy()
    figure = plot_predictions(images, views.examples.intrinsics.numpy(), predictions)
    save_sheet(figure, folder / "predictions.png")


def floors_of(folder: Path) -> dict[str, float]:
    """How far formats disagree for true poses, by measure, where they are known."""
    told = json.loads((first_seed(folder) / "initial" / "judged.json").read_text(encoding="utf-8"))["inconsistency"]
    return {
        f"inconsistency {name}": told[f"{name} of true poses"]
        for name in ("reconstruction", "conversion")
        if f"{name} of true poses" in told
    }


def first_seed(folder: Path) -> Path:
    """The folder of the first seed that is through."""
    return judged(folder)[1][0]


def shown(sources: Sources, side: int, count: int = 6) -> Views:
    """Some people, evenly over those to judge by, as crops."""
    judged = sources.judged
    rows = judged.only(np.linspace(0, len(judged) - 1, count + 2)[1:-1].round().astype(int))
    return EvaluationData(rows, sources.joints, side, batch=count)[0]


def _by_format(estimator: Estimator, views: Views) -> dict[str, Any]:
    points = estimator.predict_crops(views.examples.images, views.examples.intrinsics).numpy()
    return {name: points[:, at] for name, at in estimator.joints.slices.items()}
