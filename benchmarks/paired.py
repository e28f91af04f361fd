"""What paired poses teach: python -m benchmarks.paired [--real DIR] [--write]

CMU recordings of two people: from limbs and head to all 31 joints, learned from pairs of one person, tested on the
other. Beside it the bridge alone and plain least squares of the same pairs. --write puts it into docs/placements.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.fidelity import CASES, folder_from_environment, recordings
from benchmarks.report import ROOT, printed, write_block
from skelbridge.bridge import affine_weights
from skelbridge.convert import Converter
from skelbridge.evaluate.fidelity import rms
from skelbridge.skeletons import Skeleton, skeleton

FORMAT, CASE = "cmu_mocap_31", "limbs and head"
PAIRS = (20, 100, 300, 1000)


def part_of(card: Skeleton, names: list[str]) -> Skeleton:
    """A format of some of a format's joints."""
    content = card.model_dump(exclude={"checks", "aliases"})
    for field in ("edges", "mirror"):
        content[field] = [pair for pair in content[field] if set(pair) <= set(names)]
    content["root"] = [name for name in card.root if name in names]
    content["joints"] = [card.joints[card.index(name)] for name in names]
    return Skeleton.model_validate({**content, "id": f"{card.id}_part"})


def least_squares(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Affine weights (T, S) of these pairs alone."""
    centre = X.mean(axis=1, keepdims=True)
    rows, targets = ((points - centre).transpose(1, 0, 2).reshape(points.shape[1], -1) for points in (X, Y))
    return affine_weights(rows @ rows.T, rows @ targets.T)


def report(folder: Path) -> Iterator[str]:
    card, shown = skeleton(FORMAT).prior(), CASES[FORMAT][CASE]  # the shipped places know both people
    if not isinstance(shown, list):
        raise TypeError(f"the case {CASE!r} lists no joints")
    rows, hidden = [card.index(name) for name in shown], ~np.isin(card.names, shown)
    converter = Converter(part_of(card, shown), card, max_error=1e9)
    people = {person: np.concatenate(clips) for person, clips in recordings(folder)[FORMAT].items()}

    def line(person: str, pairs: object, made: np.ndarray, expected: np.ndarray | None, simple: str) -> str:
        error = rms(np.linalg.norm(made - people[person], axis=-1)[:, hidden])
        told = "–" if expected is None else f"{rms(expected[:, hidden]):.1f} | {error / rms(expected[:, hidden]):.2f}"
        return f"| {person} | {pairs} | {error:.1f} | {simple} | {told} |"

    yield (
        f"{FORMAT}, from {CASE} ({len(shown)} joints) to the other {hidden.sum()}: rms error in mm on one person after"
        " pairs of another, evenly spread over the recordings.\n"
    )
    yield "| tested on | pairs of the other | bridge and pairs | least squares | expected | measured / expected |"
    yield "|---|---|---|---|---|---|"
    for person, other in (sorted(people), sorted(people, reverse=True)):
        test = people[person]
        out = converter(test[:, rows])
        yield line(person, "none: the bridge", out.points, out.expected_error, "–")
        for count in PAIRS:
            Y = people[other][np.linspace(0, len(people[other]) - 1, count).astype(int)]
            out = converter.fit(Y[:, rows], Y)(test[:, rows])
            simple = np.einsum("ts,nsd->ntd", least_squares(Y[:, rows], Y), test[:, rows])
            floor = rms(np.linalg.norm(simple - test, axis=-1)[:, hidden])
            yield line(person, count, out.points, out.expected_error, f"{floor:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=folder_from_environment(), help="folder of recordings")
    parser.add_argument("--write", action="store_true", help="write docs/placements.md")
    options = parser.parse_args()
    if options.real is None:
        parser.error("no recordings were given (--real)")
    lines = printed(report(options.real))
    if options.write:
        write_block(ROOT / "docs" / "placements.md", "paired", lines)


if __name__ == "__main__":
    main()
