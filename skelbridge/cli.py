"""The `skelbridge` command; thin: every sub-command is one call into the library."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skelbridge.errors import InputError, SkelbridgeError

if TYPE_CHECKING:
    from skelbridge.convert import Converter
    from skelbridge.skeletons import Skeleton

#: Frames converted between two steps of the progress bar.
_BLOCK = 20_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 for success, 2 for bad input (one message, no traceback), 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except SkelbridgeError as error:
        print(f"skelbridge: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print("; ".join(["skelbridge: interrupted", *map(str, stop.args)]), file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `skelbridge formats | head`
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skelbridge", description="Convert human poses between skeleton formats.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

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

    build = commands.add_parser(
        "build-bridge", help="build moments and latent keypoints from motions and random poses (needs [body,fit])"
    )
    build.add_argument("--motions", type=Path, nargs="*", default=[], help="BVH or ASF/AMC files, or folders of them")
    build.add_argument("--exclude", nargs="*", default=[], metavar="NAME", help="clips to leave out, by file name")
    build.add_argument("--bodies", type=int, default=40_000, help="how many bodies (default 40,000)")
    build.add_argument("--random-share", type=float, default=0.3, help="share of random poses (default 0.3)")
    build.add_argument("--seed", type=int, default=0)
    build.add_argument(
        "--latents", default="80,16", metavar="SIDED,CENTRAL", help="how many latent keypoints (default 80,16)"
    )
    build.add_argument("--l1", type=float, default=1.0, help="price of weights (default 1)")
    build.add_argument("--out", type=Path, help="file to write (default: the shipped one)")
    build.set_defaults(run=_build_bridge)

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

    _add_fit(commands)
    look = commands.add_parser("inspect", help="show what is in a bridge file: moments, latent keypoints")
    look.add_argument("bridge", type=Path, help="bridge file (.safetensors)")
    look.add_argument("--png", type=Path, metavar="DIR", help="draw the latents into this folder (needs [plot])")
    look.set_defaults(run=_inspect)

    motion = commands.add_parser(
        "build-motion", help="put a clip on a virtual body, as the demo's sample (needs [body])"
    )
    motion.add_argument("clip", type=Path, help="BVH or AMC file")
    motion.add_argument("out", type=Path, help="npz file to write")
    motion.add_argument("--seed", type=int, default=0, help="which body")
    motion.add_argument("--source", required=True, help="what the clip is, and its licence")
    motion.set_defaults(run=_build_motion)
    return parser


_FIT = """\
Learn latent 3D keypoints from poses in which several formats are known together (needs [fit]).

POSES.npz holds one array (N, joints, 3) for each format, named by its id, of the same N bodies; or `points` (N, J, 3),
the formats' joints side by side, and `formats`, the list of their ids. NaN is missing; `units` may say mm (the
default), cm, m or inch. Files larger than memory are read in blocks. No other kind of file is read today.

    np.savez("POSES.npz", coco_17=X, h36m_17=Y, **{"mano:left": L, "mano:right": R})

An interrupted fit leaves OUT.part; the same command goes on from there.
"""


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser("fit", help="learn latent keypoints from poses in several formats (needs [fit])",
                              description=_FIT, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    fit.add_argument("poses", type=Path, metavar="POSES.npz")
    fit.add_argument("--latents", default="40,8", metavar="SIDED,CENTRAL", help="how many (default 40,8)")
    fit.add_argument("--l1", default="0.6", metavar="PRICE[,PRICE]",
                     help="of weights, encoder's and decoder's: higher is nearer to convex (default 0.6)")  # fmt: skip
    fit.add_argument("--out", type=Path, required=True, help="bridge file to write; what else is in it stays")
    fit.add_argument("--projection", action="store_true", help="compare projections: poses in camera space")
    fit.add_argument("--loss", choices=["l1", "huber", "l2"], default="l1", help="of an error (default l1)")
    fit.add_argument("--solver", choices=["alternating", "adam", "cvxpy"], default="alternating",
                     help="the fast one (default), the paper's recipe, or exact steps for small problems")  # fmt: skip
    fit.add_argument("--held-out", type=float, default=0.1, help="share of poses, the last, to judge by (default 0.1)")
    fit.add_argument("--sample", type=int, metavar="N", help="use N poses at most (default 20,000)")
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--device", help="of torch, such as cuda")
    fit.set_defaults(run=_fit)


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


def _build_bridge(options: argparse.Namespace) -> None:
    from skelbridge.body.build import build_acae, build_bridge
    from skelbridge.bridge.acae.fit import Settings
    from skelbridge.bridge.file import SHIPPED

    out, latents = options.out or SHIPPED, _numbers("--latents", options.latents, int)
    Settings(latents=latents, l1=(options.l1, options.l1))  # before the work
    chosen = {name: getattr(options, name) for name in ("random_share", "seed", "exclude")}
    bridge = build_bridge(options.motions, bodies=options.bodies, **chosen)
    half = max(options.bodies // 2, 1)
    acae = build_acae(options.motions, bodies=half, latents=latents, l1=options.l1, **chosen)
    bridge.save(out)  # both or neither: a failed fit leaves the old file
    acae.save(out)
    clips = len(bridge.certificate["motions"])
    print(f"{out}: {options.bodies} bodies, {clips} clips, {len(bridge.moments)} landmarks; {acae}")


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


def _fit(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from skelbridge.bridge.acae import fit_acae
    from skelbridge.bridge.acae.file import parts_of
    from skelbridge.io.paired import read_paired

    if not options.out.parent.is_dir():  # before the work
        raise InputError("--out", expected="a file in a folder that exists", got=str(options.out))
    if options.out.exists():
        parts_of(options.out)
    latents, l1 = _numbers("--latents", options.latents, int), _numbers("--l1", options.l1, float)
    paired, part = read_paired(options.poses), options.out.with_name(f"{options.out.name}.part")
    steps = -(-len(paired) // paired.block)
    blocks = tqdm(paired.blocks(), total=steps, desc="reading", disable=None if steps > 1 else True)
    try:
        acae = fit_acae(
            blocks, paired.formats, latents, l1=l1, projection=options.projection, loss=options.loss,
            solver=options.solver, held_out=options.held_out, sample=options.sample, seed=options.seed,
            device=options.device, progress=True, checkpoint=part,
        )  # fmt: skip
    except KeyboardInterrupt:
        word = f"goes on from {part}" if part.exists() else "begins anew"
        raise KeyboardInterrupt(f"the same command {word}") from None
    acae.save(options.out)
    print(acae.report())
    print(f"\nlatent keypoints: {options.out}")


def _numbers(name: str, text: str, kind: type[float]) -> tuple[Any, ...]:
    """Two numbers of an option; a single price stands for both."""
    try:
        first, *rest = map(kind, text.split(","))
    except ValueError:
        first, rest = 0, [0, 0]
    if len(rest) > 1 or (kind is int and not rest):
        raise InputError(name, expected="two numbers, such as 40,8" if kind is int else "a number, or two as 0.6,0.3",
                         got=repr(text))  # fmt: skip
    return first, (rest or [first])[0]


def _inspect(options: argparse.Namespace) -> None:
    from skelbridge.bridge.acae import ACAE
    from skelbridge.bridge.acae.file import parts_of
    from skelbridge.bridge.file import read_bridge

    parts = parts_of(options.bridge)
    if "moments" in parts:
        bridge = read_bridge(options.bridge)
        print(f"moments of {len(bridge.moments)} landmarks\n{_told(bridge.certificate)}\n")
    if "autoencoder" not in parts:
        print("no autoencoder: skelbridge fit makes one")
        return
    acae = ACAE.load(options.bridge)
    print(f"autoencoder\n{_told(acae.certificate)}\n\n{acae.report()}")
    if options.png:
        from skelbridge.plot import plot_acae_errors, plot_acae_weights, plot_latents

        options.png.mkdir(parents=True, exist_ok=True)
        for name, plot in (("latents", plot_latents), ("weights", plot_acae_weights), ("errors", plot_acae_errors)):
            plot(acae).savefig(options.png / f"{name}.png")
            print(f"picture: {options.png / name}.png")


def _told(certificate: dict[str, Any]) -> str:
    """A certificate, a line for each entry; long lists as their length."""
    lines = []
    for name, value in certificate.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        lines.append(f"  {name}: {text if len(text) <= 100 else f'{len(value)} entries'}")
    return "\n".join(lines)


def _build_motion(options: argparse.Namespace) -> None:
    from skelbridge.body.build import build_motion

    frames = build_motion(options.clip, options.out, source=options.source, seed=options.seed)
    print(f"{options.out}: {frames} frames")


if __name__ == "__main__":
    sys.exit(main())
