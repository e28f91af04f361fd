"""How true conversions are: python -m benchmarks.fidelity [--motions DIR ...] [--real DIR] [--write]

(1) Virtual bodies, of shapes, random poses and motions that the bridge was not built from: every ordered pair of body
    formats, beside renaming and beside the least-squares optimum of those very bodies.
(2) Real people recorded in a large format: some joints are shown, the others asked for.

Without folders of motion capture and recordings, (1) uses random poses alone and (2) is left out, and both say so.
--write puts the result into docs/fidelity.md and README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import ROOT, printed, write_block
from skelbridge.body.calibrate import calibrate
from skelbridge.body.motions import load_motions, motion_files
from skelbridge.body.sample import sample_bodies
from skelbridge.bridge import MomentAccumulator, shipped_bridge
from skelbridge.convert import Converter
from skelbridge.errors import SkelbridgeError
from skelbridge.evaluate.fidelity import PairFidelity, on_hidden_joints, on_moments, rms
from skelbridge.io import read
from skelbridge.landmarks import landmarks
from skelbridge.skeletons import Skeleton, formats, skeleton

#: Formats of bodies: no hands or whole bodies, whose many fingers and lips would rule every mean.
MOST_JOINTS = 60
SHOWN = [
    ("coco_17", "smpl_24"),
    ("coco_17", "h36m_17"),
    ("mediapipe_pose_33", "h36m_17"),
    ("body_25", "smpl_24"),
    ("h36m_17", "coco_17"),
    ("smpl_24", "h36m_17"),
    ("kinect_v2_25", "coco_17"),
    ("cmu_mocap_31", "smpl_24"),
]
#: Real cases: what is shown of each format; everything else is asked for.
LIMBS = ["hip", "knee", "ankle", "shoulder", "elbow", "wrist"]
LIMB_JOINTS = [f"{side}_{joint}" for side in ("left", "right") for joint in LIMBS]
CASES: dict[str, dict[str, list[str] | str | None]] = {
    "cmu_mocap_31": {
        "limbs and head": [*LIMB_JOINTS, "head"],
        "all but the trunk": None,  # the trunk's joints below are hidden, the rest shown
    },
    "body_25": {"limbs": LIMB_JOINTS},
    "plug_in_gait_39": {"all but one marker": "each"},
    "halpe_26": {"limbs and nose": [*LIMB_JOINTS, "nose"]},
    "panoptic_19": {"limbs and nose": [*LIMB_JOINTS, "nose"]},
    "h36m_17": {"limbs and head": [*LIMB_JOINTS, "head"]},
    "mpi_inf_3dhp_17": {"limbs and head": [*LIMB_JOINTS, "head"]},
}
TRUNK = ["pelvis", "spine1", "spine2", "thorax", "neck"]
ENOUGH = 200


def held_out(folders: list[Path]) -> list[Path]:
    """Motion files in the folders that the shipped bridge was not built from, by their contents."""
    used = {motion["sha256"] for motion in shipped_bridge().certificate["motions"]}
    return [file for file in motion_files(folders) if hashlib.sha256(file.read_bytes()).hexdigest() not in used]


def test_moments(clips: list[Path], bodies: int) -> np.ndarray:
    """Moments of bodies that the bridge has not seen: another seed, other clips."""
    share = shipped_bridge().certificate["random_share"]
    accumulator = MomentAccumulator(landmarks().mirror)
    for batch in sample_bodies(bodies, 987_654, load_motions(clips) if clips else [], share):
        accumulator.add(batch.landmarks, batch.stature)
    return accumulator.result()


def virtual(moments: dict[str, np.ndarray]) -> Iterator[str]:
    cards = [card for card in formats() if not card.one_hand and len(card) <= MOST_JOINTS]
    converters = [Converter(a, b) for a in cards for b in cards if a is not b]
    first, spread = next(iter(moments)), list[str]()
    yield "| conversion | ours | renaming | ours, same joints | floor | ours / floor | bridge expected / measured |"
    yield "|---|---|---|---|---|---|---|"
    for converter in converters:
        if (str(converter.source), str(converter.target)) in SHOWN:
            yield row(f"{converter.source} → {converter.target}, {first}", [on_moments(converter, moments[first])])
    every = f"all {len(converters)} pairs of {len(cards)} body formats"
    for name, M in moments.items():
        pairs = [on_moments(converter, M) for converter in converters]
        yield row(f"{every}, {name}", pairs)
        spread.append(spread_of(name, pairs))
    exact = [on_moments(Converter(c.source, c.target, placement=0, noise=0), moments[first]) for c in converters]
    yield row(f"{every}, {first}, placements taken as exact, no noise", exact)
    yield ""
    yield from spread


def spread_of(name: str, pairs: list[PairFidelity]) -> str:
    """How well the bridge part was foretold for single conversions (those with an error to speak of)."""
    ratios = [rms(p.expected_bridge) / rms(p.ours) for p in pairs if np.isfinite(p.ours).any() and rms(p.ours) > 2]
    low, middle, high = np.percentile(ratios, [5, 50, 95])
    return (
        f"Bridge part, expected / measured, over single conversions, {name}: median {middle:.3f},"
        f" 5th percentile {low:.3f}, 95th {high:.3f}.  "
    )


def row(name: str, pairs: list[PairFidelity]) -> str:
    """One line: rms over all target joints of all pairs, mm on a body of 1.7 m."""
    ours, renaming, shared, floor, bridge = (
        np.concatenate([getattr(pair, field) for pair in pairs])
        for field in ("ours", "renaming", "ours_shared", "floor", "expected_bridge")
    )
    return (
        f"| {name} | {rms(ours):.1f} | {rms(renaming):.1f} | {rms(shared):.1f} | {rms(floor):.1f} "
        f"| {rms(ours) / rms(floor):.2f} | {rms(bridge) / rms(ours):.3f} |"
    )


def recordings(folder: Path) -> dict[str, dict[str, list[np.ndarray]]]:
    """Real 3D poses in mm by format and person (the folder that the file lies in)."""
    found: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for suffix in ("*.amc", "*.c3d", "*.trc"):
        for file in sorted(folder.rglob(suffix)):
            try:
                # OpenCap's files add inferred markers to OpenPose's points: only the points are recorded
                poses = read(file, format="body_25" if "opencap" in file.parts else None)
            except SkelbridgeError:
                continue
            known = poses.skeleton.id in CASES and poses.points.ndim == 3 and "LSTM" not in file.name
            factor = {"mm": 1.0, "m": 1000.0, "cm": 10.0}.get(poses.units)
            if known and factor is not None and "filt" not in file.name:
                found[poses.skeleton.id][file.parent.name].append(poses.points * factor)
    return found


def few_frames(folder: Path) -> dict[str, dict[str, list[np.ndarray]]]:
    """The research-only samples of a handful of frames, in mm: Panoptic, Human3.6M, MPI-INF-3DHP."""
    found: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(folder.glob("panoptic_body3d/*/hdPose3d_stage1_coco19/*.json")):
        for person in json.loads(file.read_text())["bodies"]:
            values = np.array(person["joints19"], dtype=float).reshape(19, 4)
            points = np.where(values[:, 3:] > 0.1, values[:, :3] * 10, np.nan)
            found["panoptic_19"]["all"].append(points[None])
    for name, files in {
        "h36m_17": "h36m/test_h36m_body3d.npz",
        "mpi_inf_3dhp_17": "mpi_inf_3dhp/*.npz",
    }.items():
        for file in sorted(folder.glob(files)):
            with np.load(file, allow_pickle=False) as archive:
                found[name]["all"].append(archive["S"][..., :3].astype(float) * 1000)
    return found


def real(folder: Path) -> Iterator[str]:
    yield (
        "| format | places | shown | person | frames | joints | ours | renaming | ours, same joints"
        " | least squares of others | expected | measured / expected |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for name, people in sorted([*recordings(folder).items(), *few_frames(folder).items()]):
        for places, card, person, poses, others in trials(name, people):
            for case, visible in CASES[name].items():
                pair = measure(card, visible, poses, others)
                yield real_row(f"{name} | {places} | {case} | {person}", len(poses), pair)


def trials(name: str, people: dict[str, list[np.ndarray]]) -> Iterator[tuple[str, Skeleton, str, np.ndarray, Any]]:
    """What is tested: in words whose places, the card, the person, its poses, and poses of others (or None).

    A card whose places were learned from recordings is never tested on them: it is learned anew from the other people
    or, if there is but one, from the first half of the recording, and tested on the rest; beside it its own places.
    """
    shipped = skeleton(name)
    for person, clips in sorted(people.items()):
        poses = np.concatenate(clips)
        known = {other: np.concatenate(theirs) for other, theirs in people.items() if other != person}
        if not any(joint.calibrated for joint in shipped.joints):
            yield "shipped", shipped, person, poses, np.concatenate([*known.values()]) if known else None
            continue
        learned_from = "other person" if known else "first half"
        if not known:
            known, poses = {person: poses[: len(poses) // 2]}, poses[len(poses) // 2 :]
        others = np.concatenate([*known.values()])
        yield "own", shipped.prior(), person, poses, others
        yield f"learned, {learned_from}", calibrate(shipped, known).card, person, poses, others


def measure(
    card: Skeleton, visible: list[str] | str | None, poses: np.ndarray, others: np.ndarray | None
) -> PairFidelity:
    converter = Converter(card, card, max_error=1e9)
    names = list(card.names)
    if visible != "each":
        shown = visible if isinstance(visible, list) else [n for n in names if n not in TRUNK]
        return on_hidden_joints(converter, poses, shown, others)
    pairs = [on_hidden_joints(converter, poses, [m for m in names if m != n], others) for n in names]
    diagonal = {
        field: np.array([getattr(pair, field)[i] for i, pair in enumerate(pairs)])
        for field in ("ours", "renaming", "ours_shared", "floor", "expected", "expected_bridge")
    }
    return PairFidelity(card.id, card.id, **diagonal)


def real_row(about: str, frames: int, pair: PairFidelity) -> str:
    note = "" if frames >= ENOUGH else " (indicative)"

    def number(value: float) -> str:
        return "–" if np.isnan(value) else f"{value:.1f}"

    return (
        f"| {about} | {frames}{note} | {np.isfinite(pair.ours).sum()} | {number(rms(pair.ours))} "
        f"| {number(rms(pair.renaming))} | {number(rms(pair.ours_shared))} | {number(rms(pair.floor))} "
        f"| {number(rms(pair.expected))} | {rms(pair.ours) / rms(pair.expected):.2f} |"
    )


def report(folders: list[Path], real_folder: Path | None, bodies: int) -> Iterator[str]:
    clips = held_out(folders) if folders else []
    yield "## Virtual bodies that the bridge has not seen\n"
    kinds = {f"held-out {suffix[1:].upper()}": [c for c in clips if c.suffix == suffix] for suffix in (".bvh", ".amc")}
    nothing = f"{bodies:,} bodies in random poses ONLY: no motion capture was given.\n"
    yield about(bodies, kinds) if clips else nothing
    sets = {name: files for name, files in kinds.items() if files} or {"random poses": []}
    yield from virtual({name: test_moments(files, bodies) for name, files in sets.items()})
    yield "\n## Real people\n"
    if real_folder is None:
        yield "Left out: no recordings were given (--real)."
    else:
        yield f"Cases of fewer than {ENOUGH} frames are indicative. Errors are rms in mm.\n"
        yield from real(real_folder)


def about(bodies: int, kinds: dict[str, list[Path]]) -> str:
    built = shipped_bridge().certificate
    return (
        f"{bodies:,} bodies a row, each of another shape, {built['random_share']:.0%} of them in random poses and the "
        "others in poses of motion capture that the bridge was not built from: "
        f"{', '.join(f'{len(files)} clips ({name})' for name, files in kinds.items())}. "
        f"The bridge was built from {built['bodies']:,} bodies and {len(built['motions'])} other clips, all BVH: the "
        "AMC clips are of other people, recorded and solved differently. Errors are rms in mm on a body of 1.7 m; the "
        "body's own joints are the truth, so this checks the bridge, not the placements.\n"
    )


def folder_from_environment() -> Path | None:
    folder = Path(os.environ.get("SKELBRIDGE_REAL", ROOT.parent / "shared" / "real"))
    return folder if folder.is_dir() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = folder_from_environment()
    mocap = [folder for folder in (given / "cmu_bvh", given / "cmu_mocap") if folder.is_dir()] if given else []
    parser.add_argument("--motions", type=Path, nargs="*", default=mocap, help="folders of BVH and ASF/AMC files")
    parser.add_argument("--real", type=Path, default=given, help="folder of recordings of real people")
    parser.add_argument("--bodies", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help="write docs/fidelity.md")
    options = parser.parse_args()
    lines = printed(report(options.motions, options.real, options.bodies))
    if options.write:
        write_block(ROOT / "docs" / "fidelity.md", "fidelity", lines)
        write_block(ROOT / "README.md", "headline", headline(lines))
        write_block(ROOT / "docs" / "placements.md", "real people", real_table(lines))


def real_table(lines: list[str]) -> list[str]:
    """The table of real people."""
    start = next(i for i, line in enumerate(lines) if line.startswith("| format"))
    return [line for line in lines[start:] if line.startswith("|")]


def headline(lines: list[str]) -> list[str]:
    """The tables' heads, the rows over all pairs, and the real cases that carry weight."""
    tables = [line for line in lines if line.startswith("|")]
    chosen = [row for row in tables if "indicative" not in row and "→" not in row]
    second = next((i for i, row in enumerate(chosen) if row.startswith("| format")), len(chosen))
    return [*chosen[:second], "", *chosen[second:]]


if __name__ == "__main__":
    main()
