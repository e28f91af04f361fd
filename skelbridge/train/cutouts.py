"""Cut-outs to paste over people, from a copy of Pascal VOC: `python -m skelbridge.train.cutouts VOC_DIR OUT`.

VOC_DIR is the folder that holds Annotations, JPEGImages and SegmentationObject (VOCdevkit/VOC2012). Every object that
is no person, not difficult, not truncated and of 500 pixels or more becomes a PNG with alpha, half as large, its rim
less opaque.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skelbridge.errors import FileFormatError, InputError, SkelbridgeError, need
from skelbridge.io.files import damaged, replacing
from skelbridge.io.images import read_image
from skelbridge.train.occluders import RIM, Cutout, with_soft_rim

#: Pixels that an object must have, and how much smaller it is kept.
LEAST_PIXELS, SMALLER = 500, 2
#: Bytes that an annotation file may have: theirs have a few thousand.
_MAX_XML = 2**20
_FLAWS = ("difficult", "truncated")


def write_cutouts(voc: str | Path, out: str | Path, *, progress: bool = True) -> int:
    """Write the cut-outs of a copy of Pascal VOC into a folder; how many there are.

    Raises InputError where the folder is no copy, FileFormatError for a damaged file of it.
    """
    voc, out = Path(voc), Path(out)
    masks = sorted((voc / "SegmentationObject").glob("*.png"))
    if not masks:
        raise InputError(
            f"{voc}", expected="Annotations, JPEGImages and SegmentationObject in it",
            got="no SegmentationObject/*.png", mend="Name the folder VOCdevkit/VOC2012 of the unpacked distribution.",
        )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    cv2, count = need("cv2", "train"), 0
    for path in tqdm(masks, desc="cut-outs", disable=None if progress else True):
        for number, cutout in _objects(voc, path):
            content = cv2.imencode(".png", cv2.cvtColor(cutout, cv2.COLOR_RGBA2BGRA))[1].tobytes()
            with replacing(out / f"{path.stem}_{number}.png") as temporary:
                temporary.write_bytes(content)
            count += 1
    return count


def _objects(voc: Path, mask_path: Path) -> Iterator[tuple[int, Cutout]]:
    """The objects of a picture that are of use, by their numbers."""
    wanted = [number for number, fine in enumerate(_of_use(voc / "Annotations" / f"{mask_path.stem}.xml"), 1) if fine]
    if not wanted:
        return
    numbers = _numbers(mask_path)
    image_path = voc / "JPEGImages" / f"{mask_path.stem}.jpg"
    if not image_path.is_file():
        raise damaged(image_path, "", expected="the picture of its mask", got="no such file")
    with image_path.open("rb") as stream:
        image = read_image(stream, str(image_path))
    if image.shape[:2] != numbers.shape:
        raise damaged(image_path, "", expected=f"the size of its mask, {numbers.shape}", got=image.shape[:2])
    for number in wanted:
        mask = numbers == number
        if mask.sum() >= LEAST_PIXELS:
            yield number, _cut_out(image, mask)


def _cut_out(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Cutout:
    cv2 = need("cv2", "train")
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    cutout = np.dstack([image[part], with_soft_rim(mask[part], RIM)])
    size = [max(1, length // SMALLER) for length in cutout.shape[1::-1]]
    found: Cutout = cv2.resize(cutout, size, interpolation=cv2.INTER_AREA)
    return found


def _of_use(path: Path) -> list[bool]:
    """For each object of an annotation file, in order, whether it is of use."""
    try:
        content = path.read_bytes()
        if len(content) > _MAX_XML or b"<!" in content:  # entities could blow up
            raise damaged(path, "", expected="a small XML file without declarations", got=f"{len(content)} bytes")
        root = ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError) as error:
        raise damaged(path, "", expected="an annotation in XML", got=error) from error
    return [
        found.findtext("name") != "person"
        and found.findtext("difficult", "0") == found.findtext("truncated", "0") == "0"
        for found in root.iter("object")
    ]


def _numbers(path: Path) -> NDArray[np.uint8]:
    """The mask (h, w): which object a pixel belongs to, 0 none, 255 a border."""
    image_module = need("PIL.Image", "data")
    try:
        with image_module.open(path, formats=("PNG",)) as picture:
            if picture.mode != "P":
                raise damaged(path, "", expected="a PNG with a palette", got=f"mode {picture.mode}")
            return np.asarray(picture)
    except FileFormatError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        raise damaged(path, "", expected="a PNG with a palette", got=error) from error


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m skelbridge.train.cutouts", description=(__doc__ or "").split(":")[0]
    )
    parser.add_argument("voc", help="VOCdevkit/VOC2012 of the unpacked distribution")
    parser.add_argument("out", help="folder to write to: the training's augmentation.objects")
    given = parser.parse_args(arguments)
    try:
        print(f"{write_cutouts(given.voc, given.out)} cut-outs in {given.out}")
    except SkelbridgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
