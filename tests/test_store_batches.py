"""Batches: every sample once an epoch, the same whoever computes them, and as the store has them."""

import io
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from stores import block, write

from skelbridge.errors import CardError, FileFormatError, InputError, UnknownNameError
from skelbridge.store import Mixture, Stream, merge, mixture, mixtures, open_store, set_dropped
from skelbridge.store.batches import slots_of
from skelbridge.store.mixtures import apportioned
from skelbridge.store.samples import LENSES
from skelbridge.store.shuffling import CHUNK, WINDOW, permuted, shuffled


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three datasets of three skeletons, one of 2D labels, one with pictures; some rows are left out."""
    folder = tmp_path_factory.mktemp("batches")
    a = write(folder / "a.h5", [block(700), block(500, seed=1, pictures=(jpeg(0), None, jpeg(2)))])
    b = write(folder / "b.h5", [block(300, "smpl_24", 24, seed=2)], dataset="surreal")
    c = write(folder / "c.h5", [block(250, "coco_17", flat=True, seed=3)], dataset="coco")
    merge([a, b, c], folder / "all.h5")
    set_dropped(folder / "all.h5", {"bad": [5, 6, 1300]})
    return open_store(folder / "all.h5")


def jpeg(seed):
    from PIL import Image

    made, content = Image.fromarray(picture(seed)), io.BytesIO()
    made.save(content, "JPEG", quality=95)
    return content.getvalue()


def picture(seed):
    return np.tile(np.linspace(0, 200 + seed, 48).astype(np.uint8)[None, :, None], (32, 1, 3))


@settings(max_examples=40, deadline=None)
@given(count=some.integers(1, 3000), key=some.integers(0, 9))
def test_a_permutation_is_one(count, key):
    found = permuted(np.arange(count), count, key)
    assert np.array_equal(np.sort(found), np.arange(count))
    some_places = np.random.default_rng(key).integers(count, size=7)
    assert np.array_equal(permuted(some_places, count, key), found[some_places])


@settings(max_examples=25, deadline=None)
@given(count=some.integers(1, 40_000), key=some.integers(0, 9))
def test_shuffled_chunks_are_a_permutation_with_near_rows_together(count, key):
    found = shuffled(np.arange(count), count, "chunks", key)
    assert np.array_equal(np.sort(found), np.arange(count))
    batch = found[: CHUNK * WINDOW // 4]
    runs = np.flatnonzero(np.diff(np.sort(batch)) > CHUNK)  # gaps between chunks that the window did not take
    assert len(runs) <= WINDOW + 1


def test_permutations_are_even():
    """Each row comes first equally often, and neighbours do not stay together: chi squared, 5 sigma."""
    count, times = 50, 20_000
    firsts = np.array([permuted(np.array([0, 1]), count, "even", key) for key in range(times)])
    for each in (firsts[:, 0], (firsts[:, 1] - firsts[:, 0]) % count):
        seen = np.bincount(each, minlength=count)[0 if each is firsts[:, 0] else 1 :]
        wanted = times / len(seen)
        chi = ((seen - wanted) ** 2 / wanted).sum()
        assert abs(chi - (len(seen) - 1)) < 5 * np.sqrt(2 * (len(seen) - 1))


def test_orders_are_the_same_on_every_machine():
    """Written down once; a training that goes on elsewhere must see the same samples."""
    first = np.arange(5)
    assert shuffled(first, 13_000_000, "full", 0, "h36m", 0).tolist() == [11284037, 3385517, 3010236, 6765938, 11039140]
    assert shuffled(first, 13_000_000, "chunks", 0, "h36m", 0).tolist() == [
        12431424,
        1262483,
        11730537,
        4164866,
        2618726,
    ]


@pytest.mark.parametrize("shuffle", ["chunks", "full", None])
def test_an_epoch_shows_every_sample_once_and_the_next_in_another_order(store, shuffle):
    batches = store.batches(64, seed=3, shuffle=shuffle)
    assert len(batches) == -(-len(store) // 64)
    rows = np.concatenate([batch.rows for batch in batches])
    assert np.array_equal(np.sort(rows), np.arange(len(store)))
    more = store.batches(64, seed=3, shuffle=shuffle, steps=2 * len(batches))
    both = np.concatenate([batch.rows for batch in more])
    assert np.array_equal(both[: len(store)], rows)
    second = both[len(store) : 2 * len(store)]
    assert np.array_equal(second, rows[: len(second)]) == (shuffle is None)
    other = store.batches(64, seed=4, shuffle=shuffle)[0].rows
    assert np.array_equal(other, rows[:64]) == (shuffle is None)
    assert np.array_equal(np.arange(len(store))[: len(rows)], rows) == (shuffle is None)


def same(a, b):
    assert pickle.dumps(a.rows) == pickle.dumps(b.rows)
    assert a.step == b.step
    for table in ("numbers", "cameras", "codes"):
        ours, theirs = getattr(a, table), getattr(b, table)
        assert list(ours) == list(theirs)
        for name in ours:
            assert ours[name].tobytes() == theirs[name].tobytes(), name
    assert a.joints.tobytes() == b.joints.tobytes()
    assert a.pictures == b.pictures
    assert a.text("image").tolist() == b.text("image").tolist()


@pytest.mark.parametrize("shuffle", ["chunks", "full"])
def test_batch_k_depends_on_k_alone(store, shuffle):
    def fresh(workers=0):
        return store.batches(32, seed=1, shuffle=shuffle, pictures=True, steps=90, workers=workers)

    alone = [fresh()[step] for step in range(90)]
    for workers in (0, 1, 3):
        for got, wanted in zip(fresh(workers), alone, strict=True):
            same(got, wanted)
    for got, wanted in zip(fresh(2).iter(start=37), alone[37:], strict=True):
        same(got, wanted)
    batches = fresh()
    for step in [*range(5, 90, 7), 3, 2, 1, 88, 0, *range(0, 90, 2)]:
        same(batches[step], alone[step])
    same(pickle.loads(pickle.dumps(batches))[13], alone[13])
    with pytest.raises(IndexError):
        batches[90]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_a_dataset_for_torch(store, workers):
    torch = pytest.importorskip("torch")
    batches = store.batches(64, seed=1, shuffle="full", pictures=True)
    loader = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=workers)
    for got, wanted in zip(loader, batches, strict=True):
        same(got, wanted)
    later = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=workers, sampler=range(9, len(batches)))
    same(next(iter(later)), batches[9])


def test_columns_are_those_of_the_store(store):
    batch = store.batches(200, seed=2, shuffle="full")[0]
    joints = open_store_joints(store)
    for place, row in enumerate(batch.rows):
        sample = store[int(row)]
        count = len(sample.skeleton)
        assert batch.datasets[batch.dataset[place]] == sample.dataset
        assert batch.skeletons[batch.skeleton[place]] == str(sample.skeleton)
        wanted = np.full((24, 3), np.nan, np.float32) if sample.points is None else sample.points
        np.testing.assert_array_equal(batch.points[place, :count], wanted[:count])
        assert np.isnan(batch.points[place, count:]).all()
        np.testing.assert_array_equal(batch.visibility[place, :count], sample.visibility)
        assert not batch.visibility[place, count:].any()
        assert [joints[n] for n in batch.joints[place, :count]] == [
            f"{sample.skeleton}/{n}" for n in sample.skeleton.names
        ]
        assert (batch.joints[place, count:] == -1).all()
        for name in ("frame", "person", "video_frame", "box", "crop", "image_size", "world_known"):
            np.testing.assert_array_equal(getattr(batch, name)[place], getattr(sample, name), strict=False)
        for name in ("image", "sequence", "subject", "split"):
            assert batch.text(name)[place] == getattr(sample, name)
        if sample.camera is None:
            assert np.isnan(batch.cameras["matrix"][place]).all()
            np.testing.assert_array_equal(batch.points2d[place, :count], sample.points2d)
        else:
            assert LENSES[batch.cameras["lens"][place]] == sample.camera.lens
            for name in ("matrix", "distortion", "rotation", "translation"):
                np.testing.assert_array_equal(batch.cameras[name][place], getattr(sample.camera, name))
            wanted = sample.camera.project_seen(sample.points)
            np.testing.assert_allclose(batch.points2d[place, :count], wanted, rtol=1e-6)


def open_store_joints(store):
    assert len(store.union) == 17 + 24 + 17
    return store.batches(1).joints


def test_points_are_spread_over_the_union_only_when_asked(store):
    batch = store.batches(100, seed=2, shuffle="full")[1]
    whole = batch.to_union()
    assert whole.shape == (100, 58, 3)
    for place in range(100):
        there = batch.joints[place] >= 0
        np.testing.assert_array_equal(whole[place, batch.joints[place][there]], batch.points[place][there])
        assert np.isnan(np.delete(whole[place], batch.joints[place][there], axis=0)).all()
    assert batch.to_union(slice(3, 5), "visibility").shape == (2, 58)
    assert batch.to_union(np.array([7]), "points2d").shape == (1, 58, 2)


def test_only_the_columns_asked_for(store):
    batch = store.batches(10, columns=["points", "image"])[0]
    assert list(batch.numbers) == ["points"]
    assert list(batch.codes) == ["image"]
    assert not batch.cameras
    with pytest.raises(AttributeError, match="visibility"):
        _ = batch.visibility
    with pytest.raises(UnknownNameError, match="subject"):
        batch.text("subject")
    with pytest.raises(UnknownNameError, match="point"):
        store.batches(10, columns=["point"])
    with pytest.raises(InputError, match="shuffle"):
        store.batches(10, shuffle="some")
    with pytest.raises(InputError, match="size"):
        store.batches(0)
    with pytest.raises(InputError, match="pictures=True"):
        batch.images()


def test_packed_pictures_are_decoded(store):
    some = store.select(dataset="h36m")
    batch = some.batches(1200 - 2, pictures=True, shuffle=None)[0]
    images = batch.images()
    assert images[:698] == (None,) * 698
    assert images[699] is None
    for place, seed in ((698, 0), (700, 2), (701, 0)):
        assert images[place].shape == (32, 48, 3)
        assert np.abs(images[place].astype(int) - picture(seed)).max() < 4
    beforehand = list(some.batches(100, pictures="decoded", shuffle=None, workers=2))
    found = [image for batch in beforehand for image in batch.decoded]
    assert len(found) == 1198
    for got, wanted in zip(found, images, strict=True):
        assert (got is None and wanted is None) or np.array_equal(got, wanted)
    with pytest.raises(InputError, match="decoded"):
        some.batches(4, pictures="yes")


def small(**counts):
    streams = [Stream(dataset=name, count=n, weak_2d=name == "coco") for name, n in counts.items()]
    weak = counts.get("coco", 0)
    return Mixture(name="mine", batch_3d=sum(counts.values()) - weak, batch_2d=weak, streams=tuple(streams))


def test_a_mixture_gives_each_dataset_its_share_and_its_own_epochs(store):
    batches = store.batches(mixture=small(h36m=6, surreal=3, coco=4), seed=5)
    assert batches.counts == {"h36m": 6, "surreal": 3, "coco": 4}
    assert len(batches) == 200  # the 1198 samples of h36m, six at a time
    seen = {name: [] for name in store.datasets}
    for batch in batches:
        names = [batch.datasets[code] for code in batch.dataset]
        assert names == ["h36m"] * 6 + ["surreal"] * 3 + ["coco"] * 4
        for name, row in zip(names, batch.rows, strict=True):
            seen[name].append(row)
    sizes = {"h36m": 1198, "surreal": 299, "coco": 250}
    for name, rows in seen.items():
        for start in range(0, len(rows) - sizes[name] + 1, sizes[name]):
            assert len(set(rows[start : start + sizes[name]])) == sizes[name], name  # each epoch shows all


def test_a_batch_is_dataset_after_dataset_with_2d_labels_last(store):
    mixed = small(coco=4, surreal=2, h36m=3)
    batch = store.batches(mixture=mixed, shuffle="full")[3]
    names = [batch.datasets[code] for code in batch.dataset]
    assert names == ["surreal"] * 2 + ["h36m"] * 3 + ["coco"] * 4


@pytest.mark.parametrize("part", [slice(0, 5), slice(5, 13), slice(9, 13)])
def test_a_part_of_every_batch_is_what_the_whole_has_there(store, part):
    mixed = small(h36m=6, surreal=3, coco=4)
    for options in ({"mixture": mixed}, {"size": 13}):
        whole = store.batches(seed=2, steps=30, **options)
        for got, wanted in zip(store.batches(seed=2, steps=30, part=part, **options), whole, strict=True):
            assert got.step == wanted.step
            assert got.rows.tolist() == wanted.rows[part].tolist()
            assert got.points.tobytes() == wanted.points[part].tobytes()


def test_mixtures_train_on_the_splits_they_name(tmp_path):
    a = write(tmp_path / "a.h5", [block(30)], split="train")
    b = write(tmp_path / "b.h5", [block(30, seed=1)], split="test")
    merged = merge([a, b], tmp_path / "both.h5")
    mine = Mixture(
        name="m", batch_3d=4, batch_2d=0, streams=(Stream(dataset="h36m", count=4, splits=("train", "val")),)
    )
    assert {word for batch in merged.batches(mixture=mine) for word in batch.text("split").tolist()} == {"train"}
    other = Mixture(name="m", batch_3d=4, batch_2d=0, streams=(Stream(dataset="h36m", count=4, splits=("val",)),))
    with pytest.raises(InputError, match=r"h36m \(val\)"):
        merged.batches(mixture=other)


def test_missing_datasets_are_an_error_or_their_share_goes_to_the_others(store):
    with pytest.raises(InputError, match=r"lacks 4 of its 7.*muco_3dhp.*mpii.*jrdb.*posetrack18.*renormalise"):
        store.batches(mixture="small")
    with pytest.warns(UserWarning, match="h36m 48, surreal 48, coco 32"):
        batches = store.batches(mixture="small", renormalise=True)
    assert batches.counts == {"h36m": 48, "surreal": 48, "coco": 32}
    assert len(batches[0]) == 128
    with pytest.raises(InputError, match="dataset of 2D labels"):
        store.select(dataset="h36m").batches(mixture="small", renormalise=True)
    with pytest.raises(InputError, match="the mixture's 13, got 64"):
        store.batches(64, mixture=small(h36m=6, surreal=3, coco=4))


@settings(max_examples=50, deadline=None)
@given(weights=some.lists(some.integers(1, 40), min_size=1, max_size=30), size=some.integers(1, 200))
def test_largest_remainders(weights, size):
    counts = apportioned(weights, size)
    assert sum(counts) == size
    for weight, count in zip(weights, counts, strict=True):
        assert abs(count - weight * size / sum(weights)) < 1


@pytest.mark.parametrize(("name", "deep"), [("small", 3), ("medium", 14), ("full", 28)])
def test_the_papers_mixtures(name, deep):
    found = mixture(name)
    assert (found.batch_3d, found.batch_2d, found.size) == (96, 32, 128)
    assert sum(s.count for s in found.streams if not s.weak_2d) == 96
    assert sum(not s.weak_2d for s in found.streams) == deep
    assert {s.dataset: s.count for s in found.streams if s.weak_2d} == dict.fromkeys(
        ["coco", "mpii", "posetrack18", "jrdb"], 8
    )
    assert all("train" in s.splits for s in found.streams)
    more = {s.dataset for s in found.streams if len(s.splits) > 1}
    assert more <= {"surreal", "sail_vos", "aist_plusplus", "aspset_510", "agora", "jta", "rich", "coco"}
    assert more >= {"surreal", "coco"}


def test_ghost_batches_of_the_full_mixture_are_the_papers():
    """Groups of 16 neighbours, as the method sheet derives them from the paper's code."""
    full = mixture("full")
    slots = [full.streams[number].dataset for number in slots_of(full)]
    groups = [dict(Counter(slots[start : start + 16])) for start in range(0, 128, 16)]
    assert groups[0] == {"h36m": 4, "muco_3dhp": 6, "humbi": 5, "doh3d_50k": 1}
    assert groups[3] == {"people3d": 3, "sail_vos": 5, "bml_movi": 5, "mads": 2, "umpm": 1}
    assert groups[5] == {
        "behave": 3, "rich": 4, "spec": 2, "fit3d": 2, "chi3d": 1, "human_sc3d": 1, "hspace": 3
    }  # fmt: skip
    assert groups[6:] == [{"mpii": 8, "coco": 8}, {"jrdb": 8, "posetrack18": 8}]


def test_wrong_mixtures_are_refused(tmp_path):
    assert list(mixtures()) == ["full", "medium", "small"]
    with pytest.raises(UnknownNameError, match="medium"):
        mixture("medum")
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "m"\nbatch_3d = 5\nbatch_2d = 0\n[[streams]]\ndataset = "h36m"\ncount = 4\n', encoding="utf-8"
    )
    with pytest.raises(CardError, match=r"mine.toml.*add up to 4, expected 5"):
        mixture(path)


def test_numpys_numbers_are_numbers(store):
    for name in ("seed", "steps", "workers"):
        one, other = (store.batches(10, **{name: kind(1)})[0].rows for kind in (int, np.int64))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "options",
    [{"size": 2.5}, {"size": "3"}, {"steps": -1}, {"steps": 1.5}, {"workers": -1}, {"seed": "a"}, {"seed": None}],
)
def test_wrong_numbers_are_refused(store, options):
    with pytest.raises(InputError, match=f"{next(iter(options))}.*whole number"):
        store.batches(**{"size": 10, **options})
    with pytest.raises(InputError, match="step to go on at"):
        next(store.batches(10).iter(-1))


def test_more_at_once_than_there_are(store):
    assert [len(batch) for batch in store.batches(5000)] == [len(store)]
    for batch in store.batches(5000, steps=3):
        assert len(batch) == 5000
        assert set(batch.rows) == set(range(len(store)))


def test_a_part_of_a_batch_has_its_own_pictures(store):
    whole = store.select(dataset="h36m").batches(20, pictures="decoded")[40]
    part = whole.part(40, slice(3, 9))
    assert len(part.images()) == 6
    assert [image is None for image in part.images()] == [image is None for image in whole.images()[3:9]]


def test_a_damaged_picture_is_one_error(tmp_path):
    path = write(tmp_path / "a.h5", [block(4, pictures=(b"no picture",))])
    with pytest.raises(FileFormatError, match="JPEG"):
        open_store(path).batches(4, pictures=True)[0].images()
    with pytest.raises(FileFormatError, match="JPEG"):
        list(open_store(path).batches(4, pictures="decoded", workers=1))
