"""Pictures: read as RGB, their size without decoding, and JPEG written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import InputError, SkelbridgeError, need
from skelbridge.io.files import damaged

#: Pictures of more pixels are refused before they are decoded.
MAX_PIXELS = 2**26

#: What is read, by the names of Pillow; its other formats are not wanted here, and some run programs.
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")

#: Pillow's kinds of pictures with 8 bits a channel.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")

Image = NDArray[np.uint8]


def read_image(stream: BinaryIO, name: str, transform: str = "") -> Image:
    """A picture as (H, W, 3) RGB, as its pixels are stored (a camera's orientation tag is not obeyed).

    name: its path, for messages. transform: what is done to it, a word of `skelbridge.store.samples.TEXT`.
    Raises FileFormatError for a damaged, unknown or absurdly large file, InputError for an unknown transform.
    """
    with _opened(stream, name) as picture:
        if picture.mode not in _MODES:
            raise damaged(Path(name), "", expected="8 bits a channel", got=f"Pillow's mode {picture.mode}")
        if transform == "bayer_grbg":
            return _demosaiced(np.asarray(picture.convert("L")))
        image = np.asarray(picture.convert("RGB"))
    return transformed(image, transform)


def transformed(image: Image, transform: str) -> Image:
    """A decoded picture as the points of samples see it; a word of `skelbridge.store.samples.TEXT`."""
    if transform == "":
        return image
    if transform == "mirror":
        return np.ascontiguousarray(image[:, ::-1])
    if transform == "rotate_clockwise":
        return np.ascontiguousarray(np.rot90(image, -1))
    raise InputError("the transform of a picture", expected="mirror, rotate_clockwise or bayer_grbg", got=transform)


def image_size(stream: BinaryIO, name: str) -> tuple[int, int]:
    """Width and height of a picture in pixels, from its head. Raises FileFormatError as `read_image`."""
    with _opened(stream, name) as picture:
        return int(picture.size[0]), int(picture.size[1])


def encode_jpeg(image: Image, quality: int = 95) -> bytes:
    """A picture (H, W, 3) of uint8 as a JPEG file."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError("a picture", expected="(height, width, 3) of uint8", got=f"{image.shape} of {image.dtype}")
    file = BytesIO()
    need("PIL.Image", "data").fromarray(image).save(file, format="JPEG", quality=quality)
    return file.getvalue()


@contextmanager
def _opened(stream: BinaryIO, name: str) -> Iterator[Any]:
    """Pillow's picture, not decoded yet; whatever Pillow meets in the file is our error."""
    try:
        with need("PIL.Image", "data").open(stream, formats=_FORMATS) as picture:
            if picture.size[0] * picture.size[1] > MAX_PIXELS:
                size = "{} x {}".format(*picture.size)
                raise damaged(Path(name), "", expected=f"at most {MAX_PIXELS} pixels", got=size)
            yield picture
    except SkelbridgeError:
        raise
    except Exception as error:  # its decoders raise a dozen kinds
        raise damaged(Path(name), "", expected="a picture", got=f"{type(error).__name__}: {error}") from error


def _demosaiced(raw: Image) -> Image:
    """The colours (H, W, 3) behind a mosaic (H, W) of G R / B G: each the mean of its nearest samples, weighted."""
    from scipy.ndimage import convolve

    near = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], float)
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], float)
    image = np.empty((*raw.shape, 3), np.uint8)
    for channel, (kernel, corners) in enumerate([(near, [(0, 1)]), (cross, [(0, 0), (1, 1)]), (near, [(1, 0)])]):
        here = np.zeros(raw.shape)
        for row, column in corners:
            here[row::2, column::2] = 1
        weight = convolve(here, kernel, mode="constant")
        total = convolve(here * raw, kernel, mode="constant")
        image[..., channel] = np.round(total / np.maximum(weight, 1))
    return image
