"""MuCo-3DHP: pictures of four people each, who come from four recordings of MPI-INF-3DHP, and those recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.synthetic.native._files import cell, write_image, write_mat5, write_mat73
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.native.mpi_inf_3dhp import (
    FORMAT,
    SIZE,
    TEST_JOINTS,
    cameras,
    joints,
    universal,
    write_annotations,
)
from skelbridge.synthetic.scene import Floats, Scene, virtual_scene
from skelbridge.synthetic.truth import Truth

#: Subject and sequence of the people of the scene.
_RECORDINGS = ((1, 1), (2, 2), (5, 1), (7, 2))
_FRAMES = 6
#: Composites: the camera, then of each of the four pasted people the recording and its frame.
_COMPOSITES = (
    (0, ((0, 3), (1, 0), (2, 5), (3, 1))),
    (4, ((3, 2), (1, 4), (0, 0), (2, 2))),
    (7, ((2, 0), (3, 5), (1, 1), (0, 4))),
    (10, ((1, 3), (0, 5), (3, 3), (2, 1))),
)
#: The 21 joints of the files of composites among the 28.
_JOINTS = (*TEST_JOINTS, 17, 12, 27, 22)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    scene, views = _scene(), cameras()
    world = joints(scene)
    for person, (subject, sequence) in enumerate(_RECORDINGS):
        write_annotations(out / f"S{subject}" / f"Seq{sequence}", world[:, person])
    rows, names, truths = [], [], []
    flat, deep = np.empty((2, 21, 4, len(_COMPOSITES))), np.empty((3, 21, 4, len(_COMPOSITES)))
    for number, (view, pasted) in enumerate(_COMPOSITES):
        camera, name = views[view], f"{number + 1:06d}.jpg"
        picked = np.stack([scene.landmarks[frame, person] for person, frame in pasted])
        composite = coarse(camera, Scene(picked[None], 1.0), 0, SIZE, 4)
        write_image(out / "unaugmented_set_001" / name, composite)
        places = np.stack([world[frame, person] for person, frame in pasted])
        seen = camera.to_camera(places)
        image, small = camera.project_seen(seen), universal(seen)
        near = np.argsort(small[:, 4, 2])
        flat[..., number] = image[near][:, _JOINTS].transpose(2, 1, 0)
        deep[..., number] = (small[near] - small[near][:, 4:5])[:, _JOINTS].transpose(2, 1, 0)
        names.append(name)
        for (person, frame), points, points2d, there, little in zip(pasted, seen, image, places, small, strict=True):
            rows.append(_person(view, person, frame, points2d[list(_JOINTS)], little[list(_JOINTS)]))
            picture = f"unaugmented_set_001/{name}"
            truths.append(Truth(FORMAT, "train", picture, points=points, points2d=points2d, world=there))
    write_mat73(
        out / "sampled_dataset_info.mat",
        {"composite_info": cell([value for row in rows for value in row], len(_COMPOSITES), 4, 6)},
    )
    write_mat5(
        out / "unaugmented_set_001" / "chunk_00001_annot.mat",
        {"img_names": cell(names), "joint_loc2": flat, "joint_loc3": deep},
    )
    return truths


def _scene() -> Scene:
    """The people of the recordings, nearer to each other than elsewhere, so that all cameras have them before them."""
    scene = virtual_scene(people=len(_RECORDINGS), frames=_FRAMES, seed=77)
    away = scene.landmarks.mean(axis=(0, 2), keepdims=True) * np.array([0.6, 0, 0.6])
    return Scene(scene.landmarks - away, scene.fps)


def _person(camera: int, recording: int, frame: int, image: Floats, small: Floats) -> list[object]:
    """A pasted person's row: where it is from, as subject, sequence, camera and frame; its joints; and what follows."""
    source = np.array([*_RECORDINGS[recording], camera, frame], float)
    low, high = image.min(axis=0), image.max(axis=0)
    return [source, np.array([1.0]), image.reshape(1, -1), small.reshape(1, -1), low, high]
