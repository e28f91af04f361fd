"""Training data: labels lie where pictures show them, and steps are the same whoever prepares them."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch and OpenCV (pip install skelbridge[train])")
pytest.importorskip("cv2", reason="needs OpenCV (pip install skelbridge[train])")
import torch
from people import BENT, SIZE, brightest, people, three
from stores import write

from skelbridge.bridge.acae import Joints
from skelbridge.errors import InputError, SkelbridgeError
from skelbridge.estimator.names2d import NAMES_2D
from skelbridge.estimator.stored import decoded_jpeg, jpeg_pixels
from skelbridge.io.images import encode_jpeg
from skelbridge.skeletons import skeleton
from skelbridge.store import Mixture, Stream, open_store
from skelbridge.train.augment import Augmentation
from skelbridge.train.data import EvaluationData, TrainingData, loader

JOINTS = Joints.of(["smpl_24", "h36m_17"])
GEOMETRY = Augmentation(occlusion=0, brightness=0, contrast=0, hue=0, saturation=0)
MIXTURE = Mixture(
    name="three", batch_3d=6, batch_2d=2,
    streams=(Stream(dataset="h36m", count=4), Stream(dataset="coco", count=2, weak_2d=True),
             Stream(dataset="surreal", count=2)),
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return three(tmp_path_factory.mktemp("people"))


def same(one, other):
    for name, tensor in vars(one).items():
        assert torch.equal(torch.nan_to_num(tensor.float(), -7e7), torch.nan_to_num(getattr(other, name).float(), -7e7))


def training(store, **options):
    return TrainingData(store, JOINTS, 64, MIXTURE, **{"steps": 6, "augmentation": Augmentation(), **options})


def test_a_step_has_3d_labels_first_under_the_networks_names(store):
    examples, broken = training(store)[0]
    assert broken == 0
    assert tuple(examples.images.shape) == (8, 3, 64, 64)
    assert examples.images.dtype == torch.uint8
    assert tuple(examples.points.shape) == (6, 41, 3)
    assert tuple(examples.points2d.shape) == (2, len(NAMES_2D), 2)
    assert examples.numbers.tolist() == list(range(8))
    known = torch.isfinite(examples.points).all(dim=-1)
    own = JOINTS.slices
    assert known[:4, own["h36m_17"]].all()
    assert not known[:4, own["smpl_24"]].any()
    assert known[4:, own["smpl_24"]].all()
    assert not known[4:, own["h36m_17"]].any()
    assert torch.isfinite(examples.points2d).all()
    assert (examples.points[known][:, 2] > 1000).all()


@pytest.mark.parametrize(("format", "distortion"), [("h36m_17", ()), ("smpl_24", BENT)])
@pytest.mark.parametrize("packed", [True, False])
def test_3d_labels_are_where_the_crop_shows_them(tmp_path, format, distortion, packed):
    """A dot at the left wrist: in a mirrored crop it is the right one."""
    samples = people(format, 12, dot="left_wrist", distortion=distortion, packed=packed, root=tmp_path)
    store = open_store(write(tmp_path / "a.h5", [samples], about={}))
    store = rooted(store, tmp_path)
    data = TrainingData(store, JOINTS, 96, 12, steps=2, augmentation=GEOMETRY.model_copy(update={"any_roll": 0.5}))
    mirrored = []
    for examples, broken in (data[0], data[1]):
        assert not broken
        for image, matrix, points in zip(examples.images, examples.intrinsics, examples.points, strict=True):
            own = points[JOINTS.slices[format]][[skeleton(format).index(f"{side}_wrist") for side in ("left", "right")]]
            pixels = (own[:, :2] / own[:, 2:]) @ matrix[:2, :2].T + matrix[:2, 2]
            if whole(image):
                off = np.abs(pixels.numpy() - brightest(image[0].numpy())).max(axis=1)
                assert off.min() < 0.25
                mirrored.append(off[1] < off[0])
    assert len(mirrored) > 12
    assert 4 < sum(mirrored) < len(mirrored) - 4


def whole(image):
    """Whether a crop shows the dot, and none of it is cut off."""
    rim = torch.ones(image.shape[1:], dtype=torch.bool)
    rim[2:-2, 2:-2] = False
    return bool(image[0].max() > 150 and image[0][rim].max() < 25)


@pytest.mark.parametrize("camera", [True, False])
def test_2d_labels_are_where_the_crop_shows_them(tmp_path, camera):
    samples = people("coco_17", 12, dot="left_wrist", flat=True, camera=camera)
    store = open_store(write(tmp_path / "a.h5", [samples], dataset="coco"))
    data = TrainingData(store, JOINTS, 96, 24, steps=1, augmentation=GEOMETRY)
    examples, _ = data[0]
    assert examples.deep == 0
    wrists = [NAMES_2D.index(f"{side}_wrist") for side in ("left", "right")]
    off = [
        np.abs(points[wrists].numpy() - brightest(image[0].numpy())).max(axis=1)
        for image, points in zip(examples.images, examples.points2d, strict=True)
        if whole(image)
    ]
    assert len(off) > 12
    assert np.min(off, axis=1).max() < 0.25
    assert 4 < np.argmin(off, axis=1).sum() < len(off) - 4
    views = examples.intrinsics[:, 0, 0]
    assert (views > 200).all() if not camera else (views < 1500).all()


def rooted(store, root):
    """The same store with its dataset's folder elsewhere."""
    from skelbridge.store.reader import Store

    return Store(store.path, [replace(piece, root=str(root)) for piece in store.pieces], store._dropped, store.settings)


def test_pictures_from_files_are_as_those_packed(tmp_path):
    made = [people("h36m_17", 8, packed=packed, root=tmp_path) for packed in (True, False)]
    stores = [rooted(open_store(write(tmp_path / f"{n}.h5", [some])), tmp_path) for n, some in enumerate(made)]
    one, other = (TrainingData(some, JOINTS, 96, 8, steps=1, augmentation=GEOMETRY)[0] for some in stores)
    assert one[1] == other[1] == 0
    assert (one[0].images.float() - other[0].images.float()).abs().mean() < 2.5
    assert torch.equal(one[0].intrinsics, other[0].intrinsics)
    assert one[0].images.float().std() > 30


@pytest.mark.parametrize("workers", [1, 2])
def test_steps_do_not_depend_on_workers_nor_on_where_they_begin(store, workers):
    alone = [training(store)[step] for step in range(6)]
    for (got, _), (wanted, _) in zip(loader(training(store), 0), alone, strict=True):
        same(got, wanted)
    for (got, _), (wanted, _) in zip(loader(training(store), workers), alone, strict=True):
        same(got, wanted)
    for (got, _), (wanted, _) in zip(loader(training(store), workers, 4), alone[4:], strict=True):
        same(got, wanted)
    assert not list(loader(training(store), workers, 6))
    other, _ = training(store, seed=1)[0]
    assert not torch.equal(other.images, alone[0][0].images)


def test_processes_together_have_the_whole_batch(store):
    whole = training(store)
    parts = [training(store, rank=rank, world=2) for rank in range(2)]
    for step in (0, 5):
        wanted, (first, _), (last, _) = whole[step][0], parts[0][step], parts[1][step]
        assert (first.deep, last.deep) == (4, 2)
        for name in vars(wanted):
            joined = torch.cat([getattr(first, name), getattr(last, name)])
            assert torch.equal(torch.nan_to_num(joined.float()), torch.nan_to_num(getattr(wanted, name).float())), name
    with pytest.raises(InputError, match="divides the 8"):
        training(store, world=3)


def test_switching_one_augmentation_off_leaves_the_others(store):
    """Without colours the crops are the same, without occlusion colours are, and so on."""
    whole, _ = training(store)[0]
    plain, _ = training(store, augmentation=Augmentation(brightness=0, contrast=0, hue=0, saturation=0))[0]
    bare, _ = training(store, augmentation=Augmentation(occlusion=0))[0]
    for other in (plain, bare):
        assert torch.equal(other.intrinsics, whole.intrinsics)
        assert torch.equal(torch.nan_to_num(other.points), torch.nan_to_num(whole.points))
    alike = [(a == b).float().mean() for a, b in zip(whole.images, bare.images, strict=True)]
    assert 1 <= sum(share == 1 for share in alike) < 8
    assert min(alike) > 0.3  # what is not covered has the same colours
    straight, _ = training(store, augmentation=Augmentation(roll=0))[0]
    turned = [matrix[:2, :2] for matrix in whole.intrinsics]
    for own, other in zip(turned, straight.intrinsics, strict=True):
        torch.testing.assert_close(own, other[:2, :2])  # zoom and shift are as they were
    assert not torch.equal(straight.images, whole.images)
    unflipped, _ = training(store, augmentation=Augmentation(flip=0))[0]
    kept = [torch.equal(a, b) for a, b in zip(whole.points.nan_to_num(), unflipped.points.nan_to_num(), strict=True)]
    assert 0 < sum(kept) < 6


def test_without_augmentation_crops_are_upright_and_as_large_as_people(store):
    examples, _ = training(store, augmentation=None)[0]
    torch.testing.assert_close(examples.intrinsics[:6, :2, 2], torch.full((6, 2), 31.5))
    known = examples.points[:4, JOINTS.slices["h36m_17"]]
    pixels = known[..., :2] / known[..., 2:] * examples.intrinsics[:4, None, [0, 1], [0, 1]] + 31.5
    extent = (pixels.amax(dim=1) - pixels.amin(dim=1)).amax(dim=1)
    assert ((extent > 50) & (extent < 64)).all()


def test_labels_outside_the_crop_are_kept(store):
    settings = GEOMETRY.model_copy(update={"partial": 1.0, "partial_least": 0.3})
    examples, _ = training(store, augmentation=settings)[0]
    known = examples.points[:4, JOINTS.slices["h36m_17"]]
    matrices = examples.intrinsics[:4]
    pixels = known[..., :2] / known[..., 2:] * matrices[:, None, [0, 1], [0, 1]] + matrices[:, None, :2, 2]
    assert torch.isfinite(known).all()
    assert ((pixels < 0) | (pixels > 63)).any()


def test_a_picture_that_cannot_be_read_is_black_unlabelled_and_counted(tmp_path):
    samples = people("h36m_17", 8)
    broken = {1: b"no picture", 2: samples.pictures[2][:-300], 3: b"\xff\xd8\xff\xd9", 5: None}
    pictures = tuple(broken.get(n, picture) for n, picture in enumerate(samples.pictures))
    where = samples.crop.copy()
    where[6] = np.nan
    store = open_store(write(tmp_path / "a.h5", [replace(samples, pictures=pictures, crop=where)]))
    examples, count = TrainingData(store, JOINTS, 64, 8, steps=1, augmentation=Augmentation())[0]
    assert count == 5
    black = (examples.images == 0).flatten(1).all(dim=1)
    assert black.sum() == 5
    assert torch.equal(torch.isnan(examples.points).flatten(1).all(dim=1), black)
    assert torch.isfinite(examples.intrinsics).all()
    views = EvaluationData(store, JOINTS, 64)[0]
    assert views.broken.tolist() == [False, True, True, True, False, True, True, False]


def test_what_cannot_be_trained_on_is_told_before(store, tmp_path):
    with pytest.raises(InputError, match=r"smpl_24 of surreal.*network's: h36m_17"):
        TrainingData(store, Joints.of("h36m_17"), 64, MIXTURE, steps=1)
    with pytest.raises(InputError, match="a mixture"):
        TrainingData(store, JOINTS, 64, 8, steps=1)
    gone = open_store(write(tmp_path / "a.h5", [people(count=3, packed=False)]))
    with pytest.raises(InputError, match=r"h36m: 3 of its samples.*pictures that can be read.*3 with a place"):
        TrainingData(gone, JOINTS, 64, 2, steps=1)
    lost = open_store(write(tmp_path / "b.h5", [replace(people(count=3), camera=np.full(3, -1, np.int32))]))
    with pytest.raises(InputError, match="cameras"):
        TrainingData(lost, JOINTS, 64, 2, steps=1)
    with pytest.raises(InputError, match="cut-outs"):
        training(store, augmentation=Augmentation(objects=tmp_path / "nowhere"))
    with pytest.raises(InputError, match="backgrounds"):
        training(store, augmentation=Augmentation(backgrounds=tmp_path / "nowhere"))


def test_low_labels_of_unknown_cameras_are_not_used(tmp_path):
    samples = people("coco_17", 4, flat=True, camera=False)
    points = samples.points2d.copy()
    points[:, 15, 1], points[:, 16, 1] = 0.951 * SIZE[1], 0.949 * SIZE[1]
    store = open_store(write(tmp_path / "a.h5", [replace(samples, points2d=points)], dataset="coco"))
    examples, _ = TrainingData(store, JOINTS, 64, 4, steps=1)[0]
    assert torch.isnan(examples.points2d[:, NAMES_2D.index("left_ankle")]).all()
    assert torch.isfinite(examples.points2d[:, NAMES_2D.index("right_ankle")]).all()


def test_people_without_a_box_are_found_by_their_joints(tmp_path):
    samples = people("h36m_17", 4)
    store = [
        open_store(write(tmp_path / f"{n}.h5", [each]))
        for n, each in enumerate((samples, replace(samples, box=np.full((4, 4), np.nan, np.float32))))
    ]
    one, other = (TrainingData(each, JOINTS, 64, 4, steps=1)[0][0] for each in store)
    torch.testing.assert_close(one.intrinsics, other.intrinsics, rtol=1e-3, atol=1e-3)


def test_evaluation_shows_every_row_and_leads_back(store):
    data = EvaluationData(store, JOINTS, 64, batch=10)
    views = list(loader(data, 2))
    assert torch.cat([view.examples.numbers for view in views]).tolist() == list(range(len(store)))
    for view in views:
        back = view.examples.points @ view.rotations
        for row, points in zip(view.examples.numbers.tolist(), back, strict=True):
            sample = store[row]
            if sample.points is None:
                assert torch.isnan(points).all()
                continue
            own = points[JOINTS.slices[str(sample.skeleton)]]
            np.testing.assert_allclose(own.numpy(), sample.points, atol=0.01)


class Deadly(torch.utils.data.Dataset):
    """Numbers; a worker dies at some of them, as often as there are marks."""

    def __init__(self, folder, deadly, times):
        self.folder, self.deadly, self.times = folder, deadly, times

    def __len__(self):
        return 8

    def __getitem__(self, step):
        marks = self.folder / f"{step}"
        died = marks.stat().st_size if marks.exists() else 0
        if step in self.deadly and died < self.times:
            with marks.open("ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), signal.SIGKILL)
        return step


def test_a_killed_worker_is_replaced(tmp_path):
    before = signal.getsignal(signal.SIGCHLD)
    with pytest.warns(UserWarning, match="died at step"):
        assert list(loader(Deadly(tmp_path, {3}, 1), 1)) == list(range(8))
    assert signal.getsignal(signal.SIGCHLD) == before


def test_workers_that_always_die_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("skelbridge.train.data.RESTARTS", 0)
    with pytest.raises(SkelbridgeError, match="died 1 times in a row"):
        list(loader(Deadly(tmp_path, {0}, 99), 1))


def test_jpeg_files_are_looked_at_before_they_are_decoded():
    picture = np.tile(np.linspace(0, 255, 48).astype(np.uint8)[None, :, None], (32, 1, 3))
    content = encode_jpeg(picture)
    assert jpeg_pixels(content) == 48 * 32
    np.testing.assert_allclose(decoded_jpeg(content).astype(int), picture, atol=4)
    assert decoded_jpeg(content, 2).shape == (16, 24, 3)
    at = content.index(b"\xff\xc0")
    huge = content[: at + 5] + b"\xff\xff\xff\xff" + content[at + 9 :]
    assert jpeg_pixels(huge) == 65535**2
    for damaged in (huge, content[:-2], content[:50], b"", b"\xff\xd8", content[:at]):
        assert decoded_jpeg(damaged) is None
