"""The command that trains, for `skelbridge train` and `python -m skelbridge.train`."""

from __future__ import annotations

import argparse
import os

from skelbridge.errors import InputError, need

DESCRIPTION = """\
Train a pose network in several skeleton formats at once (needs [train]).

CONFIG is a TOML file, or the name of a ready one: paper-s, paper-l, virtual-gpu, tiny-cpu. Stages, each in its folder,
each done once: data (renders virtual datasets, where asked for), initial, pseudo, fit, finetune, report.

    skelbridge train tiny-cpu                                # all stages
    skelbridge train tiny-cpu --set initial.steps=200 --set out=runs/short
    skelbridge train paper-s --set data.store=all.h5 --stages initial
    torchrun --nproc-per-node 4 -m skelbridge.train paper-s  # several processes

A training that was stopped goes on with the same command, to the same bits.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("config", metavar="CONFIG", help="a ready configuration's name, or a TOML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes",
                        help="change a field, such as initial.steps=1000; may be given several times")  # fmt: skip
    parser.add_argument("--stages", default="all", help="some of the stages, with commas between (default: all)")
    parser.add_argument("--check", action="store_true", help="only check configuration and data, and print them")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(run=_train)


def let_threads_sleep() -> None:
    """Let threads of torch that wait for each other leave the CPU to the processes that prepare examples.

    OpenMP reads this once, when torch is imported: afterwards it has no effect. Where it is set already, it stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _train(options: argparse.Namespace) -> None:
    let_threads_sleep()
    for package in ("torch", "timm", "lightning_fabric", "cv2"):
        need(package, "train")
    from skelbridge.train import STAGES, check, read_config, train

    wanted = STAGES if options.stages == "all" else tuple(options.stages.split(","))
    if strange := [name for name in wanted if name not in STAGES]:
        raise InputError("--stages", expected=f"some of {', '.join(STAGES)}, or all", got=", ".join(strange))
    config = read_config(options.config, options.changes)
    if options.check:
        print(check(config))
        return
    out = train(config, wanted, progress=not options.quiet)
    print(f"training: {out}")
