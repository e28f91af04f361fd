"""The affine-combining autoencoder: python -m benchmarks.acae [--write] [--motions DIR ...] [part ...]

recipe: the paper's recipe and the library's fit on the same poses, objective and cores, three seeds.
sweep:  held-out error and negative weights over the price and the number of latents; exact convex steps as a reference.
scale:  all joints of the registry and a million streamed poses, time and memory.
gpu:    the fit of `recipe` on CUDA, where there is one.

All parts by default. --write puts the tables into docs/acae.md and the pictures into docs/images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.acae_poses import Bodies, before_camera
from benchmarks.acae_race import FORMATS, fitted, plot_race, race, table
from benchmarks.acae_scale import measured
from benchmarks.acae_sweep import by_kind, exact_steps, grid, shipped, tradeoff
from benchmarks.fidelity import folder_from_environment
from benchmarks.report import ROOT, printed, write_block
from skelbridge.bridge.acae import Joints
from skelbridge.plot import plot_tradeoff
from skelbridge.plot.ink import save_small

IMAGES = ROOT / "docs" / "images"
#: The memory that a fit may take, GiB.
MOST_MEMORY = 4.0


def recipe(bodies: Bodies, write: bool) -> Iterator[str]:
    """The paper's recipe and ours."""
    result = race(bodies)
    yield from table(result)
    if write:
        save_small(plot_race(result), IMAGES / "acae_recipe.png")


def sweep(bodies: Bodies, write: bool) -> Iterator[str]:
    """Price and number of latents."""
    result = grid(bodies)
    yield from tradeoff(result)
    yield from shipped()
    yield from by_kind(result)
    yield from exact_steps(bodies)
    if write:
        save_small(plot_tradeoff(result.rows()), IMAGES / "acae_tradeoff.png")


def scale(bodies: Bodies, write: bool) -> Iterator[str]:
    """A long stream."""
    found = measured(bodies.fit)
    yield "| joints | places | streamed | fitted on | time, s | making the poses alone, s | peak memory | wanted |"
    yield "|---|---|---|---|---|---|---|---|"
    yield (
        f"| {found['joints']:,} | {found['places']} | {found['seen']:,} | {found['fitted_on']:,} "
        f"| {found['seconds']:.0f} | {found['made']:.0f} | {found['peak']:.2f} GiB | under {MOST_MEMORY:g} GiB |"
    )


def gpu(bodies: Bodies, write: bool) -> Iterator[str]:
    """The fit on CUDA."""
    if not torch.cuda.is_available():
        yield "No GPU was at hand."
        return
    joints = Joints.of(FORMATS)
    poses = before_camera(bodies.fit, joints)
    seconds = {}
    for device in ("cuda", "cpu"):
        fitted(poses[:500], joints, device=device)
        start = time.perf_counter()
        acae = fitted(poses, joints, device=device)
        seconds[device] = time.perf_counter() - start, 1000 * acae.certificate["objective_m"]
    yield "| device | time, s | objective, mm |"
    yield "|---|---|---|"
    yield f"| {torch.cuda.get_device_name()} | {seconds['cuda'][0]:.2f} | {seconds['cuda'][1]:.2f} |"
    yield f"| processor, {torch.get_num_threads()} threads | {seconds['cpu'][0]:.2f} | {seconds['cpu'][1]:.2f} |"


PARTS = {"recipe": recipe, "sweep": sweep, "scale": scale, "gpu": gpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = folder_from_environment()
    mocap = [folder for folder in (given / "cmu_bvh", given / "cmu_mocap") if folder.is_dir()] if given else []
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="part", help="one or more of the above")
    parser.add_argument("--motions", type=Path, nargs="*", default=mocap, help="folders of BVH and ASF/AMC files")
    parser.add_argument("--write", action="store_true", help="write docs/acae.md and pictures")
    options = parser.parse_args()
    bodies = Bodies.sampled(options.motions)
    for name in options.parts or PARTS:
        start = time.perf_counter()
        print(f"## {name}\n")
        lines = printed(PARTS[name](bodies, options.write))
        print(f"\n({time.perf_counter() - start:.0f} s for {name})\n")
        if options.write:
            write_block(ROOT / "docs" / "acae.md", f"acae {name}", lines)


if __name__ == "__main__":
    main()
