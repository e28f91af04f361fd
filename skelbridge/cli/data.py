"""Commands about datasets and stores: datasets, ingest, merge, store, sample."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skelbridge.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from skelbridge.datasets.cards import DatasetCard
    from skelbridge.store import Contents


def add(commands: Any) -> None:
    """Add these commands to the parser's."""
    show = commands.add_parser("datasets", help="list the datasets, or show one: what to download, how it must lie")
    show.add_argument("dataset", nargs="?", help="id or alias")
    show.add_argument("--markdown", action="store_true", help="the list as a table for documents")
    show.set_defaults(run=_datasets)

    _add_ingest(commands)
    join = commands.add_parser("merge", help="link stores into one, or plan it")
    join.add_argument("stores", type=Path, nargs="+", metavar="STORE")
    join.add_argument("--out", type=Path, metavar="FILE", help="file to write; it links the others")
    join.add_argument("--plan", action="store_true", help="only say what it would be: samples, joints, licences, disk")
    join.set_defaults(run=_merge)

    store = commands.add_parser("store", help="look at a store, check it, clean it, draw what was cleaned out")
    verbs = store.add_subparsers(required=True, metavar="VERB")
    for verb, words, run in (
        ("info", "what is in it, how it was ingested, how it fared in the self-checks", _info),
        ("verify", "read every byte and say what is damaged, missing or left over", _verify),
        ("clean", "leave implausible samples out, by rules; done anew it starts from all samples", _clean),
        ("audit", "draw for each cleaning rule the worst that went and the worst that stayed (needs [data])", _audit),
        ("migrate", "bring a store of an older skelbridge up to date", _migrate),
    ):
        one = verbs.add_parser(verb, help=words)
        one.add_argument("store", type=Path)
        one.set_defaults(run=run)
        if verb == "info":
            one.add_argument("--png", type=Path, help="also save a picture of what is in it (needs [plot])")
        if verb == "audit":
            one.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the pictures")
        if verb == "clean":
            one.add_argument("--set", dest="settings", action="append", default=[], metavar="RULE=NUMBER",
                             help="another figure for a rule, such as longest=2.5; may be repeated")  # fmt: skip

    sample = commands.add_parser("sample", help="write a small copy of a dataset's layout, with virtual people")
    sample.add_argument("dataset", help="id or alias")
    sample.add_argument("--out", type=Path, required=True, metavar="DIR", help="an empty or new folder")
    sample.set_defaults(run=_sample)


def _add_ingest(commands: Any) -> None:
    take = commands.add_parser("ingest", help="bring a dataset from its native files into a store (needs [data])")
    take.add_argument("dataset", help="id or alias; `skelbridge datasets` lists them")
    take.add_argument("--root", type=Path, required=True, metavar="DIR", help="the dataset's folder")
    take.add_argument("--out", type=Path, required=True, metavar="FILE", help="store to write, or to go on with")
    take.add_argument("--skeleton", metavar="FORMAT", help="which of the dataset's formats")
    take.add_argument("--models", type=Path, metavar="DIR", help="folder of SMPL-family model files")
    take.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE",
                      help="a choice of the reader; may be repeated")  # fmt: skip
    take.add_argument("--splits", nargs="+", metavar="SPLIT", help="only these splits")
    take.add_argument("--pack-images", dest="pack", choices=["crop"], help="keep a JPEG of each person in the store")
    take.add_argument("--need-images", action="store_true", help="drop samples whose picture is missing")
    take.add_argument(
        "--detector", choices=["torchvision"], help="take a detector's boxes where they fit (needs [train])"
    )
    take.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: this one)")
    take.add_argument(
        "--dask", metavar="ADDRESS", help="a running scheduler, such as tcp://host:8786 (needs [cluster])"
    )
    take.add_argument("--step", type=int, metavar="N", help="look at every N-th frame only")
    take.add_argument("--no-thin", dest="thin", action="store_false", help="keep frames that hardly differ")
    take.add_argument("--no-clean", dest="clean", action="store_false", help="leave no implausible samples out")
    take.add_argument("--force", action="store_true", help="keep a dataset that fails its self-checks")
    take.set_defaults(run=_ingest)


def _datasets(options: argparse.Namespace) -> None:
    from skelbridge.datasets.cards import dataset, datasets, table

    if options.dataset is not None:
        print(_card(dataset(options.dataset)))
    elif options.markdown:
        print("\n".join(table()))
    else:
        for card in datasets().values():
            print(f"{card.id:<16} {card.title}, {card.year}; {card.samples or 'samples not counted'}; "
                  f"{', '.join(card.skeletons)}\n{'':<16} {card.license}; {card.url}")  # fmt: skip


def _card(card: DatasetCard) -> str:
    """A dataset's card for people."""
    lines = [f"{card.id}: {card.title} ({card.year}), {card.kind.replace('_', ' ')}"]
    for title, text in (
        ("citation", card.citation), ("url", card.url), ("licence", card.license), ("samples", card.samples),
        ("skeletons", ", ".join(card.skeletons)), ("splits", ", ".join(card.splits)), ("units", card.units),
        ("cameras", card.cameras), ("models needed", ", ".join(card.models)), ("download", card.download),
        ("thinning", card.how_thinned),
    ):  # fmt: skip
        lines += _lines(f"{title}: {text}", "", "  ") if text else []
    lines.append("files below its folder:")
    for file in card.files:
        need = "" if file.needed else ", not needed"
        lines += _lines(f"{file.pattern} ({file.container}{need}) {file.content}", "  ", "    ")
    for title, notes in (("known to be bad", card.known_bad), ("notes", card.notes)):
        lines += [f"{title}:", *(line for note in notes for line in _lines(note, "  - ", "    "))] if notes else []
    choices = _choices(card.id)
    lines += ["choices (--set NAME=VALUE):", *choices] if choices else []
    return "\n".join(lines)


def _lines(text: str, first: str, then: str) -> list[str]:
    """Text in lines; words that can be copied, such as paths, are not broken."""
    return textwrap.wrap(" ".join(text.split()), 116, initial_indent=first, subsequent_indent=then,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _choices(name: str) -> list[str]:
    from skelbridge.datasets import reader_class

    try:
        choices = reader_class(name).choices
    except UnknownNameError:
        return ["  no reader of it yet"]
    return [f"  {choice}={told.default!r}  {told.help}" for choice, told in choices.items()]


def _ingest(options: argparse.Namespace) -> None:
    from skelbridge.datasets import ingest

    report = ingest(
        options.dataset, options.root, options.out, skeleton=options.skeleton, models=options.models,
        settings=_settings(options), pack=options.pack, workers=options.workers, dask=options.dask, thin=options.thin,
        step=options.step, splits=options.splits, detect=options.detector, need_pictures=options.need_images,
        clean=options.clean, force=options.force,
    )  # fmt: skip
    print(report)


def _settings(options: argparse.Namespace) -> dict[str, str]:
    """What --set says."""
    settings = {}
    for text in options.settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError("--set", expected="NAME=VALUE", got=text)
        settings[name] = value
    return settings


def _merge(options: argparse.Namespace) -> None:
    from skelbridge.datasets.cards import datasets
    from skelbridge.datasets.report import require_passed
    from skelbridge.store import merge, plan

    if options.plan == (options.out is not None):
        raise InputError("merge", expected="either --out FILE or --plan", got="both" if options.plan else "none")
    if options.plan:
        licenses = {name: card.license for name, card in datasets().items()}
        print("\n".join(plan(options.stores, licenses).lines()))
        return
    for path in options.stores:
        require_passed(path)
    print(f"{options.out}: {len(merge(options.stores, options.out)):,} samples of {len(options.stores)} stores")


def _info(options: argparse.Namespace) -> None:
    from skelbridge.datasets.report import IngestReport
    from skelbridge.store import describe, open_store

    if options.png and options.png.suffix.lower() != ".png":
        raise InputError("--png", expected="a file that ends in .png", got=str(options.png))
    store = open_store(options.store)
    found = describe(store)
    for name, contents in found.items():
        print(f"{name} as {contents.skeleton}: {_contents(contents)}")
    report = IngestReport.of(options.store)
    if report.dataset:
        print(f"\n{report}")
    else:
        print(f"\n{options.store}: {len(store):,} samples of {len(store.datasets)} datasets, in stores that it links")
        for reason, count in sorted(store.reasons().items()):
            print(f"  cleaned out: {count:,}  {reason}")
    if options.png:
        from skelbridge.plot.store import plot_store

        plot_store(found).savefig(options.png)
        print(f"picture: {options.png}")


def _contents(contents: Contents) -> str:
    """What a store has of one dataset, in a line."""
    splits = ", ".join(f"{split or 'no split'} {count:,}" for split, count in contents.samples.items())
    words = [f"{contents.total:,} samples ({splits})", f"{contents.subjects} subjects",
             f"{contents.sequences} sequences", f"{contents.pictures:,} packed pictures",
             f"{contents.bytes / 1e6:,.1f} MB"]  # fmt: skip
    if contents.spread == contents.spread:  # not NaN: 3D
        words.append(f"poses spread by {contents.spread:.0f} mm in {contents.dimensions:.1f} directions")
    return ", ".join(words)


def _verify(options: argparse.Namespace) -> None:
    from skelbridge.store import verify

    problems = verify(options.store)
    for problem in problems:
        print(problem.what)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InputError(f"{options.store}", expected="a store in order", got=f"{count}, listed above")
    print(f"{options.store}: every byte is as it was written")


def _clean(options: argparse.Namespace) -> None:
    from skelbridge.datasets.clean import Rules, clean

    reasons = clean(options.store, Rules.of(_settings(options)))
    for reason, count in reasons.items():
        print(f"{count:>10,}  {reason}")
    print(f"{options.store}: {sum(reasons.values()):,} samples left out")


def _audit(options: argparse.Namespace) -> None:
    from skelbridge.plot.audit import audit

    sheets = audit(options.store, options.out)
    for path in sheets:
        print(f"picture: {path}")
    if not sheets:
        print("no rule applies: the store has only splits that are judged on")


def _migrate(options: argparse.Namespace) -> None:
    from skelbridge.store import migrate

    print(f"{options.store}: {migrate(options.store)} files rewritten")


def _sample(options: argparse.Namespace) -> None:
    from skelbridge.datasets.cards import dataset
    from skelbridge.synthetic.native import write_copy

    if options.out.exists() and any(options.out.iterdir() if options.out.is_dir() else [options.out]):
        raise InputError("--out", expected="an empty or new folder", got=str(options.out))
    card = dataset(options.dataset)
    people = write_copy(card.id, options.out)
    print(f"{options.out}: {card.title}'s layout with {len(people)} virtual people in pictures")
    models = ["--models", str(options.out / "models")] if (options.out / "models").is_dir() else []
    read = ["skelbridge", "ingest", card.id, "--root", str(options.out), *models, "--out", f"{card.id}.h5"]
    print(f"read it: {shlex.join(read)}")
