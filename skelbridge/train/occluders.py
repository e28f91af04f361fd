"""What is pasted over people: cut-outs from files, or made-up blobs where there are none."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import need

#: A picture with alpha, (h, w, 4) of uint8, RGBA.
Cutout = NDArray[np.uint8]

#: How opaque the rim of a cut-out is, and its width in pixels of a picture of 256.
RIM_ALPHA, RIM = 0.75, 8
#: Made-up blobs, their sides in pixels, and the grid of random numbers that their shapes and textures are.
_BLOBS, _SIDES, _GRID = 96, (40, 160), 5


@lru_cache(maxsize=2048)
def read_cutout(path: Path) -> Cutout | None:
    """A cut-out from a PNG with alpha; None where the file is none."""
    cv2 = need("cv2", "train")
    found: NDArray[np.uint8] | None = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim != 3 or found.shape[2] != 4 or found.dtype != np.uint8:
        return None
    rgba: Cutout = cv2.cvtColor(found, cv2.COLOR_BGRA2RGBA)
    return rgba


@lru_cache(maxsize=1)
def blobs() -> tuple[Cutout, ...]:
    """Blobs of smooth outline and texture, always the same ones."""
    random = np.random.default_rng(0)
    return tuple(_blob(random) for _ in range(_BLOBS))


def with_soft_rim(mask: NDArray[np.bool_], rim: int) -> NDArray[np.uint8]:
    """A mask (h, w) as alpha, less opaque within `rim` pixels of its edge."""
    cv2 = need("cv2", "train")
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim))
    inner = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.where(inner > 0, 255, np.where(mask, round(RIM_ALPHA * 255), 0)).astype(np.uint8)


def _blob(random: np.random.Generator) -> Cutout:
    height, width = random.integers(*_SIDES, 2).tolist()
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    mask = _smooth(random, height, width, 1)[..., 0] * 1.2 + 0.4 - x**2 - y**2 > 0
    texture = random.uniform(0, 255, 3) + 80 * _smooth(random, height, width, 3)
    period, slope, strength = random.uniform(4, 20), random.uniform(0, np.pi), random.uniform(0, 40)
    across = (np.cos(slope) * x * width + np.sin(slope) * y * height) / period
    texture += strength * np.sin(across)[..., None]
    return np.dstack([np.clip(texture, 0, 255).astype(np.uint8), with_soft_rim(mask, RIM // 2)])


def _smooth(random: np.random.Generator, height: int, width: int, channels: int) -> NDArray[np.float32]:
    """Random numbers that change slowly over (height, width, channels), of standard deviation about 1."""
    cv2 = need("cv2", "train")
    coarse = random.normal(size=(_GRID, _GRID, channels)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)).reshape(height, width, -1)
