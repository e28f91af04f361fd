"""MuPoTS-3D: two annotated people in pictures of one camera, whose calibration is not told."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.synthetic.native._files import cell, write_image, write_mat5
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.native.mpi_inf_3dhp import TEST_JOINTS, joints, universal
from skelbridge.synthetic.scene import Floats, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "mpi_inf_3dhp_17"

#: Sequences: width and height, frames, people in the scene and those annotated, (frame, person) that are not valid.
_SEQUENCES = {
    1: ((2048, 2048), 4, 2, 2, ((1, 0),)),
    6: ((1920, 1080), 3, 3, 2, ((0, 1), (2, 0), (2, 1))),
    10: ((1920, 1080), 3, 2, 1, ()),
}


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    for number in _SEQUENCES:
        truths += _sequence(out, number)
    return truths


def _sequence(out: Path, number: int) -> list[Truth]:
    size, frames, people, annotated, spoilt = _SEQUENCES[number]
    scene = virtual_scene(people=people, frames=frames, seed=500 + number)
    place = (1500.0 * np.sin(number), 1300.0, 5200.0)
    camera = look_at(place, (0, 900, 0), focal=0.72 * size[0] + 3 * number, size=size)
    seen = camera.to_camera(joints(scene))[:, :annotated, TEST_JOINTS]
    image = camera.project_seen(seen)
    folder, truths = f"MultiPersonTestSet/TS{number}", []
    annotations, hidden = [], []
    for frame in range(frames):
        picture = f"{folder}/img_{frame:06d}.jpg"
        write_image(out / picture, coarse(camera, scene, frame, size, 4))
        for person in range(annotated):
            points, points2d = seen[frame, person], image[frame, person]
            valid = (frame, person) not in spoilt
            annotations.append(_annotation(points2d, points, valid))
            hidden.append(((np.arange(17) + frame + person) % 5 == 0).astype(float))
            if valid:
                truths.append(Truth(FORMAT, "test", picture, points=points, points2d=points2d))
    write_mat5(out / folder / "annot.mat", {"annotations": cell(annotations, frames, annotated)})
    if number != 10:  # which one may do without
        write_mat5(out / folder / "occlusion.mat", {"occlusion_labels": cell(hidden, frames, annotated)})
    return truths


def _annotation(image: Floats, seen: Floats, valid: bool) -> dict[str, object]:
    off = 0.0 if valid else 130.0  # what is not valid is wrong, not missing
    return {
        "annot2": image.T + off,
        "annot3": seen.T + off,
        "univ_annot3": universal(seen).T + off,
        "isValidFrame": float(valid),
    }
