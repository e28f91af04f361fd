"""The command that makes virtual datasets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from skelbridge.errors import InputError


def add(commands: Any) -> None:
    """Add this command to the parser's."""
    make = commands.add_parser(
        "virtual", help="make datasets of rendered virtual people, as stores (needs [virtual])",
        description="Make datasets of rendered virtual people: a store each, DIR/virtual.h5 that links them, and "
        "DIR/truth.h5 with the test pictures labelled exactly in all formats. Interrupted, it goes on where it was.",
    )  # fmt: skip
    make.add_argument("datasets", nargs="*", metavar="NAME|SPEC.toml", help="virtual datasets, or files that say one")
    make.add_argument("--list", action="store_true", help="list the virtual datasets")
    make.add_argument("--out", type=Path, metavar="DIR", help="folder for the stores")
    make.add_argument("--train", type=int, default=1000, metavar="N", help="training samples of each (default: 1000)")
    make.add_argument("--test", type=int, default=200, metavar="N", help="test samples of each (default: 200)")
    make.add_argument("--seed", type=int, default=0, metavar="N", help="other numbers, other people (default: 0)")
    make.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: this one)")
    make.add_argument("--motions", type=Path, metavar="DIR", help="folder of BVH and AMC files to take poses from, too")
    make.add_argument("--size", type=int, metavar="PIXELS", help="side of the packed pictures")
    make.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="where to render (default: cpu)")
    make.set_defaults(run=_virtual)


def _virtual(options: argparse.Namespace) -> None:
    from skelbridge.synthetic.virtual.spec import virtual_datasets

    if options.list:
        for spec in virtual_datasets().values():
            print(f"{spec.name:<16} {spec.title}; {spec.skeleton}, {spec.labels.upper()} labels")
        return
    if not options.datasets or options.out is None:
        raise InputError("virtual", expected="names of virtual datasets and --out DIR, or --list",
                         got="no name" if not options.datasets else "no --out")  # fmt: skip
    from skelbridge.store import open_store
    from skelbridge.synthetic.virtual.write import write_virtual_union

    union = write_virtual_union(
        options.datasets, options.out, train=options.train, test=options.test, seed=options.seed,
        workers=options.workers, motions=options.motions, packed=options.size, device=options.device,
    )  # fmt: skip
    store = open_store(union)
    for name, splits in store.splits.items():
        held = store.select(dataset=name)
        counts = ", ".join(f"{split} {len(held.select(split=split)):,}" for split in splits)
        print(f"{options.out / name}.h5: {counts}; {held.skeleton}")
    print(f"{union}: links them")
    if (union.parent / "truth.h5").exists():
        print(f"{union.parent / 'truth.h5'}: exact labels of the test pictures, in all formats")
