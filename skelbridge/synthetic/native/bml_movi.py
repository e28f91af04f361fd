"""BML-MoVi: markers at 120 Hz in nested MATLAB structs, and two calibrated cameras at 30 frames a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.synthetic.native._files import cell, structs, write_mat5, write_npz, write_video
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Z_UP, Floats, Scene, look_at, to_axes, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "bml_movi_87"
SIZE = (800, 600)
_PLACES = {"PG1": (4927.0, 7.0, 1345.0), "PG2": (438.0, -3850.0, 1379.0)}

#: Which of the 87 the columns of the rounds S1 and S2 are; nobody knows columns 5 and 11.
_FEW = (5, 6, 12, 13, 20, None, 36, 37, 43, 44, 51, None, 67, 71, 77, 79, 85)
#: Where each of the 20 virtual markers hangs, one-based, 0 for the root.
_PARENTS = (4, 0, 2, 3, 9, 10, 2, 11, 7, 4, 6, 5, 17, 18, 2, 19, 15, 4, 14, 13)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    cameras = {view: _camera(place) for view, place in _PLACES.items()}
    for view, camera in cameras.items():
        bends = np.asarray(camera.distortion)[:2]
        matrix, rotation = np.asarray(camera.matrix).T, np.asarray(camera.rotation).T
        write_npz(out / "Calib" / f"cameraParams_{view}.npz", IntrinsicMatrix=matrix, RadialDistortion=bends)
        extrinsics = out / "Calib" / f"Extrinsics_{view}.npz"
        write_npz(extrinsics, rotationMatrix=rotation, translationVector=np.asarray(camera.translation))
    truths: list[Truth] = []
    for subject, folder in ((1, "F_Subjects_1_45"), (46, "F_Subjects_46_90")):
        scene, markers = _markers(seed=700 + subject, samples=17)
        move = {**_move(markers[:, :67], markers[:, 67:], markers), "motions_list": cell(["walking", "jogging"], 2, 1)}
        file = out / folder / f"F_v3d_Subject_{subject}.mat"
        write_mat5(file, {f"Subject_{subject}_F": {"id": float(subject), "move": move}})
        # one video goes on a little longer than the markers, one breaks off
        pictures = 6 if subject == 1 else 4
        truths += _videos(out, f"F_{{}}_Subject_{subject}", cameras, scene, markers, pictures)
    rounds = []
    for number in (1, 2):
        scene, markers = _markers(seed=740 + number, samples=13)
        few = np.full((len(markers), 17, 3), np.nan)
        kept = np.full(markers.shape, np.nan)
        for column, joint in enumerate(_FEW):
            few[:, column] = markers[:, 2] + 60 * column if joint is None else markers[:, joint]
            if joint is not None:
                kept[:, joint] = markers[:, joint]
        rounds.append(_move(few[:, :12], few[:, 12:], few))
        truths += _videos(out, f"S{number}_{{}}_Subject_1", cameras, scene, kept, pictures=4)
    write_mat5(out / "S" / "S_v3d_Subject_1.mat", {"Subject_1_S": {"id": 1.0, "move": structs(rounds)}})
    return truths


def _camera(place: tuple[float, float, float]) -> Camera:
    camera = look_at(place, (0, 0, 1000), focal=979.0, size=SIZE, up=(0, 0, 1))
    shift = np.array([[0, 0, 4.3], [0, 1.5, -7.9], [0, 0, 0]])
    return Camera(np.asarray(camera.matrix) + shift, camera.rotation, camera.translation, (-0.19, 0.13))


def _markers(seed: int, samples: int) -> tuple[Scene, Floats]:
    """Somebody on the floor near the world's origin, and the 87 markers, of which some are not seen now and then."""
    scene, _ = to_axes(Z_UP, virtual_scene(frames=samples, seed=seed), [])
    markers = scene.joints(FORMAT)[:, 0]
    markers[:6, 20] = markers[4:9, 43] = markers[8, 5] = markers[3:, 0] = np.nan
    return scene, markers


def _move(skin: Floats, virtual: Floats, both: Floats) -> dict[str, object]:
    samples = len(both)
    return {
        "markerLocation": np.nan_to_num(both),
        "virtualMarkerLocation": np.nan_to_num(virtual),
        "virtualMarkerParent": np.array(_PARENTS[: virtual.shape[1]], float),
        "flags30": np.array([[1, 2], [3, (samples + 3) // 4]], float),
        "flags120": np.array([[1, 8], [9, samples]], float),
        "markerGaps": np.isnan(skin).any(axis=-1),
    }


def _videos(
    out: Path, name: str, cameras: dict[str, Camera], scene: Scene, markers: Floats, pictures: int
) -> list[Truth]:
    """A round's videos. Frame f shows sample 4f."""
    truths = []
    for view, camera in cameras.items():
        video = f"{name.format(view)}_L.avi"
        last = scene.frames - 1
        write_video(out / video, [coarse(camera, scene, min(4 * f, last), SIZE) for f in range(pictures)], 30)
        for frame, world in enumerate(markers[::4][:pictures]):
            seen = camera.to_camera(world)
            projected = camera.project_seen(seen)
            truths.append(Truth(FORMAT, "train", video, frame, points=seen, world=world, projected=projected))
    phone = look_at((2500, -2500, 1400), (0, 0, 900), focal=700, size=(960, 540), up=(0, 0, 1))
    write_video(out / f"{name.format('CP1')}.mp4", [coarse(phone, scene, 0, (960, 540))], 30)
    return truths
