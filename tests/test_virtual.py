"""Virtual datasets: what is rendered, how it is labelled, and how it is written. Tiny pictures, few of them."""

from dataclasses import replace

import numpy as np
import pytest

from skelbridge.body.dress import random_person, wardrobe
from skelbridge.body.render import Light, Stage, exposed
from skelbridge.body.surfaces import ball, block, sheet
from skelbridge.camera import Camera
from skelbridge.cli import main
from skelbridge.convert import convert
from skelbridge.errors import CardError, InputError, UnknownNameError
from skelbridge.io.rle import decode
from skelbridge.skeletons import skeleton
from skelbridge.store import Visibility, open_store, verify
from skelbridge.synthetic.scene import look_at
from skelbridge.synthetic.virtual import virtual_dataset, virtual_datasets, write_virtual, write_virtual_union
from skelbridge.synthetic.virtual import write as writing
from skelbridge.synthetic.virtual.labels import noisy, placed, systematic
from skelbridge.synthetic.virtual.pictures import MARGIN
from skelbridge.synthetic.virtual.scenes import Recording, the_body
from skelbridge.synthetic.virtual.spec import Noise
from tests.stores import assert_same

GREY = np.full(3, 0.5, np.float32)
SUN = Light(np.full(3, 2.0, np.float32), direction=np.array([0.3, -1.0, -0.5]))
TINY = {"packed": 64, "picture": (320, 320), "frames": 2}


def small(name, **changes):
    """A dataset of the registry with small pictures, and other changes by section: look={...}."""
    content = {**virtual_dataset(name).model_dump(), **TINY}
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    return type(virtual_dataset(name)).model_validate(content)


LAB = small("virtual_lab", cameras={"count": 2})
DOME = small("virtual_dome", cameras={"count": 2}, look={"occluders": 0.0})
WEB = small("virtual_web", frames=3)


@pytest.fixture(scope="module")
def union(tmp_path_factory):
    """Three datasets, made by this process."""
    return write_virtual_union([LAB, DOME, WEB], tmp_path_factory.mktemp("union"), train=10, test=4, progress=False)


def all_of(store):
    return store[np.arange(len(store))]


def mask_of(sample):
    return decode(sample.mask, sample.image_size)


# The renderer.


@pytest.mark.parametrize("size", [(101, 80), (64, 97)])
def test_a_ball_is_seen_where_the_camera_projects_it(size):
    camera = look_at((800, 1500, 2500), (300, 600, 0), focal=110, size=size)
    matrix = np.asarray(camera.matrix).copy()
    matrix[:2, 2] += 7.3, -4.6
    camera = Camera(matrix, camera.rotation, camera.translation)
    things = [replace(ball(300, GREY), person=0), sheet((-4000, 0, 4000), (8000, 0, 0), (0, 0, -8000), GREY)]
    own = Stage(things, [SUN], GREY).pixels_of(0, camera, size)
    rows, columns = np.nonzero(own)
    assert np.mean([columns, rows], axis=1) == pytest.approx(camera.project(np.array([0.0, 300, 0])), abs=1.0)
    seen = camera.project(things[0].vertices)
    for axis, pixels in enumerate((columns, rows)):
        assert (pixels.min(), pixels.max()) == pytest.approx((seen[:, axis].min(), seen[:, axis].max()), abs=1.6)


def test_a_person_behind_a_block_is_not_seen_there():
    camera, size = look_at((0, 500, 4000), (0, 500, 0), focal=60, size=(60, 60)), (60, 60)
    behind = replace(ball(400, GREY), person=1)
    before = block((900, 400, 100), GREY).moved(0, (0, 0, 1500))
    alone = Stage([behind], [SUN], GREY).pixels_of(1, camera, size)
    half = Stage([behind, before], [SUN], GREY).pixels_of(1, camera, size)
    assert half.sum() < 0.8 * alone.sum()
    assert not half[~alone].any()
    assert half[: len(half) // 2].sum() == alone[: len(half) // 2].sum()


def test_light_of_a_lambert_surface_is_as_calculated():
    """A white floor under one light from straight above sheds irradiance x reflectance / pi; in shadow nothing."""
    floor = sheet((-5000, 0, 5000), (10000, 0, 0), (0, 0, -10000), np.full(3, 0.6, np.float32))
    roof = block((2000, 10, 2000), GREY).moved(0, (0, 3000, 0))
    camera = look_at((0, 2000, 4500), (0, 0, 0), focal=30, size=(64, 64))
    down = Light(np.float32([1, 2, 3]), direction=np.array([0.0, -1, 0]))
    light = Stage([floor, roof], [down], GREY).light(camera, (64, 64))
    at = np.rint(camera.project(np.array([[2500.0, 0, 800], [0, 0, 0]]))).astype(int)
    lit, dark = light[at[:, 1], at[:, 0]]
    assert lit == pytest.approx(np.array([1, 2, 3]) * 0.6**2.2 / np.pi, rel=1e-3)
    assert dark == pytest.approx(0, abs=1e-6)


def test_pictures_get_brighter_with_exposure_and_keep_black():
    light = np.linspace(0, 2, 12, dtype=np.float32).reshape(2, 2, 3)
    dim, bright = (exposed(light, factor, np.ones(3, np.float32)) for factor in (0.5, 1.5))
    assert dim[0, 0, 0] == bright[0, 0, 0] == 0
    assert (bright.ravel()[1:] > dim.ravel()[1:]).all()


def test_wrong_cameras_and_devices_are_refused():
    stage, size = Stage([ball(100, GREY)], [SUN], GREY), (32, 32)
    for camera in (
        Camera(np.diag([50.0, 60, 1])),
        Camera(np.diag([50.0, 50, 1]), distortion=(0.1,)),
    ):
        with pytest.raises(InputError, match="square pixels"):
            stage.light(camera, size)
    with pytest.raises(InputError, match="device"):
        Stage([ball(100, GREY)], [SUN], GREY, device="abacus")


# Clothes.


def test_clothes_hide_skin_and_follow_the_body():
    body = the_body()
    dresser, rng = wardrobe(body), np.random.default_rng(1)
    for _ in range(6):
        outfit = dresser.random_outfit(random_person(rng), rng, {"plain": 1, "stripes": 1}, 0.9)
        assert len(outfit.bare) < 0.9 * len(body.triangles)
        for garment in outfit.garments:
            assert garment.triangles.max() < len(garment.vertices)
            assert (garment.loose >= 3).all()
            assert (garment.loose < 120).all()


# Labels.


def test_joints_lie_on_the_pixels_of_their_person(tmp_path):
    """Joints inside the body project onto its mask, rendered independently of them, up to the width of a pixel."""
    spec = small("virtual_lab", packed=160, noise={"systematic": 0.0, "jitter": 0.0, "outliers": 0.0})
    store = write_virtual(spec, tmp_path / "lab.h5", train=6, test=0, progress=False)
    inner = [skeleton("h36m_17").index(f"{side}_{j}") for side in ("left", "right") for j in ("knee", "elbow", "hip")]
    on, all_joints = 0, 0
    for row, sample in enumerate(store):
        points = np.rint(store[[row]].projected()[0, inner]).astype(int)
        mask = mask_of(sample)
        on += mask[points[:, 1].clip(0, 319), points[:, 0].clip(0, 319)].sum()
        all_joints += len(inner)
    assert on >= 0.97 * all_joints


def test_boxes_and_crops_hold_the_person(union):
    for sample in open_store(union):
        mask = mask_of(sample)
        rows, columns = np.nonzero(mask)
        left, top, width, height = sample.box
        cloth = 0.08 * max(width, height) + 1.5 / sample.crop[2]  # clothes stand off the body that the box is of
        assert left - cloth <= columns.min() <= columns.max() <= left + width + cloth
        assert top - cloth <= rows.min() <= rows.max() <= top + height + cloth
        assert sample.crop[2] == pytest.approx(64 / (MARGIN * max(width, height)), rel=1e-4)


def test_the_packed_picture_is_the_crop(union):
    """Its size is that of the margin about the box, as far as the picture goes."""
    store = open_store(union)
    for sample in list(store)[::5]:
        image = _image(sample)
        left, top, scale = sample.crop
        edges = np.array([left, top]) - 0.5 / scale
        reached = edges + np.array(image.shape[1::-1]) / scale
        assert (edges >= -0.51).all()
        assert (reached <= np.array(sample.image_size) - 0.49).all()
        assert max(image.shape) <= 64
        assert image.std() > 8


def _image(sample):
    from io import BytesIO

    from skelbridge.io.images import read_image

    return read_image(BytesIO(sample.picture), "a picture")


def test_systematic_offsets_are_of_their_size_mirrored_and_fixed_to_the_pelvis():
    spec = virtual_dataset("virtual_studio")
    card, off = skeleton(spec.skeleton), systematic(spec, 3)
    assert np.sqrt(np.mean(np.sum(off**2, axis=1))) == pytest.approx(spec.noise.systematic)
    assert off[card.mirror_index] == pytest.approx(off * [-1, 1, 1])
    assert not np.allclose(off, systematic(spec, 4))
    rng = np.random.default_rng(0)
    landmarks = rng.normal(0, 300, (1, card.placement.shape[1], 3))
    turn = look_at((1, 2, 3), (0, 0, 0), focal=1, size=(2, 2)).rotation
    straight = placed(spec, 3, landmarks, np.eye(3)[None])
    turned = placed(spec, 3, landmarks @ np.asarray(turn).T, np.asarray(turn)[None])
    assert turned == pytest.approx(straight @ np.asarray(turn).T)
    assert straight[0] - card.placement @ landmarks[0] == pytest.approx(off)


def test_noise_has_the_stated_size():
    rng = np.random.default_rng(0)
    noise = Noise(outliers=0.02, outlier_size=300, missing=0.1)
    off = np.concatenate([noisy(np.zeros((100, 3)), 7.0, noise, rng) for _ in range(300)])
    given = off[np.isfinite(off).all(axis=1)]
    assert 1 - len(given) / len(off) == pytest.approx(0.1, abs=0.006)
    far = np.linalg.norm(given, axis=1) > 60
    assert far.mean() == pytest.approx(0.02, abs=0.004)
    assert given[~far].std() == pytest.approx(7.0, rel=0.03)
    assert given[far].std() == pytest.approx(300, rel=0.12)


def test_training_labels_are_noisy_and_test_labels_are_not(union):
    """Against the bodies themselves; all cameras of a moment see the same noise, for points are found in the world."""
    store = open_store(union).select(dataset="virtual_lab")
    for split, low, high in (("train", 3.0, 8.0), ("test", 0.0, 0.05)):
        held = all_of(store.select(split=split))
        off = held.world() - np.array([_true_joints(LAB, split, sample) for sample in _rows(held)])
        assert low <= np.median(np.abs(off)) / 0.6745 <= high
        assert off[0] == pytest.approx(off[1], abs=0.01)
        assert (held.frame[0], held.person[0]) == (held.frame[1], held.person[1])


def _rows(held):
    names = held.text["sequence"].tolist()
    return list(zip(names, held.frame.tolist(), held.person.tolist(), strict=True))


def _true_joints(spec, split, row, labels=None):
    """The joints of a row's body as `labels` places them, in the world."""
    name, frame, person = row
    recording = Recording(spec, 0, split, int(name.split("_")[1]))
    first = frame // spec.frames * spec.frames
    moment = list(recording.moments(first, spec.frames))[frame - first]
    return placed(labels or spec, 0, moment.landmarks[person], moment.pelvis[person])


def test_labels_in_2d_only_have_no_third_dimension_and_none_outside_the_picture(union):
    held = all_of(open_store(union).select(dataset="virtual_web", split="train"))
    assert held.points is None
    given = np.isfinite(held.points2d).all(axis=-1)
    assert ((held.visibility == Visibility.MISSING) == ~given).all()
    assert given.mean() > 0.4
    true = np.array([
        held.cameras[held.camera[n]].project(_true_joints(WEB, "train", row)) for n, row in enumerate(_rows(held))
    ])  # fmt: skip
    outside = ((true < -0.5) | (true >= 319.5)).any(axis=-1)
    assert not given[outside].any()
    off = (held.points2d - true)[given]
    assert np.median(np.abs(off)) / 0.6745 == pytest.approx(WEB.noise.pixels, rel=0.35)


def test_several_people_of_one_picture_have_pixels_of_their_own(union):
    held = list(open_store(union).select(dataset="virtual_dome"))
    together = {}
    for sample in held:
        together.setdefault((sample.sequence, sample.frame, sample.view), []).append(sample)
    shared = [samples for samples in together.values() if len(samples) > 1]
    assert shared
    for samples in shared:
        masks = np.array([mask_of(sample) for sample in samples])
        assert len({sample.person for sample in samples}) == len(samples)
        assert masks.sum(axis=0).max() <= 2  # where scales of two crops differ, their masks meet
        assert (masks.sum(axis=0) > 1).sum() < 0.05 * masks.sum()


# Stores.


def test_splits_share_no_people_and_stores_are_in_order(union):
    store = open_store(union)
    for name in store.datasets:
        people = [set(all_of(store.select(dataset=name, split=s)).text["subject"].tolist()) for s in ("train", "test")]
        assert people[0]
        assert not people[0] & people[1]
        assert [len(store.select(dataset=name, split=s)) for s in ("train", "test")] == [10, 4]
    shapes = [Recording(LAB, 0, split, 0).cast.shapes.phenotypes for split in ("train", "test")]
    assert not np.isclose(shapes[0], shapes[1]).any()
    assert verify(union) == []
    assert verify(union.parent / "truth.h5") == []


def test_truth_is_every_format_on_the_same_pictures(union):
    store, truth = open_store(union), open_store(union.parent / "truth.h5")
    for look in (LAB, DOME, WEB):
        own = all_of(store.select(dataset=look.name, split="test"))
        for labels in (LAB, DOME, WEB):
            if look is labels and look is not WEB:
                continue
            exact = all_of(truth.select(dataset=look.name, skeleton=labels.skeleton))
            assert exact.pictures == own.pictures
            assert exact.points is not None
            wanted = np.array([_true_joints(look, "test", row, labels) for row in _rows(exact)])
            assert exact.world() == pytest.approx(wanted, abs=0.02)


def test_truth_without_offsets_is_what_converting_gives(tmp_path):
    """Converting the labels of one format comes near the truth in another, because both lie where their cards say."""
    plain = {"noise": {"systematic": 0.0}}
    lab, web = small("virtual_lab", **plain), small("virtual_web", **plain)
    union = write_virtual_union([lab, web], tmp_path, train=0, test=6, progress=False)
    own = all_of(open_store(union).select(dataset="virtual_lab"))
    exact = all_of(open_store(tmp_path / "truth.h5").select(dataset="virtual_lab"))
    card = skeleton("coco_17")
    body = [n for n, name in enumerate(card.names) if name.split("_")[-1] in ("knee", "hip", "shoulder", "elbow")]
    converted = convert(own.points.astype(float), "h36m_17", "coco_17")
    off = np.linalg.norm(np.asarray(converted)[:, body] - exact.points[:, body], axis=-1)
    assert np.median(off) < 15
    assert off.max() < 80


def test_the_same_seed_gives_the_same_samples_in_any_number_of_processes(union, tmp_path):
    again = write_virtual(LAB, tmp_path / "lab.h5", train=10, test=4, workers=2, progress=False)
    assert_same(all_of(again), all_of(open_store(union.parent / "virtual_lab.h5")))


def test_another_seed_gives_other_samples(union, tmp_path):
    other = write_virtual(LAB, tmp_path / "lab.h5", train=2, test=0, seed=1, progress=False)
    assert all_of(other).pictures[0] != all_of(open_store(union.parent / "virtual_lab.h5")).pictures[0]


def test_an_interrupted_run_goes_on_where_it_stopped(union, tmp_path, monkeypatch):
    done, run_job = [], writing.run_job

    def once(plan, job, which):
        if done:
            raise KeyboardInterrupt
        done.append(job)
        return run_job(plan, job, which)

    arguments = {"train": 10, "test": 4, "truth": [DOME, WEB], "progress": False}
    monkeypatch.setattr(writing, "run_job", once)
    with pytest.raises(KeyboardInterrupt, match="goes on"):
        write_virtual(LAB, tmp_path / "lab.h5", **arguments)
    assert len(open_store(tmp_path / "lab.h5")) == done[0].count == 10
    made = []
    monkeypatch.setattr(writing, "run_job", lambda p, j, w: made.append(j) or run_job(p, j, w))
    again = write_virtual(LAB, tmp_path / "lab.h5", **arguments)
    assert [job.split for job in made] == ["test"]
    assert_same(all_of(again), all_of(open_store(union.parent / "virtual_lab.h5")))
    write_virtual(LAB, tmp_path / "lab.h5", **arguments)
    assert len(made) == 1


# Errors.


def test_what_cannot_be_made_is_said(tmp_path):
    with pytest.raises(UnknownNameError, match="virtual_lab"):
        virtual_dataset("virtual_lap")
    for train, test, seed in ((0, 0, 0), (-1, 5, 0), (1, 1, -1)):
        with pytest.raises(InputError):
            write_virtual(LAB, tmp_path / "x.h5", train=train, test=test, seed=seed)
    with pytest.raises(InputError, match="another format"):
        write_virtual_union([LAB, LAB.model_copy(update={"name": "other"})], tmp_path, train=1, test=1)
    with pytest.raises(InputError, match="another name"):
        write_virtual_union([], tmp_path, train=1, test=1)
    blind = small("virtual_lab", cameras={"count": 1, "wander": 0.0, "distance": (90.0, 90.0)})
    with pytest.raises(InputError, match="whom its cameras see"):
        write_virtual(blind, tmp_path / "blind.h5", train=1, test=0, progress=False)
    assert not list(tmp_path.glob("x*"))


def test_a_store_begun_otherwise_is_not_gone_on_with(union):
    with pytest.raises(InputError, match="begun otherwise"):
        write_virtual(LAB, union.parent / "virtual_lab.h5", train=11, test=4, truth=[LAB, DOME, WEB], progress=False)


def test_a_wrong_spec_names_the_place(tmp_path):
    text = 'name = "mine"\ntitle = "t"\nskeleton = "h36m_17"\n[look]\nplaces = {{ {} = 1 }}\n[cameras]\ncount = {}\n'
    text += "distance = [3, 4]\nheight = [1, 2]\nfocal = [1, 1]\n"
    for place, count, said in (("moon", 2, "look.places"), ("lab", 0, "cameras.count")):
        path = tmp_path / "mine.toml"
        path.write_text(text.format(place, count))
        with pytest.raises(CardError, match=said):
            virtual_dataset(path)
    path.write_text(text.format("lab", 2))
    assert virtual_dataset(path).cameras.count == 2


def test_every_dataset_of_the_registry_is_whole():
    found = virtual_datasets()
    assert len({spec.skeleton for spec in found.values()}) == len(found) >= 5
    assert {spec.labels for spec in found.values()} == {"2d", "3d"}


def test_the_command_lists_makes_and_refuses(tmp_path, capsys):
    assert main(["virtual", "--list"]) == 0
    assert "virtual_street" in capsys.readouterr().out
    assert main(["virtual", "virtual_lab"]) == 2
    assert "--out" in capsys.readouterr().err
    arguments = ["virtual", "virtual_lab", "--out", str(tmp_path), "--train", "2", "--test", "1", "--size", "48"]
    assert main(arguments) == 0
    assert "train 2, test 1; h36m_17" in capsys.readouterr().out
    assert main([*arguments, "--seed", "5"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_contact_sheet_shows_every_dataset(union):
    from skelbridge.plot.virtual import plot_virtual

    figure = plot_virtual(union, rows=1, columns=3)
    assert len(figure.axes) == 9
    assert {text.get_text() for text in figure.texts} >= {"virtual_lab", "virtual_dome", "virtual_web"}
