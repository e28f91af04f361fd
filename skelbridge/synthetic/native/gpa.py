"""GPA: stills with two lists of annotations in the same order, one in the camera and one in the world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import new, write_image, write_json
from skelbridge.synthetic.native._pictures import coarse_draw, extent
from skelbridge.synthetic.scene import Z_UP, Floats, ring, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "gpa_34"
SIZE = (1920, 1080)
_FRAMES = 4


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    images: list[dict[str, Any]] = []
    seen_list: list[dict[str, Any]] = []
    world_list: list[dict[str, Any]] = []
    views, truths = np.zeros(400, int), []
    for split, seed in (("train", 1101), ("test", 1102)):
        scene, cameras = virtual_scene(frames=_FRAMES, seed=seed), ring(3, focal=1150, size=SIZE, radius=4200)
        scene, cameras = to_axes(Z_UP, scene, [_apart(camera, n) for n, camera in enumerate(cameras)])
        for number in range(3 * _FRAMES):
            view, frame = number % 3, number // 3
            name = f"{17 * len(images) + 5:010d}"
            camera, world = cameras[view], scene.joints(FORMAT)[frame, 0]
            views[int(name)] = view
            images.append({"id": len(images), "file_name": f"{name}.png", "width": SIZE[0], "height": SIZE[1]})
            seen = camera.to_camera(world)
            image = camera.project_seen(seen)
            seen_list.append(_in_camera(camera, seen, image, split))
            world_list.append(_in_world(camera, world))
            picture = f"Gaussian_img_jpg_new/{name}.jpg"
            drawn, masks = coarse_draw(camera, scene, frame, SIZE, 4)
            write_image(out / picture, drawn)
            write_image(out / "img_jpg_new_resnet101deeplabv3humanmask" / f"{name}_mask.jpg", masks[0])
            truths.append(Truth(FORMAT, split, picture, points=seen, points2d=image, world=world))
    write_json(
        out / "xyz_gpa12_mdp_cntind_crop_cam_c2g.json",
        {"images": images, "annotations": [{"id": n, "image_id": n, **entry} for n, entry in enumerate(seen_list)]},
    )
    write_json(
        out / "xyz_gpa12_cntind_world_cams.json",
        {"images": images, "annotations": [{"id": n, "image_id": n, **entry} for n, entry in enumerate(world_list)]},
    )
    np.save(new(out / "Sequence_ids" / "cam_ids_750k.npy"), views)
    return truths


def _apart(camera: Camera, number: int) -> Camera:
    """A camera with two focal lengths and a centre of its own."""
    shift = np.array([[6.0 * number, 0, 11.0 - number], [0, 4.0 + number, 7.5], [0, 0, 0]])
    return Camera(np.asarray(camera.matrix) + shift, camera.rotation, camera.translation)


def _in_camera(camera: Camera, seen: Floats, image: Floats, split: str) -> dict[str, Any]:
    matrix = np.asarray(camera.matrix)
    left, top, width, height = extent(image, 0.1)
    scale = 256 / max(width, height)
    focal, centre = matrix[[0, 1], [0, 1]], matrix[:2, 2]
    return {
        "joint_cams": seen.T,
        "f": focal,
        "c": centre,
        "c_f": focal * scale,
        "c_c": (centre - [left, top]) * scale,
        "joint_imgs_uncrop": image,
        "joint_imgs": (image - [left, top]) * scale,
        "bboxes": [left, top, left + width, top + height],
        "istrains": split == "train",
        "istests": split == "test",
    }


def _in_world(camera: Camera, world: Floats) -> dict[str, Any]:
    return {
        "joint_world_mm": world,
        "src_cam0": camera.matrix,
        "src_cam1": np.zeros(5),
        "src_cam2": Rotation.from_matrix(np.asarray(camera.rotation)).as_rotvec(),
        "src_cam3": np.asarray(camera.translation) / 10,
    }
