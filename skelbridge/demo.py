"""A tour in a minute: poses converted, with their expected errors; datasets brought into one store; pictures of it all.

    python -m skelbridge.demo [--input PATH [--from FORMAT]] [--out DIR]

Without --input it takes what the package carries: a short motion of the virtual body, whose true joints are
known in every format, and what MediaPipe found on a public-domain photograph. Then it writes small copies of four
datasets' own files, with virtual people, into DIR/demo_data, which it empties first, and unifies them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge import shipped_acae
from skelbridge.convert import CONFIDENCE_LEVELS, Converter
from skelbridge.datasets.report import IngestReport
from skelbridge.errors import FileFormatError, SkelbridgeError, need
from skelbridge.evaluate.renaming import rename
from skelbridge.io import read
from skelbridge.landmarks import landmarks
from skelbridge.poses import Poses
from skelbridge.skeletons import formats, skeleton

SAMPLES = Path(__file__).parent / "samples"
#: What people convert into most; the first four that are not the source are taken.
TARGETS = ("smpl_24", "h36m_17", "mediapipe_pose_33", "body_25", "coco_17")
#: Below this visibility MediaPipe's points are guesses outside the picture: missing.
VISIBLE = 0.5
#: Datasets whose files differ much (JSON and MP4, C3D and Matroska, pictures), those of 3D labels before the 2D one;
#: and how many samples a batch has of each.
DATASETS, EACH = ("cmu_panoptic", "jta", "aspset_510", "coco"), 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 for success, 2 for bad input (one message, no traceback)."""
    parser = argparse.ArgumentParser(prog="python -m skelbridge.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--input", type=Path, help="a pose file of your own, or a folder of OpenPose JSON")
    parser.add_argument("--from", dest="source", metavar="FORMAT", help="its format, if the file does not say")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the pictures (out/demo)")
    options = parser.parse_args(arguments)
    try:
        need("matplotlib", "plot")
        gallery = Gallery(options.out)
        if options.input is not None:
            show_file(options.input, options.source, gallery)
        else:
            need("h5py", "data")
            show_motion(gallery)
            show_photograph(gallery)
            show_latents(gallery)
            show_datasets(gallery)
    except (SkelbridgeError, OSError) as error:
        print(f"skelbridge: {error}", file=sys.stderr)
        return 2
    print("\nPictures:", *gallery.paths, sep="\n  ")
    return 0


class Gallery:
    """The folder that the pictures go to, and what is in it so far."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.paths: list[Path] = []

    def hang(self, name: str, figure: Any, dpi: int = 150) -> None:
        """Save a figure as `name`.png."""
        path = self.folder / f"{name}.png"
        figure.savefig(path, dpi=dpi, pil_kwargs={"optimize": True})
        self.paths.append(path)


# -- the package's own poses -------------------------------------------------------------------------------


def show_motion(gallery: Gallery, source: str = "coco_17") -> None:
    """Convert the carried motion and compare with the body's own joints, which are the truth here."""
    from skelbridge import plot

    body, fps = read_motion(SAMPLES / "motion.npz")
    given = Poses(skeleton(source).placement @ body, skeleton(source), units="mm", fps=fps)
    print(f"A motion of the virtual body, {len(body)} frames: {source} in, all true joints known.")
    print("rms errors in mm on a body of 1.7 m. The points are exact, and so are the joints' places on this")
    print("body; so the expected error is its bridge part, an average over motions of which this is one.\n")
    rows, sheet = [], {f"{source} (given)": given}
    for target in _targets(given):
        converter = Converter(source, target)
        truth = converter.target.placement @ body
        found = converter.points(given.points)
        ours = _joint_errors(found, truth)
        renamed = _joint_errors(rename(given.points, converter.source, converter.target), truth)
        rows.append(_measured_row(converter, ours, renamed))
        sheet[target] = Poses(found, converter.target, units="mm", fps=fps)
        if target == _targets(given)[0]:
            title = f"{source}  →  {target}: error on a motion with known joints"
            expected = np.where(np.isnan(ours), np.nan, converter.bridge_error)
            bars = {"renaming": renamed, "skelbridge": ours}
            unit = "rms, mm on a body of 1.7 m; mark: the expected error's bridge part"
            gallery.hang("errors", plot.plot_comparison(converter.target.names, bars, title, unit, expected))
            gallery.hang("weights", converter.plot())
    print_table("into|joints|left out|expected|measured|renaming knows|there renaming|skelbridge|worst", rows)
    gallery.hang("motion", plot.plot_rows(dict(list(sheet.items())[:4]), body=body), dpi=120)
    gallery.hang("hip", plot.plot_namesakes("hip", formats()))


def read_motion(path: Path) -> tuple[NDArray[np.float64], float | None]:
    """The carried motion of a body of 1.7 m: landmarks (frames, landmarks, 3) in mm, and frames a second."""
    with np.load(path, allow_pickle=False) as file:
        names, points = tuple(map(str, file["names"])), file["landmarks"].astype(float)
        fps = float(file["fps"]) if "fps" in file else None
    if names != landmarks().names:
        raise FileFormatError(
            f"the motion {path} was made for other landmarks", mend="Make it anew: skelbridge build-motion."
        )
    return points, fps


def _measured_row(converter: Converter, ours: NDArray, renamed: NDArray) -> list[str]:
    """One target format: expected and measured error, and renaming on the joints that it knows."""
    known, both = np.isfinite(ours), np.isfinite(renamed) & np.isfinite(ours)
    return [
        str(converter.target),
        str(len(ours)),
        str((~known).sum()),
        f"{_rms(converter.bridge_error[known]):.0f}",
        f"{_rms(ours[known]):.0f}",
        f"{np.isfinite(renamed).sum()} joints",
        f"{_rms(renamed[both]):.0f}",
        f"{_rms(ours[both]):.0f}",
        _worst(converter, ours),
    ]


def show_photograph(gallery: Gallery) -> None:
    """Convert what MediaPipe saw on the photograph and draw it there."""
    from skelbridge import plot

    found = read(SAMPLES / "astronaut_mediapipe_pose.json", space="image").with_confidence_threshold(VISIBLE)
    found = _one_person(found)
    seen, made = np.isfinite(found.points[0]).all(axis=-1), found.meta["provenance"]
    print(f"\nA photograph, {made['licence']}. MediaPipe {made['version']} sees {seen.sum()} of {len(seen)}")
    print(f"points; those below visibility {VISIBLE} count as missing. ", end="")
    layers = {f"{found.skeleton} (detected)": (found.points[0], found.skeleton)}
    converted = convert_all(found, [*_targets(found)[:3], "panoptic_19"])
    layers |= {str(poses.skeleton): (poses.points[0], poses.skeleton) for poses in converted}
    image = need("matplotlib.image", "plot").imread(SAMPLES / "astronaut.jpg")
    gallery.hang("photograph", plot.plot_on_image(image, layers, columns=len(layers)))


def show_latents(gallery: Gallery) -> None:
    """The shipped latent keypoints: how far joints are off after going through them, and where they lie."""
    from skelbridge import plot

    acae = shipped_acae()
    _, decoder = acae.negative_share()
    error, start = (float(np.nanmean(acae.held_out[name])) for name in ("error", "start"))
    formats, joints = len(acae.joints.formats), len(acae.joints)
    print(f"\n{len(acae.latents)} latent keypoints between {formats} formats of {joints} joints.")
    print(f"There and back, poses that the fit has not seen are off by {error:.1f} mm on average on a body of 1.7 m;")
    print(f"with as many of the joints themselves in place of latents, by {start:.1f} mm. A joint is a combination of")
    print(f"{acae.sparsity.decoder.mean():.0f} latents, and {decoder:.1%} of its weights are negative.")
    gallery.hang("latents", plot.plot_latents(acae), dpi=110)


# -- datasets ----------------------------------------------------------------------------------------------


def show_datasets(gallery: Gallery) -> None:
    """Bring four datasets from their own files into one store, and look at a batch of it."""
    from skelbridge import plot
    from skelbridge.datasets import ingest
    from skelbridge.store import Mixture, Stream, merge, verify
    from skelbridge.synthetic.native import write_copy

    folder = gallery.folder / "demo_data"
    shutil.rmtree(folder, ignore_errors=True)
    print(
        f"\nSmall copies of {len(DATASETS)} datasets in their own files, with virtual people, brought into one store.\n"
    )
    reports = []
    for name in DATASETS:
        write_copy(name, folder / name)
        reports.append(ingest(name, folder / name, folder / f"{name}.h5", pack="crop"))
    print_table("dataset|skeleton|samples|left out|most often because", [_ingested_row(each) for each in reports])
    store = merge([each.store for each in reports], folder / "all.h5")
    problems = verify(store.path)
    said = "\n".join(problem.what for problem in problems) or "every byte is as it was written"
    print(f"\n{store.path}: {len(store)} samples, {len(store.union)} joints; {said}.")
    print(f"Look at it: skelbridge store info {store.path}")
    gallery.hang("store", plot.plot_store(store))
    streams = tuple(Stream(dataset=name, count=EACH, weak_2d=name == DATASETS[-1]) for name in DATASETS)
    mixed = Mixture(name="demo", batch_3d=EACH * (len(DATASETS) - 1), batch_2d=EACH, streams=streams)
    gallery.hang("batch", plot.plot_batch(store.batches(mixture=mixed, pictures=True)[0]), dpi=120)


def _ingested_row(report: IngestReport) -> list[str]:
    """One dataset: what came into the store, and how many people did not."""
    reasons = Counter(report.dropped) + Counter(report.cleaned)
    samples = sum(report.kept.values()) - sum(report.cleaned.values())
    often = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(1))
    return [report.dataset, report.skeleton, str(samples), str(reasons.total()), often or "-"]


# -- poses from a file -------------------------------------------------------------------------------------


def show_file(path: Path, source: str | None, gallery: Gallery) -> None:
    """Convert a person's own poses."""
    from skelbridge import plot

    poses = _one_person(read(path, format=source)).with_confidence_threshold(CONFIDENCE_LEVELS[-1][0])
    print(f"{path}: {poses}")
    for note in poses.notes:
        print(f"  note: {note}")
    gallery.hang("poses", plot.plot_poses(poses))
    if not all(joint.at for joint in poses.skeleton.joints):
        print("Drawn, but not converted: where these joints lie on a body is not known. Name a known format")
        print("with --from, or write a card that says it: docs/cards.md.")
        return
    converted = convert_all(poses, _targets(poses))
    gallery.hang("converted", plot.plot_rows({str(p.skeleton): p for p in (poses, *converted)}))
    first = Converter(poses.skeleton, converted[0].skeleton)
    gallery.hang("weights", first.plot())
    gallery.hang("errors", plot.plot_errors(first))


def _one_person(poses: Poses) -> Poses:
    """The person of whom most is seen, where a file holds several."""
    points, confidence = poses.frames_and_people()
    seen = np.isfinite(points).all(axis=-1).sum(axis=(0, 2))
    person = int(seen.argmax())
    if len(seen) > 1:
        print(f"{len(seen)} people; shown is number {person}, of whom most is seen.")
    chosen = None if confidence is None else confidence[:, person]
    return replace(poses, points=points[:, person], confidence=chosen)


def convert_all(poses: Poses, targets: Sequence[str]) -> list[Poses]:
    """Convert into each target format and print what may be expected of it."""
    converted, rows = [], []
    for target in targets:
        converter = Converter(poses.skeleton, target)
        out = converter(poses.points, confidence=poses.confidence)
        errors = _root_mean_square(out.relative_error)
        known = np.isfinite(errors)
        expected = f"{_rms(errors[known]):.0f}" if known.any() else "-"
        counts = [str(len(errors)), str(known.sum()), str((~known).sum())]
        rows.append([str(converter.target), *counts, expected, _worst(converter, errors)])
        converted.append(replace(poses, points=out.points, confidence=out.confidence, skeleton=converter.target))
    print("Expected rms errors in mm on a body of 1.7 m.\n")
    print_table("into|joints|found|left out|expected|worst", rows)
    return converted


# -- numbers and tables ------------------------------------------------------------------------------------


def _targets(poses: Poses) -> list[str]:
    return [name for name in TARGETS if name != poses.skeleton.id][:4]


def _root_mean_square(values: NDArray) -> NDArray:
    """Over all axes but the last; NaN where a column has no number."""
    flat = np.asarray(values, dtype=float).reshape(-1, np.shape(values)[-1])
    count = np.isfinite(flat).sum(axis=0)
    return np.sqrt(np.divide(np.nansum(flat**2, axis=0), count, out=np.full(flat.shape[1], np.nan), where=count > 0))


def _joint_errors(points: NDArray, truth: NDArray) -> NDArray:
    """rms distance of every joint from its true place, (joints,)."""
    return _root_mean_square(np.linalg.norm(points - truth, axis=-1))


def _rms(values: NDArray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def _worst(converter: Converter, errors: NDArray) -> str:
    """The two joints with the largest errors."""
    order = [i for i in np.argsort(-np.nan_to_num(errors)) if np.isfinite(errors[i])][:2]
    return ", ".join(f"{converter.target.names[i]} {errors[i]:.0f}" for i in order)


def print_table(header: str, rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header ("a|b|c"); first and last column flush left, numbers flush right."""
    lines = [header.split("|"), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if column in (0, len(widths) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
