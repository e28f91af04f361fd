"""Predicting with a trained network: people in pictures, or in a store, as 3D poses in any of its formats.

>>> from skelbridge.estimator.estimator import Estimator
>>> estimator = Estimator.load("model.safetensors")
>>> poses = estimator.predict(image, boxes, intrinsics, skeleton="h36m_17")   # Poses, (N, 17, 3) mm before the camera
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from skelbridge.bridge.acae import ACAE, Joints
from skelbridge.camera import Camera
from skelbridge.errors import InputError, need
from skelbridge.estimator.autoencoder import Autoencoder
from skelbridge.estimator.crops import UP, USUAL_VIEW, WHOLE, Crop, assumed_camera, person_crop, shrunk
from skelbridge.estimator.network import PoseNetwork
from skelbridge.estimator.stored import EvaluationData, mirrored
from skelbridge.estimator.weights import load_model
from skelbridge.poses import Poses
from skelbridge.skeletons import Skeleton, skeleton
from skelbridge.store import Store

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """One of the crops that a prediction is the mean of.

    gamma: the picture's values in [0, 1] are raised to this power. roll: radians that it turns. zoom: how much larger
    the person appears. flip: mirrored.
    """

    gamma: float = 1.0
    roll: float = 0.0
    zoom: float = 1.0
    flip: bool = False


def usual_views(count: int, roll: float = 25.0) -> tuple[View, ...]:
    """Views for averaging over `count` crops as MeTRAbs does it: from dark, turned left and far to plain, right, near.

    roll: the largest, in degrees. A single view is plain.
    """
    if count < 1:
        raise InputError("crops to average over", expected="1 or more", got=count)
    if count == 1:
        return (View(),)
    half = count // 2
    zooms = [*np.linspace(0.8, 1.0, half, endpoint=False), *np.linspace(1.0, 1.1, count - half)]
    gammas, rolls = np.linspace(0.6, 1.0, count), np.radians(np.linspace(-roll, roll, count))
    return tuple(
        View(float(gammas[n]), float(rolls[n]), float(zooms[n]), flip=(n - half) % 2 == 1) for n in range(count)
    )


class Estimator:
    """A pose network with the names of its points.

    network: what predicts. joints: what its points are. autoencoder: over the same joints; a network that puts out
    latents needs it.
    """

    def __init__(self, network: PoseNetwork, joints: Joints, autoencoder: ACAE | None = None):
        self.network, self.joints = network, joints
        self._decoder: Autoencoder | None = None
        if network.design.head != "joints":
            if autoencoder is None:
                raise InputError("a network that puts out latents", expected="an autoencoder", got="none")
            self._decoder = Autoencoder.of(autoencoder).to(self.device)
        mirror = joints.mirror
        self._mirror = torch.from_numpy(np.where(mirror < 0, np.arange(len(joints)), mirror))
        self._has_mirror = torch.from_numpy(mirror >= 0)[:, None]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Estimator:
        """From a model file, on the CPU; FileFormatError where it is damaged."""
        model = load_model(path)
        return cls(model.network, model.joints, model.autoencoder)

    def to(self, device: torch.device | str) -> Estimator:
        """The same, moved to a device."""
        self.network.to(device)
        if self._decoder is not None:
            self._decoder.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device

    @property
    def side(self) -> int:
        """Pixels of the side of the crops that it was trained on."""
        return self.network.design.side

    @property
    def skeletons(self) -> tuple[Skeleton, ...]:
        """The formats that it predicts."""
        return self.joints.formats

    def predict(
        self, images: Any, boxes: ArrayLike | None = None, intrinsics: ArrayLike | None = None, *,
        skeleton: str | Skeleton = "smpl_24", **options: Any,
    ) -> Poses:  # fmt: skip
        """Poses of N people, (N, joints, 3) mm in the camera's axes: x right, y down, z ahead.

        images: one picture (H, W, 3) of uint8 RGB, with `boxes` of the people in it; or N pictures, a list or an array
        (N, H, W, 3), with a box each. boxes: (N, 4), left, top, width, height in pixels, (0, 0) the middle of the first
        one; left out, a person fills the picture. intrinsics: (3, 3), or (N, 3, 3) for N pictures; left out, a field
        of view is assumed, and `notes` say so. Other options are those of `predict_all`.

        Raises InputError for what does not fit together, and for a format that is not among `skeletons`.
        """
        card = self._known(skeleton)
        points = self.predict_all(images, boxes, intrinsics, **options)[:, self.joints.slices[str(card)]]
        notes = []
        if intrinsics is None:
            view = options.get("fov", USUAL_VIEW)
            notes.append(f"the camera is not known: {view:g} degrees of view assumed, so distances are rough")
        if boxes is None:
            notes.append("no boxes given: a person assumed to fill each picture")
        return Poses(points, card, units="mm", meta={"source": "skelbridge.estimator", "notes": notes})

    def predict_all(
        self,
        images: Any,
        boxes: ArrayLike | None = None,
        intrinsics: ArrayLike | None = None,
        *,
        distortion: ArrayLike = (),
        crops: int | Sequence[View] = 1,
        flip_test: bool = False,
        fov: float = USUAL_VIEW,
        world_up: ArrayLike = UP,
        batch: int = 64,
    ) -> Floats:
        """As `predict`, in all joints of the network, (N, J, 3); their names are `joints.names`.

        distortion: up to eight coefficients of OpenCV. crops: how many to average over, or which (`View`). flip_test:
        average with the mirrored crop as well. fov: degrees of the longer image side, where intrinsics are not
        given. world_up: upright, in the camera's axes. batch: crops at a time.
        """
        views = usual_views(crops) if isinstance(crops, int) else tuple(crops)
        people = _people(images, boxes, intrinsics, distortion, fov)
        wanted = [(person, view) for person in people for view in views]
        found = np.empty((len(wanted), len(self.joints), 3), np.float32)
        for start in range(0, len(wanted), batch):
            made = [_cropped(*person, self.side, view, world_up) for person, view in wanted[start : start + batch]]
            found[start : start + len(made)] = self._of_crops(made, flip_test)
        return _mean(found.reshape(len(people), len(views), *found.shape[1:]))

    def predict_store(
        self, store: Store, *, flip: bool = True, batch: int = 64, workers: int = 0
    ) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """All rows of a store in order: their numbers (n,), and all joints (n, J, 3) mm in the camera's axes.

        NaN where the picture is missing or broken. flip: average with the mirrored crop. workers: processes that
        prepare crops.
        """
        data = EvaluationData(store, self.joints, self.side, batch=batch)
        for views in DataLoader(data, batch_size=None, num_workers=workers, collate_fn=_as_it_is):
            examples = views.examples
            points = self.predict_crops(examples.images, examples.intrinsics, flip=flip)
            found = (points.cpu() @ views.rotations).numpy()
            found[views.broken.numpy()] = np.nan
            yield examples.numbers.numpy(), found

    @torch.inference_mode()
    def predict_crops(self, images: Tensor, intrinsics: Tensor, *, flip: bool = False) -> Tensor:
        """All joints (B, J, 3) mm in the axes of the crops' cameras, on the estimator's device.

        images: (B, 3, side, side) uint8, or float in [0, 1]; intrinsics: (B, 3, 3). flip: average with the prediction
        on the mirrored crops.
        """
        images, intrinsics = images.to(self.device), intrinsics.to(self.device)
        trains = self.network.training
        self.network.eval()
        try:
            points = self._joints(images, intrinsics)
            if not flip:
                return points
            turned = intrinsics.clone()
            turned[:, 0, 2] = images.shape[-1] - 1 - intrinsics[:, 0, 2]
            other = self._unmirrored(self._joints(images.flip(-1), turned))
            return torch.where(self._has_mirror.to(self.device), (points + other) / 2, points)
        finally:
            self.network.train(trains)

    def _joints(self, images: Tensor, intrinsics: Tensor) -> Tensor:
        """Joints as the network puts them out, or decoded from its latents where it has such."""
        found = self.network(images, intrinsics)
        if self._decoder is not None:
            return self._decoder.decode(found.latents)
        joints: Tensor = found.joints
        return joints

    def _unmirrored(self, points: Tensor) -> Tensor:
        """Points (B, J, 3) of mirrored crops as they are: x turned round, left and right joints exchanged."""
        return (points * points.new_tensor([-1, 1, 1]))[:, self._mirror.to(points.device)]

    def _of_crops(self, made: Sequence[tuple[Image, Crop]], flip: bool) -> Floats:
        """All joints (B, J, 3) in the axes of the source cameras."""
        images = torch.from_numpy(np.stack([image.transpose(2, 0, 1) for image, _ in made]))
        intrinsics = torch.from_numpy(np.stack([crop.matrix for _, crop in made]).astype(np.float32))
        points = self.predict_crops(images, intrinsics, flip=flip).cpu().numpy()
        back = np.stack([crop.back(own) for own, (_, crop) in zip(points, made, strict=True)])
        for number in (number for number, (_, crop) in enumerate(made) if crop.mirrors):
            back[number] = mirrored(back[number], self.joints.mirror)
        return back.astype(np.float32)

    def _known(self, wanted: str | Skeleton) -> Skeleton:
        """One of the formats that it predicts."""
        card = skeleton(wanted)
        if str(card) not in self.joints.slices:
            known = ", ".join(self.joints.slices)
            raise InputError(
                f"the skeleton format {card}", expected=f"one that this network predicts: {known}", got="none of them",
                mend=f"Predict one of them and convert it: poses.to({str(card)!r}).",
            )  # fmt: skip
        return next(own for own in self.skeletons if str(own) == str(card))


#: A picture, its camera, and a box in it.
_Person = tuple[Image, Camera, NDArray[np.float64]]


def _people(
    images: Any, boxes: ArrayLike | None, intrinsics: ArrayLike | None, distortion: ArrayLike, fov: float
) -> list[_Person]:
    """Every person with picture, camera and box."""
    one = isinstance(images, np.ndarray) and images.ndim == 3
    pictures = [images] if one else list(images)
    for picture in pictures:
        array = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.size > 0
        if not array or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError("images", expected="RGB of uint8, (H, W, 3)", got=_described(picture))
    if boxes is None:
        given = np.array([(-0.5, -0.5, *picture.shape[1::-1]) for picture in pictures], float).reshape(-1, 4)
    else:
        given = np.asarray(boxes, float)
    if given.ndim != 2 or given.shape[1] != 4 or not (one or len(given) == len(pictures)):
        count = "N" if one else len(pictures)
        raise InputError("boxes", expected=f"shape ({count}, 4): left, top, width, height", got=given.shape)
    cameras = [_camera(picture, intrinsics, number, len(pictures), distortion, fov)
               for number, picture in enumerate(pictures)]  # fmt: skip
    return [(pictures[0 if one else n], cameras[0 if one else n], box) for n, box in enumerate(given)]


def _camera(
    picture: Image, intrinsics: ArrayLike | None, number: int, count: int, distortion: ArrayLike, fov: float
) -> Camera:
    """The camera of a picture, one of several."""
    if not 0 < fov < 180:
        raise InputError("fov", expected="degrees between 0 and 180", got=fov)
    if intrinsics is None:
        return Camera(assumed_camera(picture.shape[1::-1], fov).matrix, distortion=distortion)
    matrix = np.asarray(intrinsics, float)
    if matrix.shape not in ((3, 3), (count, 3, 3)):
        raise InputError("intrinsics", expected=f"shape (3, 3) or ({count}, 3, 3)", got=matrix.shape)
    return Camera(matrix if matrix.ndim == 2 else matrix[number], distortion=distortion)


def _cropped(
    image: Image, camera: Camera, box: NDArray[np.float64], side: int, view: View, up: ArrayLike
) -> tuple[Image, Crop]:
    """What a view shows of a person, and its camera."""
    crop = person_crop(camera, box, side, zoom=view.zoom, roll=view.roll, flip=view.flip, up=up)
    found = crop.warp(*shrunk(image, WHOLE, crop))
    if view.gamma != 1:
        table = np.round(255 * (np.arange(256) / 255) ** view.gamma).astype(np.uint8)
        found = need("cv2", "train").LUT(found, table)
    return found, crop


def _mean(points: Floats) -> Floats:
    """The mean over views (N, views, J, 3), of those that say anything of a joint."""
    known = np.isfinite(points)
    counts = known.sum(axis=1)
    return np.where(counts > 0, np.where(known, points, 0).sum(axis=1) / np.maximum(counts, 1), np.nan).astype(
        np.float32
    )


def _described(value: Any) -> str:
    return f"{value.shape} of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def _as_it_is(views: Any) -> Any:
    return views
