"""SAIL-VOS: people of game scenes, a text file of bones for each person and frame, and no calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.camera import Camera
from skelbridge.errors import need
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._files import new, write_image, write_text
from skelbridge.synthetic.native._pictures import coarse_draw
from skelbridge.synthetic.scene import Z_UP, Floats, Scene, look_at, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "sail_vos_26"
SIZE = (1280, 800)
_ROWS = 343
#: Where the scenes lie in the game's world, mm.
_PLACES = {"train": (-1_172_400.0, 3_891_300.0, 42_700.0), "val": (212_650.0, -1_404_800.0, 29_050.0)}

#: The pedestrians of a scene: object id and name.
_PEDS = ((3, "Ped_Franklin_0"), (12, "Ped_Agent14_1"), (27, "Ped_Bystander_0"))
_SCENES = (("train", "sailvos_pose_training/fam_4_mcs_1", 2), ("val", "sailvos_pose_val/arm_1_int", 1))


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    for number, (split, folder, frames) in enumerate(_SCENES):
        scene, camera = _far_away(virtual_scene(people=len(_PEDS), frames=frames, seed=1300 + number), split)
        for frame in range(frames):
            truths += _frame(out, split, folder, scene, camera, frame)
    return truths


def _far_away(scene: Scene, split: str) -> tuple[Scene, Camera]:
    """The scene where it lies in the game, and its camera, centred on 640, 400, which sees one person in part."""
    camera = look_at((900, 1500, 5600), (1850, 950, 0), focal=1020, size=(2 * 640 + 1, 2 * 400 + 1))
    scene, (camera,) = to_axes(Z_UP, scene, [camera])
    place, rotation = np.array(_PLACES[split]), np.asarray(camera.rotation)
    moved = Camera(camera.matrix, rotation, np.asarray(camera.translation) - rotation @ place)
    return Scene(scene.landmarks + place, scene.fps), moved


def _frame(out: Path, split: str, folder: str, scene: Scene, camera: Camera, frame: int) -> list[Truth]:
    drawn, seen = coarse_draw(camera, scene, frame, SIZE)
    picture = f"{folder}/images/{frame:06d}.bmp"
    # 256 colours, for a copy that is not too large
    need("PIL.Image", "data").fromarray(drawn).quantize(256).save(new(out / picture))
    visible, truths = np.zeros(SIZE[::-1], np.int16), []
    for person, (id, name) in enumerate(_PEDS):
        alone = Scene(scene.landmarks[:, [person]], scene.fps)
        amodal = coarse_draw(camera, alone, frame, SIZE)[1][0]
        modal = seen[person] & _part(amodal, 0.15 if (split, person) == ("val", 1) else 1.0)
        visible[modal] = id
        joints, bones = _bones(scene.joints(FORMAT)[frame, person], person)
        if (split, person, frame) == ("train", 2, 0):
            joints, bones = _few(joints, bones)
        scattered = (split, person, frame) == ("train", 0, 1)
        if scattered:
            bones = np.where(bones == 0, 0, bones + 8 * (bones - np.mean(bones[(bones != 0).any(axis=1)], axis=0)))
        image = camera.project(np.where(bones == 0, np.nan, bones) * 1000)
        off = ~(((image >= 0) & (image < SIZE)).all(axis=1))
        image[off] = [-1280, -800]
        stem = out / folder / f"{id}_{name}" / f"{frame:06d}"
        write_text(stem.with_name(f"{stem.name}_3d.txt"), _table(bones))
        write_text(stem.with_name(f"{stem.name}_2d.txt"), _table(image))
        write_image(stem.with_suffix(".png"), amodal)
        enough = np.isfinite(joints).all(axis=1).sum() > 5
        if enough and not scattered and modal.sum() >= 0.25 * amodal.sum():
            points = camera.to_camera(joints)
            projected, box = camera.project(joints), _box(modal)
            truths.append(
                Truth(
                    FORMAT, split, picture, points=points, world=joints, box=box, tolerance=0.5, projected=projected,
                )
            )  # fmt: skip
    np.save(new(out / folder / "visible" / f"{frame:06d}.npy"), visible)
    return truths


def _part(mask: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """The upper part of a mask, which has this share of its height."""
    rows = np.flatnonzero(mask.any(axis=1))
    last = rows[0] + share * np.ptp(rows)
    return mask & (np.arange(len(mask)) <= last)[:, None]


def _bones(joints: Floats, person: int) -> tuple[Floats, Floats]:
    """The joints, and the game's rows of bones in metres; each rig has its own choice of the alternative rows.

    Rows of no joint are bones near by, or zero where the rig does not have them.
    """
    rng = np.random.default_rng(person)
    bones = joints[rng.integers(len(joints), size=_ROWS)] + rng.normal(0, 25, (_ROWS, 3))
    bones[rng.random(_ROWS) < 0.5] = 0
    listed = [[int(row) for row in joint.native.removeprefix("rows ").split("+")] for joint in skeleton(FORMAT).joints]
    found = np.full(joints.shape, np.nan)
    for joint, rows in enumerate(listed):
        offsets = rng.normal(0, 4, (len(rows), 3))
        there = rng.random(len(rows)) < 0.7
        there[0] = True
        there &= (person, joint) != (0, skeleton(FORMAT).index("left_toe"))
        bones[rows] = np.where(there[:, None], joints[joint] + offsets, 0)
        if there.any():
            found[joint] = bones[rows][there].mean(axis=0)
    return found, bones / 1000


def _few(joints: Floats, bones: Floats) -> tuple[Floats, Floats]:
    """Only the bones of five joints, the rest not there: too few."""
    kept = np.zeros(_ROWS, bool)
    few = joints.copy()
    for number, joint in enumerate(skeleton(FORMAT).joints):
        rows = [int(row) for row in joint.native.removeprefix("rows ").split("+")]
        if 2 <= number < 7:
            kept[rows] = True
        else:
            few[number] = np.nan
    return few, np.where(kept[:, None], bones, 0)


def _table(values: Floats) -> str:
    return "".join(" ".join(f"{value:.6f}" for value in row) + "\n" for row in np.nan_to_num(values))


def _box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.min()), float(rows.min()), float(np.ptp(columns) + 1), float(np.ptp(rows) + 1)
