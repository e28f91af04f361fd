"""Commands about bridge files: build-bridge, fit, inspect."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skelbridge.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skelbridge.skeletons import Skeleton

_FIT = """\
Learn latent 3D keypoints from poses in which several formats are known together (needs [fit]).

POSES.npz holds one array (N, joints, 3) for each format, named by its id, of the same N bodies; or `points` (N, J, 3),
the formats' joints side by side, and `formats`, the list of their ids. NaN is missing; `units` may say mm (the
default), cm, m or inch. Files larger than memory are read in blocks.

    np.savez("POSES.npz", coco_17=X, h36m_17=Y, **{"mano:left": L, "mano:right": R})

Or a store (.h5) of samples of one format: latents of that format alone. No other kind of file is read today.

An interrupted fit leaves OUT.part; the same command goes on from there.
"""


def add(commands: Any) -> None:
    """Add these commands to the parser's."""
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

    _add_fit(commands)
    look = commands.add_parser("inspect", help="show what is in a bridge file: moments, latent keypoints")
    look.add_argument("bridge", type=Path, help="bridge file (.safetensors)")
    look.add_argument("--png", type=Path, metavar="DIR", help="draw the latents into this folder (needs [plot])")
    look.set_defaults(run=_inspect)


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser("fit", help="learn latent keypoints from poses in several formats (needs [fit])",
                              description=_FIT, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    fit.add_argument("poses", type=Path, metavar="POSES", help="npz file, or store (.h5)")
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


def _fit(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from skelbridge.bridge.acae import fit_acae
    from skelbridge.bridge.acae.file import parts_of

    if not options.out.parent.is_dir():  # before the work
        raise InputError("--out", expected="a file in a folder that exists", got=str(options.out))
    if options.out.exists():
        parts_of(options.out)
    latents, l1 = _numbers("--latents", options.latents, int), _numbers("--l1", options.l1, float)
    part = options.out.with_name(f"{options.out.name}.part")
    found, formats, steps = _stored(options.poses) if options.poses.suffix == ".h5" else _paired(options.poses)
    blocks = tqdm(found, total=steps, desc="reading", disable=None if steps > 1 else True)
    try:
        acae = fit_acae(
            blocks, formats, latents, l1=l1, projection=options.projection, loss=options.loss,
            solver=options.solver, held_out=options.held_out, sample=options.sample, seed=options.seed,
            device=options.device, progress=True, checkpoint=part,
        )  # fmt: skip
    except KeyboardInterrupt:
        word = f"goes on from {part}" if part.exists() else "begins anew"
        raise KeyboardInterrupt(f"the same command {word}") from None
    acae.save(options.out)
    print(acae.report())
    print(f"\nlatent keypoints: {options.out}")


def _paired(path: Path) -> tuple[Iterator[NDArray[Any]], tuple[Skeleton, ...], int]:
    """The poses of an npz file as blocks (n, J, 3) mm, their formats, and how many blocks there are."""
    from skelbridge.io.paired import read_paired

    paired = read_paired(path)
    return paired.blocks(), paired.formats, -(-len(paired) // paired.block)


def _stored(path: Path) -> tuple[Iterator[NDArray[Any]], tuple[Skeleton, ...], int]:
    """As `_paired`, of the 3D samples of a store, which must be of one skeleton."""
    from skelbridge.store import open_store

    store, rows = open_store(path), 4096
    blocks = (samples.points for samples in store.blocks(rows) if samples.points is not None)
    return blocks, (store.skeleton,), sum(-(-len(piece) // rows) for piece in store.pieces)


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
