"""Augmentation: numbers as the paper has them, independent of each other, colours as in floating point."""

import colorsys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch and OpenCV (pip install skelbridge[train])")
pytest.importorskip("cv2", reason="needs OpenCV (pip install skelbridge[train])")
import cv2
from pydantic import ValidationError

from skelbridge.errors import InputError
from skelbridge.train.augment import Appearance, Augmentation, Draw, Purpose, coloured, erase, paste
from skelbridge.train.cutouts import main, write_cutouts
from skelbridge.train.occluders import blobs, read_cutout, with_soft_rim

SETTINGS = Augmentation()


def draws(count):
    return [Draw(1, step, place) for step in range(count // 50) for place in range(50)]


def picture(side=64, seed=0):
    random = np.random.default_rng(seed)
    coarse = random.integers(20, 236, (5, 5, 3), np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)


def test_random_numbers_belong_to_seed_step_place_and_purpose():
    made = {
        (seed, step, place, purpose): Draw(seed, step, place).generator(purpose).random(4).tobytes()
        for seed in (0, 1, -1) for step in (0, 1, 10**6) for place in (0, 1, 127) for purpose in Purpose
    }  # fmt: skip
    assert len(set(made.values())) == len(made)
    again = Draw(1, 10**6, 127).generator(Purpose.COLOUR).random(4).tobytes()
    assert again == made[1, 10**6, 127, Purpose.COLOUR]


def test_geometry_is_spread_as_said():
    """Uniform within the bounds: means and standard deviations within 4 sigma, bounds never passed."""
    found = [SETTINGS.geometry(draw) for draw in draws(4000)]
    shifts = np.array([one.shift for one in found])
    assert np.linalg.norm(shifts, axis=1).max() <= 0.10
    assert np.linalg.norm(shifts, axis=1).mean() == pytest.approx(0.2 / 3, abs=0.002)  # of a disc
    assert np.abs(shifts.mean(axis=0)).max() < 0.004
    for values, least, most in (
        ([one.zoom for one in found], 0.75, 1.25),
        (np.degrees([one.roll for one in found]), -20, 20),
    ):
        width = most - least
        assert least <= np.min(values) < least + 0.01 * width
        assert most >= np.max(values) > most - 0.01 * width
        assert np.mean(values) == pytest.approx((least + most) / 2, abs=0.02 * width)
        assert np.std(values) == pytest.approx(width / 12**0.5, rel=0.05)
    assert np.mean([one.flip for one in found]) == pytest.approx(0.5, abs=0.035)
    assert {one.part for one in found} == {(0, 0, 1, 1)}


def test_parts_of_boxes_lie_within_and_have_a_least_size():
    settings = Augmentation(partial=0.5, partial_least=0.4, any_roll=1.0)
    found = [settings.geometry(draw) for draw in draws(1000)]
    parts = np.array([one.part for one in found])
    whole = (parts == [0, 0, 1, 1]).all(axis=1)
    assert 0.42 < whole.mean() < 0.58
    assert parts[:, 2:].min() >= 0.4
    assert (parts[:, :2] >= 0).all()
    assert (parts[:, :2] + parts[:, 2:] <= 1 + 1e-12).all()
    assert [one.zoom for one in found] == [SETTINGS.geometry(draw).zoom for draw in draws(1000)]
    assert np.ptp([one.roll for one in found]) > 1.9 * np.pi


def exactly(image, changes, order):
    """Colour changes in floating point, pixel by pixel, as the paper has them."""
    values = image.reshape(-1, 3) / 255
    for kind in order:
        change = changes[kind]
        if kind == "brightness":
            values = values + change
        elif kind == "contrast":
            values = (values - 0.5) * change + 0.5
        else:
            hsv = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in np.clip(values, 0, 1)])
            if kind == "hue":
                hsv[:, 0] = (hsv[:, 0] + change / 360) % 1
            else:
                hsv[:, 1] = np.clip(hsv[:, 1] * change, 0, 1)
            values = np.array([colorsys.hsv_to_rgb(*pixel) for pixel in hsv])
    return (np.clip(values, 0, 1) * 255).reshape(image.shape)


@pytest.mark.parametrize("seed", range(12))
def test_colours_are_those_of_floating_point_to_within_rounding(seed):
    image = picture(24, seed)
    chance, order = np.random.default_rng(100 + seed).random(4), np.random.default_rng(seed).permutation(4)
    drawn = SimpleNamespace(random=lambda count: np.concatenate([chance, np.argsort(order) / 4]))
    names = ("brightness", "contrast", "hue", "saturation")
    spans = {"brightness": (0, 0.125), "contrast": (1, 0.5), "hue": (0, 72), "saturation": (1, 0.5)}
    changes = {n: spans[n][0] + spans[n][1] * (2 * c - 1) for n, c in zip(names, chance, strict=True)}
    wanted = exactly(image, changes, [names[n] for n in order])
    found = coloured(image.copy(), SETTINGS, drawn)
    assert np.abs(found - wanted).mean() < 2.5
    assert np.abs(found - image.astype(float)).mean() > 4


def test_no_colour_change_is_none():
    image = picture()
    plain = Augmentation(brightness=0, contrast=0, hue=0, saturation=0)
    np.testing.assert_array_equal(coloured(image.copy(), plain, np.random.default_rng(0)), image)


def test_crops_are_covered_as_often_as_said():
    """A quarter with objects, a quarter with noise, half not at all; noise is not coloured, objects are."""
    look = Appearance(Augmentation(brightness=0, contrast=0, hue=0, saturation=0))
    shares, image = [], np.full((64, 64, 3), 100, np.uint8)
    for draw in draws(800):
        found = look(image.copy(), draw)
        shares.append((found != 100).any(axis=-1).mean())
    assert np.mean(np.array(shares) > 0) == pytest.approx(0.5, abs=0.08)
    assert np.max(shares) < 0.95
    with_noise = Appearance(
        Augmentation(brightness=0, contrast=0, hue=0, saturation=0, occlusion=1, occlusion_objects=0)
    )
    erased = [(with_noise(image.copy(), draw) != 100).any(axis=-1).mean() for draw in draws(400)]
    assert max(erased) <= 1 / 3 + 0.03
    assert 0.08 < np.mean(erased) < 1 / 6 + 0.02  # large ones fit in less often


def test_erased_rectangles_lie_inside():
    random = np.random.default_rng(0)
    for _ in range(200):
        image = np.zeros((48, 48, 3), np.uint8)
        erase(image, SETTINGS, random)
        rows, columns = (np.flatnonzero(image.any(axis=(2, axis))) for axis in (1, 0))
        if len(rows) > 4 and len(columns) > 4:
            high, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert 0.25 < high / wide < 4
            assert image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() == pytest.approx(127.5, abs=20)


def test_cutouts_are_pasted_where_they_belong():
    cutout = np.full((20, 10, 4), 200, np.uint8)
    cutout[..., 3] = 255
    image = np.zeros((40, 40, 3), np.uint8)
    paste(image, cutout, 1.0, (20, 20))
    assert (image[10:30, 15:25] == 200).all()
    assert image.sum() == 200 * 200 * 3
    for place in ((0, 0), (40, 3), (-50, 5), (20, 100)):
        paste(image, cutout, 0.7, place)
    half = cutout.copy()
    half[..., 3] = 128
    under = np.full((40, 40, 3), 100, np.uint8)
    paste(under, half, 1.0, (20, 20))
    assert np.abs(under[12:28, 17:23].astype(int) - 150).max() <= 1
    assert (under[:9] == 100).all()


def test_blobs_are_compact_and_varied():
    found = blobs()
    shares = [(one[..., 3] > 0).mean() for one in found]
    assert min(shares) > 0.05
    assert max(shares) < 0.95
    assert len({one.shape for one in found}) > 50
    assert {int(alpha) for one in found for alpha in np.unique(one[..., 3])} == {0, 191, 255}


def test_a_rim_is_less_opaque():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    alpha = with_soft_rim(mask, 8)
    assert (alpha[~mask] == 0).all()
    assert alpha[10, 20] == alpha[29, 20] == 191
    assert alpha[20, 20] == 255


def voc(folder):
    """A tiny copy in Pascal VOC's layout: a cat, a person, a truncated dog and a tiny bird."""
    from PIL import Image

    for name in ("Annotations", "JPEGImages", "SegmentationObject"):
        (folder / name).mkdir(parents=True)
    image = picture(100)[:80]
    numbers = np.zeros((80, 100), np.uint8)
    numbers[10:50, 10:40], numbers[10:50, 50:90] = 1, 2
    numbers[55:78, 10:60], numbers[60:70, 70:80] = 3, 4
    numbers[9, 10:40] = 255
    mask = Image.fromarray(numbers, mode="P")
    mask.putpalette([n // 3 for n in range(768)])
    mask.save(folder / "SegmentationObject" / "a.png")
    Image.fromarray(image).save(folder / "JPEGImages" / "a.jpg", quality=95)
    objects = [("cat", 0, 0), ("person", 0, 0), ("dog", 1, 0), ("bird", 0, 0)]
    written = "".join(
        f"<object><name>{n}</name><truncated>{t}</truncated><difficult>{d}</difficult></object>" for n, t, d in objects
    )
    (folder / "Annotations" / "a.xml").write_text(f"<annotation>{written}</annotation>")
    return image


def test_cutouts_come_from_pascal_voc(tmp_path, capsys):
    image = voc(tmp_path / "voc")
    assert write_cutouts(tmp_path / "voc", tmp_path / "out", progress=False) == 1
    (path,) = (tmp_path / "out").iterdir()
    cutout = read_cutout(path)
    assert path.name == "a_1.png"
    assert cutout.shape == (20, 15, 4)
    wanted = image[10:50, 10:40].reshape(20, 2, 15, 2, 3).mean(axis=(1, 3))
    assert np.abs(cutout[..., :3] - wanted).mean() < 2
    assert cutout[10, 7, 3] == 255 > cutout[0, 7, 3]
    assert main([str(tmp_path / "voc"), str(tmp_path / "out")]) == 0
    assert main([str(tmp_path / "out"), str(tmp_path / "other")]) == 1
    assert "SegmentationObject" in capsys.readouterr().err
    with pytest.raises(InputError, match="VOC2012"):
        write_cutouts(tmp_path, tmp_path / "other")
    look = Appearance(Augmentation(objects=tmp_path / "out", occlusion=1, occlusion_objects=1)).checked()
    plain = np.full((128, 128, 3), 255, np.uint8)
    assert any((look(plain.copy(), draw) != look(plain.copy(), Draw(0, 0, 0))).any() for draw in draws(50))


@pytest.mark.parametrize("bad", ["<!DOCTYPE x><annotation/>", "<annotation>", ""])
def test_damaged_annotations_are_errors(tmp_path, bad):
    from skelbridge.errors import FileFormatError

    voc(tmp_path / "voc")
    (tmp_path / "voc" / "Annotations" / "a.xml").write_text(bad)
    with pytest.raises(FileFormatError, match=r"a\.xml"):
        write_cutouts(tmp_path / "voc", tmp_path / "out", progress=False)


def test_backgrounds_change_around_the_person_only(tmp_path):
    folder = tmp_path / "behind"
    folder.mkdir()
    cv2.imwrite(str(folder / "green.png"), np.full((100, 300, 3), (0, 255, 0), np.uint8))
    look = Appearance(Augmentation(backgrounds=folder)).checked()
    image, mask = np.full((64, 64, 3), 30, np.uint8), np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    found = look.with_background(image, mask, Draw(0, 0, 0))
    assert (found[mask > 0] == 30).all()
    assert (found[mask == 0] == [0, 255, 0]).all()
    chances = [[look.settings.background_chance(name, draw) for draw in draws(1000)] for name in ("h36m", "agora")]
    assert np.mean(chances[0]) == pytest.approx(0.7, abs=0.06)
    assert np.mean(chances[1]) == pytest.approx(0.2, abs=0.06)
    assert not any(SETTINGS.background_chance("h36m", draw) for draw in draws(100))


def test_every_setting_says_what_it_is():
    assert all(field.description for field in Augmentation.model_fields.values())
    with pytest.raises(ValidationError):
        Augmentation(flip=2)
    with pytest.raises(ValidationError):
        Augmentation(flop=0.5)
