"""The report of a run: accuracy and inconsistency of every network, over all seeds, as a table and as pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.io.files import replacing

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
    """What was measured in a run: of each network that every seed has, each measure for each seed."""
    found: Results = {}
    seeds = sorted(folder.glob("seed-*"), key=lambda path: int(path.name.removeprefix("seed-")))
    for name in NETWORKS:
        files = [seed / name / "judged.json" for seed in seeds]
        if files and all(file.exists() for file in files):
            told = [json.loads(file.read_text(encoding="utf-8"))["mean"] for file in files]
            found[name] = {measure: [each[measure] for each in told] for measure in COLUMNS if measure in told[0]}
    return found


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


def write_report(folder: Path, about: str) -> Path:
    """Write `report.md` and `results.json` into a run's folder."""
    results = read_results(folder)
    seeds = max((len(next(iter(values.values()))) for values in results.values()), default=0)
    text = f"# {folder.name}\n\n{about}\n\nMean ± standard deviation over {seeds} seeds.\n\n{table(results)}\n"
    for name, content in (("report.md", text), ("results.json", json.dumps(results, indent=1))):
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return folder / "report.md"
