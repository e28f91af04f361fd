"""Whether fine-tuning for consistency helps: what a run of `skelbridge train tiny-cpu` measured, put into the document.

skelbridge train tiny-cpu                        # one to two hours on two cores
python -m benchmarks.consistency --write         # table and pictures into docs/
python -m benchmarks.consistency --fields        # the table of a configuration's fields
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.report import ROOT, printed, write_block
from skelbridge.train import read_config
from skelbridge.train.config import field_table
from skelbridge.train.log import read_log
from skelbridge.train.record import read_record
from skelbridge.train.report import Results, first_seed, floors_of, read_results, table

PAGE = ROOT / "docs" / "training.md"


def told(folder: Path) -> Iterator[str]:
    """What was run, the table, what true poses give, and whether the claim holds."""
    config = read_record(first_seed(folder))["calls"][-1]["config"]
    results = read_results(folder)
    yield _about(folder, config)
    yield ""
    yield table(results)
    yield ""
    floors = ", ".join(f"{name.removeprefix('inconsistency ')} {mm:.1f} mm" for name, mm in floors_of(folder).items())
    yield f"True poses disagree by: {floors}."
    yield ""
    yield from _verdicts(results)


def headline(folder: Path) -> str:
    """What fine-tuning did, beside the same steps without the autoencoder, in a sentence."""
    results, floor = read_results(folder), floors_of(folder)["inconsistency conversion"]
    variants = {name: values for name, values in results.items() if name not in ("initial", "finetune-none")}

    def mean(values: dict[str, list[float]], measure: str) -> str:
        return f"{np.mean(values[measure]):.0f}" if "inconsistency" in measure else f"{np.mean(values[measure]):.1f}"

    def told(measure: str) -> str:
        named = [f"{mean(values, measure)} ({name.removeprefix('finetune-')})" for name, values in variants.items()]
        return f"{', '.join(named)} mm, without it {mean(results['finetune-none'], measure)} mm"

    return (
        "On virtual data, formats are so far apart after fine-tuning with the autoencoder, by conversions: "
        f"{told('inconsistency conversion')} (true poses {floor:.0f} mm). Their error on pictures of all datasets: "
        f"{told('everywhere mpjpe')}. [All figures](docs/training.md#does-consistency-help)"
    )


def _about(folder: Path, config: dict) -> str:
    data, virtual = config["data"], config["data"]["virtual"] or {}
    batch = data["mixture"]["batch_3d"] + data["mixture"]["batch_2d"]
    first = read_log(first_seed(folder) / "initial")
    losses = [line["loss"] for line in first if "loss" in line]
    errors = [line["validation/mpjpe"] for line in first if "validation/mpjpe" in line]
    return (
        f"{len(virtual.get('datasets', ()))} virtual datasets with {virtual.get('train')} samples each to train on and "
        f"{virtual.get('test')} to judge by; {config['design']['backbone']} on crops of {config['design']['side']} "
        f"pixels, batches of {batch}; {config['initial']['steps']} steps, then {config['finetune']['steps']} of each "
        f"variant. In the first stage the loss fell from {losses[0]:.3f} to {losses[-1]:.3f}, and the error on people "
        f"held out from {errors[0]:.0f} mm at the first validation to {errors[-1]:.0f} mm. Mean ± standard deviation "
        f"over {len(list(folder.glob('seed-*')))} seeds."
    )


def _verdicts(results: Results) -> Iterator[str]:
    """For each variant in how many seeds it was better than the same steps without the autoencoder."""
    base = results.get("finetune-none", {})
    for name, values in results.items():
        if not base or name in ("initial", "finetune-none"):
            continue
        counts = [
            f"{measure} {sum(a < b for a, b in zip(values[measure], base[measure], strict=True))}"
            for measure in values
            if not any(word in measure for word in ("pck", "cps"))
        ]
        yield f"- {name}, seeds of {len(base['own mpjpe'])} with a lower number than finetune-none: {', '.join(counts)}"


def main() -> None:
    """Print, and with --write put into the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="tiny-cpu", help="whose run (default tiny-cpu)")
    parser.add_argument("--out", type=Path, help="the run's folder, where it is not the configuration's")
    parser.add_argument("--write", action="store_true", help="write table and pictures into docs/")
    parser.add_argument("--fields", action="store_true", help="write the table of fields into docs/training.md")
    options = parser.parse_args()
    if options.fields:
        write_block(PAGE, "fields", ["| field | default | what |", "|---|---|---|", *field_table()])
        return
    folder = options.out or read_config(options.config).out
    lines = printed(told(folder))
    if options.write:
        write_block(PAGE, "consistency", [*lines, "", "![What was measured](images/consistency.png)", "",
                                          "![Predictions in all formats](images/predictions.png)"])  # fmt: skip
        write_block(
            ROOT / "README.md",
            "training",
            [headline(folder), "", "![Accuracy and inconsistency of networks](docs/images/consistency.png)"],
        )
        for name, wanted in (("networks", "consistency"), ("predictions", "predictions")):
            shutil.copyfile(folder / f"{name}.png", ROOT / "docs" / "images" / f"{wanted}.png")


if __name__ == "__main__":
    main()
