"""Commands about poses and formats: formats, convert, explain, calibrate, build-motion."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skelbridge.errors import InputError

if TYPE_CHECKING:
    from skelbridge.convert import Converter
    from skelbridge.skeletons import Skeleton

#: Frames converted between two steps of the progress bar.
_BLOCK = 20_000


def add(commands: Any) -> None:
    """Add these commands to the parser's."""
    show = commands.add_parser("formats", help="list the formats, or show one: its joints, where they lie, a drawing")
    show.add_argument("format", nargs="?", help="id, alias or card file; NAME:left for the left hand")
    show.add_argument("--png", type=Path, help="also save a picture of the format on the body (needs [plot])")
    show.add_argument("--sheets", type=Path, metavar="DIR", help="save such a picture of every format (needs [plot])")
    show.set_defaults(run=_formats)

    turn = commands.add_parser("convert", help="convert a pose file into another format")
    turn.add_argument("input", type=Path, help="pose file, or folder of OpenPose JSON")
    turn.add_argument("output", type=Path, help="file to write; its suffix says the container")
    turn.add_argument("--to", required=True, metavar="FORMAT", help="target format")
    turn.add_argument("--from", dest="source", metavar="FORMAT", help="source format, where the file does not say it")
    turn.add_argument("--side", choices=["left", "right"], help="which hand, for a one-hand format")
    turn.add_argument(
        "--noise", type=float, default=5.0, help="expected input error, mm on a body of 1.7 m (default 5)"
    )
    turn.add_argument("--max-error", type=float, default=75.0, help="joints expected to be worse are left out, mm")
    turn.add_argument("--via", choices=["latents"], help="go through the latent keypoints, the same for all targets")
    turn.add_argument("--fps", type=float, help="frames a second, where the file does not say it")
    turn.add_argument("--partial", action="store_true", help="read what is there of a file that was cut off")
    turn.add_argument("--report", action="store_true", help="print every joint with its expected error and sources")
    turn.set_defaults(run=_convert)

    explain = commands.add_parser("explain", help="show how one format is converted into another, joint by joint")
    explain.add_argument("source")
    explain.add_argument("target")
    explain.add_argument("--side", choices=["left", "right"])
    explain.add_argument("--via", choices=["latents"], help="go through the latent keypoints")
    explain.add_argument(
        "--png", type=Path, help="also save the weights and both skeletons as a picture (needs [plot])"
    )
    explain.set_defaults(run=_explain)

    learn = commands.add_parser("calibrate", help="learn from recordings where a format's joints lie (needs [body])")
    learn.add_argument("recordings", type=Path, nargs="*", help="pose files, each of another person (else: --person)")
    learn.add_argument("--person", type=Path, nargs="+", action="append", default=[], metavar="FILE",
                       help="files of one person; may be repeated")  # fmt: skip
    learn.add_argument("--from", dest="source", required=True, metavar="FORMAT", help="the format, or your card of it")
    learn.add_argument("--out", type=Path, required=True, help="card to write (.toml)")
    learn.add_argument("--units", choices=["mm", "cm", "m", "inch"], help="of files that do not say their unit")
    learn.add_argument("--frames", type=int, default=50, help="how many frames a person are used (default 50)")
    learn.add_argument("--png", type=Path, help="draw what was learned")
    learn.set_defaults(run=_calibrate)

    motion = commands.add_parser(
        "build-motion", help="put a clip on a virtual body, as the demo's sample (needs [body])"
    )
    motion.add_argument("clip", type=Path, help="BVH or AMC file")
    motion.add_argument("out", type=Path, help="npz file to write")
    motion.add_argument("--seed", type=int, default=0, help="which body")
    motion.add_argument("--source", required=True, help="what the clip is, and its licence")
    motion.set_defaults(run=_build_motion)


def _formats(options: argparse.Namespace) -> None:
    from skelbridge.skeletons import formats, skeleton

    if options.sheets:
        from skelbridge.plot import save_sheets

        chosen = None if options.format is None else [skeleton(options.format)]
        options.sheets.mkdir(parents=True, exist_ok=True)
        print(f"{options.sheets}: {len(save_sheets(options.sheets, chosen))} saved")
        return
    if options.format is None:
        for card in formats():
            aliases = f"  ({', '.join(card.aliases)})" if card.aliases else ""
            print(f"{card.id:<26} {len(card):>3} joints  {card.dims}D  {card.title}{aliases}")
        return
    card = skeleton(options.format)
    _print_card(card)
    if options.png:
        from skelbridge.plot import plot_skeleton

        plot_skeleton(_with_a_side(card)).savefig(options.png)
        print(f"picture: {options.png}")


def _with_a_side(card: Skeleton) -> Skeleton:
    return card.with_side("left") if card.one_hand and card.side is None else card


def _print_card(card: Skeleton) -> None:
    from skelbridge.drawing import draw_text

    aliases = ", ".join(card.aliases) or "none"
    print(f"{card.id}: {card.title}\n{len(card)} joints, usually {card.dims}D; aliases: {aliases}\n")
    width = max(len(name) for name in card.names)
    for index, joint in enumerate(card.joints):
        at = " ".join(f"{weight:+.2f} {name}" for name, weight in joint.at.items()) or "no place"
        print(f"{index:>3} {joint.name:<{width}}  {joint.kind:<12} ±{joint.placement_uncertainty:<4.0f} {at}")
    if all(joint.at for joint in card.joints):
        print("\n" + draw_text(_with_a_side(card)))


def _convert(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from skelbridge.convert import Converter
    from skelbridge.io import read, writer_for

    write = writer_for(options.output)  # before the work: a wrong suffix is known at once
    extra: dict[str, Any] = {"partial": True} if options.partial else {}
    poses = read(options.input, format=options.source, fps=options.fps, **extra)
    chosen = {name: getattr(options, name) for name in ("side", "noise", "max_error", "via")}
    converter = Converter(poses.skeleton, options.to, **chosen)
    blocks = range(0, max(len(poses.points), 1), _BLOCK)
    done = []
    for start in tqdm(blocks, unit="block", disable=None if len(blocks) > 1 else True, leave=False):
        part = slice(start, start + _BLOCK)
        confidence = None if poses.confidence is None else poses.confidence[part]
        done.append(converter(poses.points[part], confidence=confidence))
    converted = replace(
        poses,
        points=np.concatenate([part.points for part in done]),
        confidence=np.concatenate([part.confidence for part in done]),
        skeleton=converter.target,
    )
    lost = write(converted, options.output)
    print(f"{options.input} ({converter.source}) -> {options.output} ({converter.target}): {len(poses.points)} frames")
    print(_summary(converter))
    for note in [*poses.notes, *lost]:
        print(f"note: {note}")
    if options.report:
        print(converter.report())


def _summary(converter: Converter) -> str:
    """How many joints are copied, estimated and left out, and the expected error, in two lines."""
    status = np.array(converter.status)
    lost = [name for name, s in zip(converter.target.names, status, strict=True) if s == "not estimable"]
    known = converter.expected_error[status != "not estimable"]
    error = f"; expected error {np.sqrt(np.mean(known**2)):.0f} mm rms on a body of 1.7 m" if len(known) else ""
    copied, estimated = (status == "same point").sum(), (status == "estimated").sum()
    text = f"{copied} joints copied, {estimated} estimated, {len(lost)} left out{error}"
    return text + (f"\nleft out: {', '.join(lost[:12])}{' ...' if len(lost) > 12 else ''}" if lost else "")


def _explain(options: argparse.Namespace) -> None:
    from skelbridge.convert import Converter

    converter = Converter(options.source, options.target, side=options.side, via=options.via)
    print(converter.report())
    if options.png:
        converter.plot().savefig(options.png)
        print(f"picture: {options.png}")


def _calibrate(options: argparse.Namespace) -> None:
    from skelbridge.body.calibrate import calibrate
    from skelbridge.io import read

    if not options.out.parent.is_dir():  # before the work
        raise InputError("--out", expected="a file in a folder that exists", got=str(options.out))
    people = {}
    for files in [*([file] for file in options.recordings), *options.person]:
        clips = [read(file, format=options.source) for file in files]
        if options.units is None and any(clip.units == "unknown" for clip in clips):
            raise InputError(f"{files[0]} does not say its unit", mend="Say it with --units mm, cm, m or inch.")
        known = [replace(clip, units=options.units) if clip.units == "unknown" else clip for clip in clips]
        points = [clip.in_units("mm").points for clip in known]
        people[str(files[0])] = np.concatenate([clip.reshape(-1, *clip.shape[-2:]) for clip in points])
    source = f"own recordings: {len(people)} people"
    found = calibrate(options.source, people, frames=options.frames, source=source, progress=True)
    print(found.report())
    found.save(options.out)
    print(f"card: {options.out}")
    if options.png:
        from skelbridge.plot import plot_calibration

        plot_calibration(found).savefig(options.png)
        print(f"picture: {options.png}")


def _build_motion(options: argparse.Namespace) -> None:
    from skelbridge.body.build import build_motion

    frames = build_motion(options.clip, options.out, source=options.source, seed=options.seed)
    print(f"{options.out}: {frames} frames")
