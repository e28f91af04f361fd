"""AGORA: stills of several virtual people, pandas tables with joints, cameras told by the names of the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.errors import need
from skelbridge.synthetic.native._files import new, write_image, write_text
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.native._smpl import Act, act
from skelbridge.synthetic.scene import Floats, Scene, draw, virtual_scene
from skelbridge.synthetic.truth import Truth

SIZE, SMALL = (3840, 2160), (1280, 720)

#: Table, split, and its pictures: name, camera of the row (x, y, z cm, yaw), people (occlusion in percent, valid).
_TABLES = (
    ("train_0", "train", (
        ("ag_trainset_renderpeople_bfh_hdri_50mm_5_10_00000.png", (0, 0, 170, 0), ((3.0, True), (95.0, False))),
        ("ag_trainset_axyz_bfh_archviz_5_10_cam00_00000.png", (0, 0, 0, 0), ((0.0, True), (40.0, True))),
        ("ag_trainset_axyz_bfh_archviz_5_10_cam01_00001.png", (0, 0, 0, 0), ((10.0, True), (12.5, True))),
    )),
    ("train_1", "train", (
        ("ag_trainset_axyz_bfh_archviz_5_10_cam02_00002.png", (0, 0, 0, 0), ((10.0, True),)),
        ("ag_trainset_axyz_bfh_archviz_5_10_cam03_00003.png", (0, 0, 0, 0), ((10.0, True), (30.0, True))),
        ("ag_trainset_3dpeople_bfh_brushifygrasslands_5_15_00130.png", (120, -340, 185, 37), ((5.0, True),) * 3),
    )),
    ("validation_0", "val", (
        ("ag2_validationset_renderpeople_bfh_flowers_5_15_00007.png", (50, 60, 170, 20), ((0.0, True), (60.0, True))),
    )),
)  # fmt: skip
#: Pictures that lie there only in the smaller size.
_SMALL = ("ag2_",)
#: Part of the name, focal length in mm, place in cm, yaw and pitch in degrees; the first that fits.
_CAMERAS = (
    ("hdri", 50, (0, 0, 170), 0, 0),
    ("cam00", 18, (400, -275, 265), 135, 30),
    ("cam01", 18, (400, 225, 265), -135, 30),
    ("cam02", 18, (-490, 170, 265), -45, 30),
    ("cam03", 18, (-490, -275, 265), 45, 30),
    ("ag2", 28, (0, 0, 170), 0, 15),
)  # fmt: skip

#: Unreal's axes (x forward, y right, z up) in the camera's way of naming them (x right, y down, z forward).
_FROM_UNREAL = np.array([[0.0, 1, 0], [0, 0, -1], [1, 0, 0]])


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    colours = np.random.default_rng(0).permutation(np.arange(20, 250, 2))[: 3 * 20].reshape(-1, 3)
    write_text(out / "seg_rgbs.txt", "".join(f"{n}\t[{r}, {g}, {b}]\n" for n, (r, g, b) in enumerate(colours)))
    return [truth for number in range(len(_TABLES)) for truth in _table(out, number, colours)]


def _table(out: Path, number: int, colours: Any) -> list[Truth]:
    name, split, pictures = _TABLES[number]
    rows: dict[str, list[dict[str, Any]]] = {"SMPL": [], "SMPLX": []}
    truths = []
    for index, (image, place, people) in enumerate(pictures):
        camera = _camera(image, place)
        scene = _before(camera, virtual_scene(len(people), 1, seed=100 + 10 * number + index))
        bodies = {
            "SMPL": [act("smpl", "neutral", scene, person) for person in range(len(people))],
            "SMPLX": [act("smplx", "male", scene, person) for person in range(len(people))],
        }
        folder = out / (name if split == "train" else "validation")
        if image.startswith(_SMALL):
            path = folder / image.replace(".png", "_1280x720.png")
            write_image(path, coarse(_smaller(camera), scene, 0, SMALL, 2))
        else:
            path = folder / image
            write_image(path, coarse(camera, scene, 0, SIZE, 6))
        _masks(out / folder.name.split("_")[0], image, camera, scene, colours)
        for kind, acts in bodies.items():
            rows[kind].append(_row(image, place, people, acts, camera, scene))
        for one, (_, valid) in zip(bodies["SMPL"], people, strict=True):
            world = 1000 * one.points[0, :24]
            pixels = camera.project(world) / (3 if image.startswith(_SMALL) else 1)
            where, points = path.relative_to(out).as_posix(), camera.to_camera(world)
            if valid:
                truths.append(Truth("smpl_24", split, where, points=points, points2d=pixels, world=world))
    pandas = need("pandas", "sample")
    for kind, entries in rows.items():
        columns = {key: pandas.Series([entry[key] for entry in entries], dtype=object) for key in entries[0]}
        numbers = ("camX", "camY", "camZ", "camYaw")
        table = pandas.DataFrame(columns).astype(dict.fromkeys(numbers, float))
        table.columns = pandas.Index(list(columns), dtype=object)  # as the pandas of its time had them
        table.to_pickle(new(out / kind / f"{name}_withjv.pkl"), protocol=4)
    return truths


def _row(
    image: str, place: tuple[int, ...], people: Any, acts: list[Act], camera: Camera, scene: Scene
) -> dict[str, Any]:
    """The row of a picture: a list a person in most columns."""
    stands = [_to_unreal(scene.landmarks[0, person].mean(axis=0) * [1, 0, 1]) for person in range(len(people))]
    gender = ["male", "female", "female"][: len(people)]
    joints = [camera.to_camera(1000 * one.points[0]) for one in acts]
    return {
        "imgPath": image,
        **dict(zip(("camX", "camY", "camZ", "camYaw"), place, strict=True)),
        **{axis: [float(stand[n]) for stand in stands] for n, axis in enumerate("XYZ")},
        "Yaw": [35.0 * person for person in range(len(people))],
        "gender": gender,
        "kid": [person == 2 for person in range(len(people))],
        "occlusion": [occluded for occluded, _ in people],
        "isValid": [valid for _, valid in people],
        "gt_path_smpl": [f"smpl_gt/trainset/body_{person}_0_0.obj" for person in range(len(people))],
        "gt_path_smplx": [f"smplx_gt/trainset/body_{person}_0_0.obj" for person in range(len(people))],
        "gt_joints_2d": [camera.project_seen(points).astype(np.float32) for points in joints],
        "gt_joints_3d": [(points / 1000).astype(np.float32) for points in joints],
        "gt_verts": [np.zeros((6890 if len(points) < 127 else 10475, 3), np.float32) for points in joints],
    }


def _camera(image: str, place: tuple[int, ...]) -> Camera:
    """The camera that a picture's name, else its row, tells; in mm."""
    row = ("", 28, place[:3], place[3], 0)
    word, millimetres, at, yaw, pitch = next((one for one in _CAMERAS if one[0] in image), row)
    centre = 10 * _FROM_UNREAL @ np.array(at, float)
    if not word:
        centre[1] -= 1700
    focal = millimetres / 36 * SIZE[0]
    a, b = np.radians(-yaw), np.radians(pitch)
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = about_x @ about_y
    matrix = np.array([[focal, 0, SIZE[0] / 2], [0, focal, SIZE[1] / 2], [0, 0, 1]])
    return Camera(matrix, turn, -turn @ centre)


def _smaller(camera: Camera) -> Camera:
    shrink = np.diag([1 / 3, 1 / 3, 1])
    return Camera(shrink @ np.asarray(camera.matrix), camera.rotation, camera.translation)


def _before(camera: Camera, scene: Scene) -> Scene:
    """The scene with y down, on a floor before the camera."""
    ahead = np.asarray(camera.rotation)[2] * [1, 0, 1]
    focal, drop = float(np.asarray(camera.matrix)[0, 0]), float(np.asarray(camera.rotation)[2, 1])
    spot = camera.position + (1.6 * focal + 2200) * ahead / np.linalg.norm(ahead)
    spot[1] = camera.position[1] + 1000 + drop * (1.6 * focal + 2200)
    return Scene(scene.landmarks * [1, -1, -1] + spot, scene.fps)


def _to_unreal(point: Floats) -> Floats:
    return _FROM_UNREAL.T @ point / 10


def _masks(folder: Path, image: str, camera: Camera, scene: Scene, colours: Any) -> None:
    """A picture in which each person has its colour, and one a person of all that could be seen of it."""
    stem, _, number = image.removesuffix(".png").rpartition("_")
    base, _, last = stem.rpartition("_")
    name = f"{base}_mask_{last}" if last.startswith("cam") else f"{stem}_mask"
    small = _smaller(camera)
    owners = draw(small, scene, 0, SMALL)[1]
    labels = np.zeros((SMALL[1], SMALL[0], 3), np.uint8)
    labels[:] = (255, 0, 0)
    for person, seen in enumerate(owners):
        labels[seen] = colours[person]
        alone = draw(small, Scene(scene.landmarks[:, [person]], scene.fps), 0, SMALL)[1][0]
        silhouette = np.where(alone[..., None], 255, np.array([255, 0, 0])).astype(np.uint8)
        write_image(folder / base / f"{name}_{int(number):06d}_{person + 1:05d}.png", silhouette)
    write_image(folder / base / f"{name}_{int(number):06d}_{0:05d}.png", labels)
