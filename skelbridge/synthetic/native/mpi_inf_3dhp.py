"""MPI-INF-3DHP: fourteen cameras around one person (training), and six test sequences of one camera each."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from skelbridge.camera import Camera
from skelbridge.errors import need
from skelbridge.skeletons import skeleton
from skelbridge.synthetic.native._files import (
    Image,
    cell,
    new,
    write_image,
    write_mat5,
    write_mat73,
    write_text,
    write_video,
)
from skelbridge.synthetic.native._pictures import coarse
from skelbridge.synthetic.scene import Floats, Scene, look_at, virtual_scene
from skelbridge.synthetic.truth import Truth

FORMAT = "mpi_inf_3dhp_28"
SIZE = (2048, 2048)
#: The 17 joints of the test files among the 28.
TEST_JOINTS = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)

#: Rows of S4/Seq2 in which left and right are exchanged, as long as the copy is; and its cameras with a video.
_EXCHANGED, _FILMED = range(3759, 3762), (0, 8)

#: A recording's camera whose video ends before the annotations, by a frame.
_SHORT = (1, 1, 2)

#: Test sequences: rows, pictures, and which rows are valid.
_TESTS = {
    1: (4, 4, (1, 1, 0, 1)), 2: (3, 3, (1, 1, 1)), 3: (3, 4, (0, 1, 1)), 4: (3, 5, (1, 1, 1)), 5: (3, 3, (1, 1, 1)),
    6: (3, 3, (1, 1, 0)),
}  # fmt: skip
_CALIBRATIONS = {
    "ts1-4cameras": ((10, 10), 7.32506, 1.00044, (-0.0322884, 0.0929296), (0, 0, 0, 0, 0), (3427.28, 1387.86, 309.42),
                     (-0.208215, 0.976233, 0.06014), (0.000575281, 0.0616098, -0.9981)),
    "ts5-6cameras": ((10, 5.625), 8.770747185, 0.993236423, (-0.104908645, 0.104899704),
                     (-0.276859611, 0.131125256, -0.000360494, -0.001149441, -0.049318332),
                     (-2104.3074, 1038.6707, -4596.6367), (0.025272345, 0.995038509, 0.096227370),
                     (-0.939647257, -0.009210289, 0.342020929)),
}  # fmt: skip


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    truths: list[Truth] = []
    for subject, sequence, frames, filmed in ((1, 1, 3, True), (3, 2, 2, False)):
        scene = virtual_scene(frames=frames, seed=300 + subject)
        truths += _recording(out, subject, sequence, scene, filmed)
    truths += _long_recording(out)
    for number in _TESTS:
        truths += _test(out / "mpi_inf_3dhp_test_set", number)
    for name in _CALIBRATIONS:
        folder = out / "mpi_inf_3dhp_test_set" / "test_util" / "camera_calibration"
        write_text(folder / f"{name}.calib", _calib(name))
    return truths


def cameras() -> list[Camera]:
    """The fourteen cameras of the training part; 8 is that of the first test sequences."""
    made = []
    for number in range(14):
        angle, focal = 2 * np.pi * number / 11 + 0.15, 1497.0 + number
        place = np.array([3300 * np.sin(angle), (1400, 600, 2100)[number % 3], 3500 * np.cos(angle)])
        if number >= 11:  # on the ceiling
            place = np.array([1900 * np.sin(angle), 3300, 1700 * np.cos(angle)])
        made.append(look_at(np.round(place, 2), (0, 950, 0), focal=focal, size=SIZE))
    made[8] = _test_camera(1)
    return [_rounded(camera) for camera in made]


def _rounded(camera: Camera) -> Camera:
    """A camera whose numbers fit the text of a calibration file."""
    matrix, rotation, translation = (np.asarray(x) for x in (camera.matrix, camera.rotation, camera.translation))
    return Camera(matrix.round(6), rotation.round(9), translation.round(6))


def joints(scene: Scene) -> Floats:
    """The 28 joints (frames, people, 28, 3); the pelvis is the middle of the hips."""
    points = scene.joints(FORMAT)
    card = skeleton(FORMAT)
    hips = points[..., [card.index("left_hip"), card.index("right_hip")], :]
    points[..., card.index("pelvis"), :] = hips.mean(axis=-2)
    return points


def write_annotations(folder: Path, world: Floats) -> tuple[list[Floats], list[Floats]]:
    """annot.mat and camera.calibration of a recording; points in the cameras and in the pictures, for each camera."""
    views = cameras()
    seen = [camera.to_camera(world) for camera in views]
    image = [camera.project_seen(points) for camera, points in zip(views, seen, strict=True)]

    def column(arrays: Sequence[Floats]) -> np.ndarray:
        return cell([array.reshape(len(world), -1) for array in arrays], 14, 1)

    write_mat5(
        folder / "annot.mat",
        {
            "annot2": column(image),
            "annot3": column(seen),
            "univ_annot3": column([universal(points) for points in seen]),
            "cameras": np.arange(14, dtype=float)[:, None],
            "frames": np.arange(len(world), dtype=float)[:, None],
        },
    )
    write_text(folder / "camera.calibration", _calibration(views))
    return seen, image


def universal(points: Floats) -> Floats:
    """The pose at a size that does not depend on the person, its pelvis where it was."""
    pelvis = points[..., [skeleton(FORMAT).index("pelvis") if points.shape[-2] == 28 else 14], :]
    return pelvis + 0.91 * (points - pelvis)


def _recording(out: Path, subject: int, sequence: int, scene: Scene, filmed: bool) -> list[Truth]:
    """A short training sequence, with its fourteen videos or as annotations alone."""
    folder, world = out / f"S{subject}" / f"Seq{sequence}", joints(scene)[:, 0]
    seen, image = write_annotations(folder, world)
    truths = []
    for number, camera in enumerate(cameras()):
        frames = scene.frames - ((subject, sequence, number) == _SHORT)
        video = folder / "imageSequence" / f"video_{number}.avi"
        if filmed:
            write_video(video, [coarse(camera, scene, frame, SIZE, 4) for frame in range(frames)], 25)
        shown = video.relative_to(out).as_posix() if filmed else ""
        truths += _truths(shown, world[:frames], seen[number], image[number])
    return truths


def _truths(video: str, world: Floats, seen: Floats, image: Floats) -> list[Truth]:
    return [
        Truth(FORMAT, "train", video, frame, points=seen[frame], points2d=image[frame], world=world[frame])
        for frame in range(len(world))
    ]


def _long_recording(out: Path) -> list[Truth]:
    """S4/Seq2 up to where left and right are exchanged: somebody who stands still, videos of some of the cameras."""
    scene = virtual_scene(frames=1, seed=342)
    world = np.repeat(joints(scene)[:, 0], _EXCHANGED.stop, axis=0)
    wrong = world.copy()
    wrong[_EXCHANGED.start :] = wrong[_EXCHANGED.start :, skeleton(FORMAT).mirror_index]
    folder = out / "S4" / "Seq2"
    write_annotations(folder, wrong)
    truths, views = [], cameras()
    for number in _FILMED:
        camera, video = views[number], folder / "imageSequence" / f"video_{number}.avi"
        _write_still(video, coarse(camera, scene, 0, SIZE, 4), _EXCHANGED.stop)
        seen = camera.to_camera(world)
        truths += _truths(video.relative_to(out).as_posix(), world, seen, camera.project_seen(seen))
    return truths


def _write_still(path: Path, picture: Image, count: int) -> None:
    """A video of `count` equal frames, made from a few coded ones.

    Without B frames, and with frame numbers of four bits, what codes sixteen unchanging frames codes all later ones.
    """
    av = need("av", "data")
    with av.open(str(new(path)), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "qp": "24", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        stream.codec_context.thread_count = 1
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        coded: list[bytes] = []
        for number in range(17):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            coded += [bytes(packet) for packet in stream.encode(frame)]
        coded += [bytes(packet) for packet in stream.encode(None)]
        for number in range(count):
            packet = av.Packet(coded[(number - 1) % 16 + 1 if number else 0])
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, number == 0
            file.mux(packet)


def _calibration(views: Sequence[Camera]) -> str:
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number, camera in enumerate(views):
        inner, outer = np.eye(4), np.eye(4)
        inner[:3, :3] = camera.matrix
        outer[:3] = np.column_stack([camera.rotation, camera.translation])
        lines += [f"name          {number}", "  sensor      10 10", "  size        2048 2048", "  animated    0"]
        lines += [f"  intrinsic   {_spaced(inner)} ", f"  extrinsic   {_spaced(outer)} ", "  radial      0"]
    return "\n".join([*lines, ""])


def _spaced(values: object) -> str:
    return " ".join(f"{value:.12g}" for value in np.ravel(np.asarray(values, float)))


def _calib(name: str) -> str:
    words = ("sensorSize", "focalLength", "pixelAspect", "centerOffset", "distortion", "origin", "up", "right")
    lines = [f"  {word:<15}{_spaced(values)}" for word, values in zip(words, _CALIBRATIONS[name], strict=True)]
    return "\n".join(["Camera Calibration File", "camera 0", *lines, ""])


def _test_camera(number: int) -> Camera:
    """The camera of a test sequence, without the lens, which its 2D points do not have."""
    size, calibration = _test_size(number), _CALIBRATIONS["ts1-4cameras" if number <= 4 else "ts5-6cameras"]
    (wide, high), focal, aspect, offset, _, origin, up, right = calibration
    matrix = np.eye(3)
    matrix[0, [0, 2]] = np.array([focal, wide / 2 + offset[0]]) * size[0] / wide
    matrix[1, [1, 2]] = np.array([focal * aspect, high / 2 + offset[1]]) * size[1] / high
    if number == 2:
        matrix = np.array([[1504.05, 0, 1015.26], [0, 1501.57, 1038.70], [0, 0, 1]])
    rotation = np.stack([right, -np.array(up), np.cross(up, right)])
    return Camera(matrix, rotation, -rotation @ np.array(origin))


def _test_size(number: int) -> tuple[int, int]:
    return SIZE if number <= 4 else (1920, 1080)


def _test(root: Path, number: int) -> list[Truth]:
    rows, pictures, valid = _TESTS[number]
    scene, camera, size = virtual_scene(frames=pictures, seed=400 + number), _test_camera(number), _test_size(number)
    seen = camera.to_camera(joints(scene)[:rows, 0])[:, TEST_JOINTS]
    image = camera.project_seen(seen)
    image[:, 8] += [0.9, -0.5]  # the hips' and the spine's 2D points are of somewhere else, by a pixel or so
    image[:, 11] += [0.8, -0.6]
    image[:, 15] += [-0.6, 0.3]
    folder = root / f"TS{number}"
    for frame in range(pictures):
        write_image(folder / "imageSequence" / f"img_{frame + 1:06d}.jpg", coarse(camera, scene, frame, size, 4))

    def stored(points: Floats) -> Floats:  # which h5py gives as (rows, 1, 17, 2 or 3)
        return points[:, None].transpose(3, 2, 1, 0)

    write_mat73(
        folder / "annot_data.mat",
        {
            "annot2": stored(image),
            "annot3": stored(seen),
            "univ_annot3": stored(universal(seen)),
            "valid_frame": np.array(valid, float)[None],
            "activity_annotation": np.array([1 + row % 7 for row in range(rows)], float)[None],
        },
    )
    points, flat = np.full((rows, 28, 3), np.nan), np.full((rows, 28, 2), np.nan)
    points[:, TEST_JOINTS], flat[:, TEST_JOINTS] = seen, image
    return [
        Truth(
            FORMAT,
            "test",
            f"mpi_inf_3dhp_test_set/TS{number}/imageSequence/img_{row + 1:06d}.jpg",
            points=points[row],
            points2d=flat[row],
            pixels=1.2,
            world=camera.to_world(points[row]),
        )
        for row in range(rows)
        if valid[row]
    ]
