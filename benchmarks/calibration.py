"""Placements learned from free recordings of people, and whether they hold on what they were not learned from.

    python -m benchmarks.calibration            # print
    python -m benchmarks.calibration --write    # and write docs/placements.md, and the cards that got better

Only recordings that are free to use enter (CMU's, Kinetics Toolkit's, Pose2Sim's, OpenCap's). A card is written where
the learned places are better on what was held out, and enough was recorded: at least 200 frames.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.fidelity import ENOUGH, folder_from_environment, recordings
from benchmarks.report import ROOT, printed, write_block
from skelbridge.body.calibrate import Calibration, calibrate
from skelbridge.plot import plot_calibration
from skelbridge.skeletons import skeleton, write_card

#: What each free recording is, for the card.
SOURCES = {
    "cmu_mocap_31": "CMU Graphics Lab Motion Capture Database, subjects 01 and 02 (free for all uses)",
    "plug_in_gait_39": "tennis serve of the Kinetics Toolkit's test data, one person (Apache-2.0)",
    "halpe_26": "balancing trial of Pose2Sim's demonstration, one person (BSD-3)",
    "body_25": "walking trial of OpenCap's examples, one person (Apache-2.0)",
}
#: Formats whose joints are the same points under other names: they take the places over.
SAME_POINTS = {"cmu_mocap_31": "cmu_bvh_31"}


def rows(found: dict[str, Calibration], frames: dict[str, int]) -> list[str]:
    lines = [
        "| format | people | frames recorded | used | held out | hidden joints: own places | learned places"
        " | learned / own | measured / foretold, own uncertainties | learned uncertainties | card |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, c in found.items():
        own, new = (float(np.exp(np.mean(np.log(trial.measured)))) for trial in (c.before, c.after))
        prior, best = c.learned.prior(), c.after if c.improved else c.before
        foretold = (
            c.before.foretold(prior, prior.placement_uncertainty),
            best.foretold(c.card, c.card.placement_uncertainty),
        )
        ratios = [np.exp(np.mean(np.log(t.measured / f))) for t, f in zip((c.before, best), foretold, strict=True)]
        taken = (
            "not written: too few frames" if frames[name] < ENOUGH else "learned places" if c.improved else "own places"
        )
        lines.append(
            f"| {name} | {c.fit.people} | {frames[name]} | {len(c.fit.points)} | {c.held_out} | {own:.1f} | {new:.1f}"
            f" | {c.gain:.3f} | {ratios[0]:.2f} | {ratios[1]:.2f} | {taken} |"
        )
    return lines


def by_kind(found: dict[str, Calibration]) -> list[str]:
    lines = ["| format | kind | joints | own uncertainty, mm | learned | moved |", "|---|---|---|---|---|---|"]
    for name, c in found.items():
        prior = c.learned.prior()
        kinds = np.array([joint.kind for joint in prior.joints])
        for kind in sorted(set(kinds)):
            own, new, moved = (
                float(np.mean(values[kinds == kind]))
                for values in (prior.placement_uncertainty, c.card.placement_uncertainty, c.moved)
            )
            lines.append(f"| {name} | {kind} | {np.sum(kinds == kind)} | {own:.1f} | {new:.1f} | {moved:.1f} |")
    return lines


def write_cards(found: dict[str, Calibration], frames: dict[str, int]) -> None:
    for name, c in found.items():
        if frames[name] < ENOUGH or not c.improved:
            continue
        c.save(ROOT / "registry" / "skeletons" / f"{name}.toml")
        if name in SAME_POINTS:
            _take_over(c, SAME_POINTS[name])


def _take_over(c: Calibration, name: str) -> None:
    """Give joints of another card that lie at the same places the learned ones."""
    learned = {str(old.at): new for old, new in zip(c.learned.prior().joints, c.card.joints, strict=True)}
    card = skeleton(name).prior()
    joints = []
    for joint in card.joints:
        new = learned.get(str(joint.at))
        taken = {} if new is None else {"at": new.at, "uncertainty": new.uncertainty, "calibrated": new.calibrated}
        kept = {} if new is None else {"prior": joint.at, "prior_uncertainty": joint.placement_uncertainty}
        joints.append({**joint.model_dump(), **taken, **kept})
    write_card(
        type(card).model_validate({**card.model_dump(), "joints": joints}), ROOT / "registry/skeletons" / f"{name}.toml"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=folder_from_environment(), help="folder of recordings of people")
    parser.add_argument("--write", action="store_true", help="write docs/placements.md and the cards")
    options = parser.parse_args()
    if options.real is None:
        parser.error("no recordings: name a folder with --real")
    found, frames = {}, {}
    for name, people in sorted(recordings(options.real).items()):
        if name in SOURCES:
            poses = {person: np.concatenate(clips) for person, clips in people.items()}
            frames[name] = sum(map(len, poses.values()))
            found[name] = calibrate(name, poses, source=SOURCES[name], progress=True)
            print(found[name].report(), "\n", flush=True)
    lines = printed([*rows(found, frames), "", *by_kind(found)])
    if options.write:
        write_block(ROOT / "docs" / "placements.md", "calibration", lines)
        plot_calibration(found["cmu_mocap_31"]).savefig(ROOT / "docs" / "images" / "calibration.png", dpi=110)
        write_cards(found, frames)


if __name__ == "__main__":
    main()
