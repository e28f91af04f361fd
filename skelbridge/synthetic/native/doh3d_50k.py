"""3DOH50K: single pictures of people behind objects, joints in the camera in the calibration's own unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import write_image, write_json
from skelbridge.synthetic.native._pictures import extent
from skelbridge.synthetic.native._smpl import act
from skelbridge.synthetic.scene import Scene, draw, ring, virtual_scene
from skelbridge.synthetic.truth import Truth

#: Units of the calibration in a metre of the fitted body, which is not the same for all.
UNITS = (7.0, 6.83, 7.21)
#: Folder, pictures: size, view.
_SETS = (
    ("trainset", (((800, 600), 0), ((600, 800), 2), ((800, 600), 3))),
    ("testset", (((800, 600), 1), ((600, 800), 4))),
)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths = []
    for number, (folder, pictures) in enumerate(_SETS):
        entries = {}
        for index, (size, view) in enumerate(pictures):
            name = f"{index:05d}"
            camera = ring(5, focal=620, size=size, radius=4000)[view]
            scene = virtual_scene(frames=1, seed=600 + 10 * number + index)
            picture, masks = draw(camera, scene, 0, size)
            picture = picture.copy()
            picture[int(0.62 * size[1]) :, size[0] // 3 : size[0] // 2] = (150, 110, 60)  # a box before the legs
            write_image(out / folder / "images" / f"{name}.jpg", picture)
            if folder == "trainset":
                write_image(out / folder / "masks" / f"{name}.png", masks[0][..., None].repeat(3, axis=2))
            entries[name], truth = _entry(folder, name, camera, scene, UNITS[index])
            truths.append(truth)
        write_json(out / folder / "annots.json", entries)
    return truths


def _entry(folder: str, name: str, camera: Camera, scene: Scene, unit: float) -> tuple[dict[str, Any], Truth]:
    body = act("smpl", "neutral", scene)
    smpl = unit * camera.to_camera(1000 * body.points[0, :24]) / 1000
    lsp = unit * camera.to_camera(scene.joints("doh3d_14")[0, 0]) / 1000
    flat = camera.project_seen(lsp)
    left, top, width, height = extent(flat, 0.1).round(1)
    extrinsics = np.eye(4)
    extrinsics[:3, :3], extrinsics[:3, 3] = camera.rotation, unit * np.asarray(camera.translation) / 1000
    masked = "masks\\{}.png" if folder == "trainset" else ""
    content = {
        "extri": extrinsics,
        "intri": np.asarray(camera.matrix),
        "img_path": f"images\\{name}.jpg",
        "mask_path": masked.format(name),
        "bbox": [[left, top], [left + width, top + height]],
        "betas": body.betas[None],
        "pose": body.pose[0].reshape(1, 72),
        "trans": unit * body.translation,
        "scale": [unit],
        "smpl_joints_2d": camera.project_seen(smpl),
        "smpl_joints_3d": smpl,
        "lsp_joints_2d": flat,
        "lsp_joints_3d": lsp,
    }
    split = {"trainset": "train", "testset": "test"}[folder]
    image = f"{folder}/images/{name}.jpg"
    box = (float(left), float(top), float(width), float(height))
    return content, Truth("doh3d_14", split, image, points=1000 / unit * lsp, points2d=flat, box=box)
