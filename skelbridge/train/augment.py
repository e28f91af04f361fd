"""Augmentation: how an example is moved, covered and coloured, at random.

Each kind of change has random numbers of its own, drawn from (seed, step, place in the batch): switching one off leaves
the others as they were, and nothing depends on which process makes an example. Colours are changed on 8-bit pictures,
through tables; that rounds by up to one step each time, which a test holds against the same in floating point.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from skelbridge.errors import InputError, need
from skelbridge.train.occluders import Cutout, blobs, read_cutout

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

#: Sides that numbers of pixels are given for; larger or smaller crops scale them.
_SIDE = 256
#: Draws of a rectangle until one lies inside the crop.
_TRIES = 100
_BRIGHTNESS, _CONTRAST, _HUE, _SATURATION = range(4)
#: Files of pictures that backgrounds are taken from.
_PICTURES = (".jpg", ".jpeg", ".png")


class Purpose(IntEnum):
    """What random numbers are for."""

    GEOMETRY = 0
    PARTIAL = 1
    BACKGROUND = 2
    OCCLUSION = 3
    COLOUR = 4


@dataclass(frozen=True)
class Draw:
    """Which example random numbers are for: a place in the batch of a step."""

    seed: int
    step: int
    place: int

    def generator(self, purpose: Purpose) -> np.random.Generator:
        """Random numbers for one purpose, independent of all others (a counter-based generator: Philox)."""
        key = np.array([self.seed & (2**64 - 1), self.step], np.uint64)
        counter = np.array([0, 0, self.place, purpose], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))


@dataclass(frozen=True)
class Geometry:
    """How a crop is moved: arguments of `skelbridge.estimator.crops.person_crop`, and the part of the box taken.

    part: left, top, width, height as shares of the box's width and height.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    roll: float = 0.0
    flip: bool = False
    part: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


class Augmentation(BaseModel):
    """How examples are changed at random; the defaults are the paper's. Zero switches a change off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shift: float = Field(0.10, ge=0, description="the crop's middle moves within a disc of so many longer box sides")
    zoom: float = Field(0.25, ge=0, lt=1, description="the person appears larger or smaller by up to this share")
    roll: float = Field(20.0, ge=0, le=180, description="degrees that the crop turns by, at most")
    any_roll: float = Field(0.0, ge=0, le=1, description="share of crops that turn by any angle")
    flip: float = Field(0.5, ge=0, le=1, description="share of crops that are mirrored")
    partial: float = Field(0.0, ge=0, le=1, description="share of crops that show part of the box")
    partial_least: float = Field(0.5, gt=0, le=1, description="of each of its sides, such a part has at least")

    occlusion: float = Field(0.5, ge=0, le=1, description="share of crops in which something covers a part")
    occlusion_objects: float = Field(0.5, ge=0, le=1, description="share of those with objects; the others have noise")
    objects: Path | None = Field(
        None,
        description="folder of cut-outs: PNG with alpha (see skelbridge.train.cutouts); none: made-up blobs",
    )
    object_count: tuple[int, int] = Field((1, 6), description="objects in a crop, at least and at most")
    object_scale: tuple[float, float] = Field(
        (0.2, 1.0), description="their size against the file's, for crops of 256 pixels, at least and at most"
    )
    erased_area: float = Field(1 / 3, ge=0, lt=1, description="share of the crop that noise covers, at most")
    erased_aspect: float = Field(0.3, gt=0, le=1, description="shorter by longer side of what noise covers, at least")

    brightness: float = Field(0.125, ge=0, description="is added to values in [0, 1], either sign, at most")
    contrast: float = Field(0.5, ge=0, le=1, description="distance from 0.5 grows or shrinks by up to this share")
    hue: float = Field(72.0, ge=0, le=180, description="degrees that hues turn by, either way, at most")
    saturation: float = Field(0.5, ge=0, le=1, description="saturation grows or shrinks by up to this share")

    backgrounds: Path | None = Field(
        None, description="folder of pictures without people to put behind people whose mask is known; none: not done"
    )
    background: float = Field(0.7, ge=0, le=1, description="share of crops with a mask that get another background")
    background_rare: float = Field(0.2, ge=0, le=1, description="the same for the datasets of `rare`")
    rare: tuple[str, ...] = Field(
        ("sail_vos", "agora", "spec", "hspace"), description="datasets whose backgrounds vary as they are"
    )
    background_zoom: tuple[float, float] = Field((1.2, 1.5), description="how much larger than needed, least and most")
    background_shift: float = Field(0.1, ge=0, description="its middle moves within a disc of so many crop sides")

    finer: int = Field(1, ge=1, le=4, description="crops are rendered so many times as large, then averaged")

    def geometry(self, draw: Draw) -> Geometry:
        """How a crop is moved."""
        chance = draw.generator(Purpose.GEOMETRY).random(7).tolist()
        part = self._part(draw.generator(Purpose.PARTIAL)) if self.partial else (0.0, 0.0, 1.0, 1.0)
        most = 180.0 if chance[4] < self.any_roll else self.roll
        return Geometry(
            shift=_in_disc(self.shift, *chance[:2]),
            zoom=1 + self.zoom * (2 * chance[2] - 1),
            roll=float(np.radians(most * (2 * chance[3] - 1))),
            flip=chance[5] < self.flip,
            part=part,
        )

    def _part(self, random: np.random.Generator) -> tuple[float, float, float, float]:
        chance, width, height, x, y = random.random(5).tolist()
        if chance >= self.partial:
            return (0.0, 0.0, 1.0, 1.0)
        width, height = (self.partial_least + (1 - self.partial_least) * size for size in (width, height))
        return ((1 - width) * x, (1 - height) * y, width, height)

    def background_chance(self, dataset: str, draw: Draw) -> bool:
        """Whether a crop of a dataset gets another background, if a mask is known."""
        share = self.background_rare if dataset in self.rare else self.background
        return self.backgrounds is not None and draw.generator(Purpose.BACKGROUND).random() < share


@dataclass(frozen=True)
class Appearance:
    """Changes the look of crops as an `Augmentation` says; holds what is pasted."""

    settings: Augmentation

    def __call__(self, image: Image, draw: Draw) -> Image:
        """A crop (side, side, 3), covered and coloured; the given one may be changed."""
        settings = self.settings
        random = draw.generator(Purpose.OCCLUSION)
        covered, kind = (random.random(2) < (settings.occlusion, settings.occlusion_objects)).tolist()
        if covered and kind:
            self._paste(image, random)
        image = coloured(image, settings, draw.generator(Purpose.COLOUR))
        if covered and not kind:
            erase(image, settings, random)
        return image

    def with_background(self, image: Image, mask: NDArray[np.uint8], draw: Draw) -> Image:
        """A crop with another background, where its mask (side, side), 255 on the person, says so."""
        random = draw.generator(Purpose.BACKGROUND)
        _, which, zoom, angle, radius = random.random(5).tolist()
        least, most = self.settings.background_zoom
        shift = _in_disc(self.settings.background_shift, radius, angle)
        path = self._backgrounds[int(which * len(self._backgrounds))]
        behind = _background(path, len(image), least + (most - least) * zoom, shift)
        if behind is None:
            return image
        share = mask[..., None].astype(np.float32) / 255
        return (behind + (image - behind.astype(np.float32)) * share + 0.5).astype(np.uint8)

    def checked(self) -> Appearance:
        """The same; InputError where a folder of the settings holds nothing of use."""
        _ = self._objects, self._backgrounds if self.settings.backgrounds else None
        return self

    @cached_property
    def _objects(self) -> tuple[Path, ...] | tuple[Cutout, ...]:
        if self.settings.objects is None:
            return blobs()
        return _files(self.settings.objects, (".png",), "cut-outs")

    @cached_property
    def _backgrounds(self) -> tuple[Path, ...]:
        return _files(self.settings.backgrounds or Path(), _PICTURES, "backgrounds")

    def _paste(self, image: Image, random: np.random.Generator) -> None:
        """Put objects over a crop."""
        least, most = self.settings.object_count
        count = int(random.integers(least, most + 1))
        for which, size, x, y in random.random((count, 4)).tolist():
            found = self._objects[int(which * len(self._objects))]
            cutout = read_cutout(found) if isinstance(found, Path) else found
            small, large = self.settings.object_scale
            scale = (small + (large - small) * size) * len(image) / _SIDE
            if cutout is not None:
                paste(image, cutout, scale, (x * len(image), y * len(image)))


def paste(image: Image, cutout: Cutout, scale: float, middle: tuple[float, float]) -> None:
    """Put a cut-out (h, w, 4), scaled, over a picture, its middle at x, y."""
    height, width = (max(1, round(size * scale)) for size in cutout.shape[:2])
    left, top = (round(at - size / 2) for at, size in zip(middle, (width, height), strict=True))
    low, high = (max(left, 0), max(top, 0)), (min(left + width, image.shape[1]), min(top + height, image.shape[0]))
    if low[0] >= high[0] or low[1] >= high[1]:
        return
    drawn = _resized(cutout, (width, height))
    drawn = drawn[low[1] - top : high[1] - top, low[0] - left : high[0] - left]
    under = image[low[1] : high[1], low[0] : high[0]]
    share = drawn[..., 3:].astype(np.float32) / 255
    under[:] = under + (drawn[..., :3] - under.astype(np.float32)) * share + 0.5


def _resized(image: Image, size: tuple[int, int]) -> Image:
    """A picture in another size (width, height): halved as often as it can be, the rest bilinear.

    Averaging over areas takes ten times as long, unless they are squares of 2 x 2 pixels.
    """
    cv2 = need("cv2", "train")
    while all(length >= 2 * wanted for length, wanted in zip(image.shape[1::-1], size, strict=True)):
        height, width = (length // 2 for length in image.shape[:2])
        image = cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    found: Image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return found


def erase(image: Image, settings: Augmentation, random: np.random.Generator) -> None:
    """Put noise over a rectangle of a crop (Zhong et al., "Random erasing data augmentation", 2017)."""
    height, width = image.shape[:2]
    for _ in range(_TRIES):
        area, aspect, x, y = random.random(4).tolist()
        area *= settings.erased_area * height * width
        aspect = settings.erased_aspect + (1 / settings.erased_aspect - settings.erased_aspect) * aspect
        high, wide = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        top, left = int(y * height), int(x * width)
        if top + high <= height and left + wide <= width:
            image[top : top + high, left : left + wide] = random.integers(0, 256, (high, wide, 3), np.uint8)
            return


def coloured(image: Image, settings: Augmentation, random: np.random.Generator) -> Image:
    """A crop with brightness, contrast, hue and saturation changed, in any order; values that run over are clipped."""
    *chance, a, b, c, d = random.random(8).tolist()
    brightness, contrast, hue, saturation = (2 * one - 1 for one in chance)
    changes = {
        _BRIGHTNESS: settings.brightness * brightness, _CONTRAST: 1 + settings.contrast * contrast,
        _HUE: settings.hue * hue, _SATURATION: 1 + settings.saturation * saturation,
    }  # fmt: skip
    order = np.argsort([a, b, c, d]).tolist()
    for hsv, kinds in groupby(order, key=lambda kind: kind in (_HUE, _SATURATION)):
        some = [(kind, changes[kind]) for kind in kinds]
        image = _in_hsv(image, dict(some)) if hsv else _levels(image, some)
    return image


def _levels(image: Image, changes: list[tuple[int, float]]) -> Image:
    """Brightness and contrast, one after the other, clipped at the end."""
    values = np.arange(256) / 255
    for kind, change in changes:
        values = values + change if kind == _BRIGHTNESS else (values - 0.5) * change + 0.5
    table = np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)
    found: Image = need("cv2", "train").LUT(image, table)
    return found


def _in_hsv(image: Image, changes: dict[int, float]) -> Image:
    """Hue turned, saturation scaled and clipped."""
    cv2, turn = need("cv2", "train"), round(changes.get(_HUE, 0.0) / 360 * 256) % 256
    table = np.clip(np.round(np.arange(256) * changes.get(_SATURATION, 1.0)), 0, 255).astype(np.uint8)
    same = bool((table == np.arange(256)).all())
    if same and not turn:
        return image
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    if turn:
        hsv[..., 0] += np.uint8(turn)  # a full circle is 256
    if not same:
        cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, 1), table), hsv, 1)
    found: Image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return found


def _in_disc(radius: float, one: float, other: float) -> tuple[float, float]:
    """A point of a disc, evenly, by two numbers in [0, 1)."""
    length, angle = radius * one**0.5, 2 * np.pi * other
    return (float(length * np.cos(angle)), float(length * np.sin(angle)))


def _files(folder: Path, suffixes: tuple[str, ...], what: str) -> tuple[Path, ...]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes) if folder.is_dir() else []
    if not found:
        raise InputError(f"the folder of {what} {folder}", expected=f"files {', '.join(suffixes)}", got="none")
    return tuple(found)


@lru_cache(maxsize=256)
def _picture(path: Path) -> Image | None:
    """A picture of a folder at about the size that crops need; None where it cannot be read."""
    cv2 = need("cv2", "train")
    found: Image | None = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if found is None:
        return None
    scale = min(1.0, 2 * _SIDE / min(found.shape[:2]))
    size = [max(1, round(length * scale)) for length in found.shape[1::-1]]
    return cv2.resize(found, size, interpolation=cv2.INTER_AREA) if scale < 1 else found


def _background(path: Path, side: int, zoom: float, shift: tuple[float, float]) -> Image | None:
    """A picture that covers a crop, `zoom` times as large as it must be and shifted by shares of the crop's side."""
    image = _picture(path)
    if image is None:
        return None
    height, width = image.shape[:2]
    scale = zoom * side / min(height, width)
    room = [(length * scale - side) / 2 for length in (width, height)]
    start = [space + min(max(move * side, -space), space) for space, move in zip(room, shift, strict=True)]
    way = np.array([[scale, 0, -start[0]], [0, scale, -start[1]]])
    cv2 = need("cv2", "train")
    found: Image = cv2.warpAffine(image, way, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found
