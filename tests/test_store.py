"""The store: what is written is read, bit for bit; views, selections, rows left out, processes."""

import multiprocessing
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import h5py
import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from stores import assert_same, block, cameras, write

from skelbridge.errors import FileFormatError, InputError, UnknownNameError
from skelbridge.store import JobRecord, JobWriter, Samples, StoreWriter, merge, open_store, set_dropped, verify
from skelbridge.store import index as index_module
from skelbridge.store.samples import TEXT, Words
from skelbridge.store.schema import CAMERAS, NUMBERS, Sample, field_table
from skelbridge.synthetic.scene import ring, virtual_scene

FLOATS = some.floats(width=32, allow_nan=True)
WORD = some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@some.composite
def any_samples(draw):
    count, joints = draw(some.integers(1, 12)), 17
    known = cameras(draw(some.integers(0, 4)))

    def array(shape, dtype, values=None):
        return draw(arrays.arrays(dtype, (count, *shape), elements=values))

    def packed():
        return tuple(
            draw(some.lists(some.none() | some.binary(min_size=1, max_size=9), min_size=count, max_size=count))
        )

    deep, flat = draw(some.sampled_from([(True, True), (True, False), (False, True)]))
    return Samples(
        skeleton=block(1).skeleton,
        points=array((joints, 3), np.float32, FLOATS) if deep else None,
        points2d=array((joints, 2), np.float32, FLOATS) if flat else None,
        visibility=array((joints,), np.uint8),
        cameras=tuple(known),
        camera=array((), np.int32, some.integers(-1, len(known) - 1)),
        world_known=array((), np.bool_),
        frame=array((), np.int32),
        person=array((), np.int32),
        video_frame=array((), np.int32),
        image_size=array((2,), np.int32),
        box=array((4,), np.float32, FLOATS),
        masks=packed(),
        pictures=packed(),
        crop=array((3,), np.float32, FLOATS),
        text={
            name: Words.of("" if name == "split" else draw(some.lists(WORD, min_size=count, max_size=count)), count)
            for name in TEXT
        },
    )


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(samples=any_samples(), data=some.data())
def test_any_samples_come_back_bit_for_bit(tmp_path_factory, samples, data):
    path = write(tmp_path_factory.mktemp("any") / "a.h5", [samples], split="val")
    store = open_store(path)
    assert_same(store[:], samples, "val")
    rows = np.array(data.draw(some.lists(some.integers(-len(samples), len(samples) - 1), min_size=1, max_size=9)))
    assert_same(store[rows], samples[rows], "val")
    assert verify(path) == []


def test_samples_pass_through_many_shards_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("skelbridge.store.writer.MAX_ROWS", 100)
    one, two = block(350, seed=1), block(77, seed=2)
    store = open_store(write(tmp_path / "a.h5", [one, two]))
    assert [len(piece) for piece in store.pieces] == [100, 100, 100, 50, 77]
    whole = Samples.joined([one, two])
    assert_same(store[:], whole, "train")
    assert_same(store[95:305:3], whole[95:305:3], "train")
    rows = np.random.default_rng(0).integers(427, size=200)
    assert_same(store[rows], whole[rows], "train")
    assert_same(Samples.joined(list(store.blocks(64))), whole, "train")
    assert max(len(each) for each in store.blocks(64)) == 64
    numbers, local = store.where(np.array([426, 0, 350, 99]))
    assert numbers.tolist() == [4, 0, 4, 0]
    assert local.tolist() == [76, 0, 0, 99]


def test_shards_are_bounded_by_bytes_too(tmp_path, monkeypatch):
    monkeypatch.setattr("skelbridge.store.writer.MAX_BYTES", 100_000)
    store = open_store(write(tmp_path / "a.h5", [block(2000)]))
    sizes = [sum(place.nbytes for place in columns(piece)) for piece in store.pieces]
    assert len(sizes) > 5
    assert max(sizes) < 110_000
    assert_same(store[:], block(2000), "train")


def columns(piece):
    return [piece.mapped.column(name) for name in NUMBERS if piece.mapped.has(name)]


def test_one_sample_is_a_model_with_everything(tmp_path):
    samples = block(5, pictures=(b"jpeg", None), activity="walks", view="left")
    store = open_store(write(tmp_path / "a.h5", [samples]))
    one = store[-2]
    assert isinstance(one, Sample)
    assert (one.row, one.dataset, one.split, one.activity, one.view, one.image) == (
        3,
        "h36m",
        "train",
        "walks",
        "left",
        "a/3.jpg",
    )
    assert one.picture is None
    assert store[2].picture == b"jpeg"
    np.testing.assert_array_equal(one.points, samples.points[3])
    assert one.camera.lens == "opencv"
    assert Sample.model_validate(one.__dict__).frame == 3
    assert [each.frame for each in store] == [0, 1, 2, 3, 4]
    with pytest.raises(IndexError, match="5 samples"):
        store[5]
    with pytest.raises(InputError, match="whole numbers"):
        store[np.array([0.5])]


def test_the_files_are_plain_hdf5_that_others_can_read(tmp_path):
    samples = block(50)
    store = open_store(write(tmp_path / "a.h5", [samples]))
    with h5py.File(store.pieces[0].file.path) as file:
        np.testing.assert_array_equal(file["points"][:], samples.points)
        codes, words = file["text/image"][:], file["words/image"][:]
        assert [words[code].decode() for code in codes] == samples.text["image"].tolist()
        assert file["cameras/distortion"].shape == (3, CAMERAS["distortion"][1][0])
        assert file.userblock_size == 512


def test_selecting_by_word(tmp_path):
    path = write(tmp_path / "a.h5", [block(70, subject="S1"), block(70, seed=1, subject=["S1", "S2"] * 35)])
    store = open_store(path)
    two = store.select(subject="S2")
    assert len(two) == 35
    assert set(two[:].text["subject"].tolist()) == {"S2"}
    np.testing.assert_array_equal(two[:].frame, np.arange(1, 70, 2))
    both = store.select(subject=["S1", "S2"], sequence="walk 1", dataset="h36m", split="train")
    assert len(both) == 14
    assert both[3].frame == 10
    assert two.words("sequence") == [f"walk {n}" for n in range(10)]
    assert store.words("subject") == ["S1", "S2"]
    assert len(two.only([0, 3, 34])) == 3
    assert [each.frame for each in two.only([0, 3, 34])] == [1, 7, 69]
    with pytest.raises(UnknownNameError, match=r"no sequence 'wlak 3'.*walk 3"):
        store.select(sequence="wlak 3")
    with pytest.raises(UnknownNameError, match=r"no split 'trian'.*train"):
        store.select(split="trian")
    with pytest.raises(UnknownNameError, match="subject"):
        store.select(person="S1")


def test_choosing_a_dataset_or_split_opens_no_shard(tmp_path):
    path = write(tmp_path / "a.h5", [block(10)])
    for shard in (tmp_path / "a.h5.shards").glob("*.h5"):
        shard.unlink()
    store = open_store(path).select(dataset="h36m", split="train")
    assert len(store) == 10
    with pytest.raises(FileFormatError, match="no such file"):
        store[0]


def test_2d_and_3d_shards_of_one_skeleton_read_together(tmp_path):
    deep, flat = block(5, "coco_17"), block(4, "coco_17", flat=True, seed=1)
    both = open_store(write(tmp_path / "a.h5", [deep, flat]))[:]
    np.testing.assert_array_equal(both.points[:5], deep.points)
    assert np.isnan(both.points[5:]).all()
    np.testing.assert_array_equal(both.points2d[5:], flat.points2d)
    assert np.isnan(both.points2d[:5]).all()


def test_rows_that_cleaning_leaves_out(tmp_path):
    path = write(tmp_path / "a.h5", [block(50), block(30, seed=1)])
    before = open_store(path)
    mask = np.arange(30) >= 20
    set_dropped(path, {"no joints": [3, 4, 55], "too long": {before.pieces[1].key: mask}}, {"least": 4})
    store = open_store(path)
    assert len(store) == 80 - 3 - 10
    assert store.reasons() == {"no joints": 3, "too long": 10}
    assert store.settings == {"least": 4}
    assert [each.frame for each in store][2:5] == [2, 5, 6]
    assert store[:].frame.tolist() == [*range(3), *range(5, 50), *range(5), *range(6, 20)]
    assert len(open_store(path, dropped=True)) == len(before) == 80
    set_dropped(path, {"first": [3], "second": [3, 4]})
    assert open_store(path).reasons() == {"first": 1, "second": 1}
    with StoreWriter(path, dataset="h36m", skeleton="h36m_17") as writer:
        job = JobWriter(path, "later", "h36m", "train", "h36m_17")
        job.add(block(5))
        writer.commit(job.finish(["later"]))
    assert len(open_store(path)) == 83
    set_dropped(path, {})
    assert len(open_store(path)) == 85
    with pytest.raises(InputError, match="shape"):
        set_dropped(path, {"x": {before.pieces[0].key: mask}})
    with pytest.raises(InputError, match="no such shard"):
        set_dropped(path, {"x": {"strange.h5": mask}})


def test_a_store_that_was_opened_before_keeps_showing_what_it_had(tmp_path):
    path = write(tmp_path / "a.h5", [block(10)])
    before = open_store(path)
    with StoreWriter(path, dataset="h36m", skeleton="h36m_17") as writer:
        job = JobWriter(path, "later", "h36m", "train", "h36m_17")
        job.add(block(5))
        record = job.finish(["later"], {"dropped": {"no box": 2}, "remarks": ["a", "b"]})
        assert len(open_store(path)) == 10  # nothing is visible yet
        writer.commit(JobRecord.model_validate_json(record.model_dump_json()))
        assert writer.done == {"part 0", "later"}
        with pytest.raises(InputError, match="new"):
            writer.commit(record)
    assert len(before) == 10
    assert_same(before[:], block(10), "train")
    assert len(open_store(path)) == 15


def test_reports_are_merged(tmp_path):
    path = tmp_path / "a.h5"
    with StoreWriter(path, dataset="h36m", skeleton="h36m_17") as writer:
        for n, report in enumerate(
            [{"dropped": {"x": 1}, "notes": ["a"]}, {"dropped": {"x": 2, "y": 1}, "notes": ["b", "a"]}]
        ):
            writer.commit(JobWriter(path, f"{n}", "h36m", "train", "h36m_17").finish([f"{n}"], report))
        assert writer.reports() == {"dropped": {"x": 3, "y": 1}, "notes": ["a", "b"]}
    assert len(open_store(path)) == 0


def test_going_on_with_another_purpose_is_an_error_that_says_what_differs(tmp_path):
    path = write(tmp_path / "a.h5", [block(3)], thin=100)
    with pytest.raises(InputError, match=r"thin.*100.*thin.*50.*to start anew"):
        StoreWriter(path, dataset="h36m", skeleton="h36m_17", about={"thin": 50})
    with pytest.raises(InputError, match="coco_17"):
        StoreWriter(path, dataset="h36m", skeleton="coco_17", about={"thin": 100})
    with StoreWriter(path, dataset="h36m", skeleton="h36m_17", about={"thin": 100}, root="/elsewhere") as writer:
        assert writer.done == {"part 0"}
    assert open_store(path)[0].root == "/elsewhere"


def test_wrong_samples_are_refused_and_say_why(tmp_path):
    path = tmp_path / "a.h5"
    with StoreWriter(path, dataset="h36m", skeleton="h36m_17") as writer:
        job = JobWriter(path, "one", "h36m", "train", "h36m_17")
        with pytest.raises(InputError, match="coco_17"):
            job.add(block(3, "coco_17"))
        with pytest.raises(InputError, match="val"):
            job.add(block(3, split="val"))
        with pytest.raises(InputError, match="zero bytes"):
            job.add(block(3, subject="a\0b"))
        with pytest.raises(InputError, match="text"):
            job.add(block(3, subject="\ud800"))
        with pytest.raises(InputError, match="bytes, or None"):
            job.add(replace(block(2), masks=(b"", None)))
        other = JobWriter(path, "two", "coco", "train", "h36m_17")
        other.add(block(3))
        with pytest.raises(InputError, match="coco"):
            writer.commit(other.finish(["two"]))


def test_user_cards_travel_with_the_store(tmp_path, monkeypatch):
    card = block(1).skeleton.model_copy(update={"id": "mine_17", "aliases": ()})
    samples = replace(block(4), skeleton=card)
    assert open_store(write(tmp_path / "a.h5", [samples]))[0].skeleton.names == card.names


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_store_goes_to_other_processes(tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    store = open_store(write(tmp_path / "a.h5", [block(300)])).select(sequence=["walk 3", "walk 4"])
    assert store[0].frame == 21  # opened here as well
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(store.__getitem__, [0, 5, 13])[1].frame == 26
    assert pickle.loads(pickle.dumps(store))[1].frame == 22


def test_many_shards_need_few_file_handles(tmp_path, monkeypatch):
    monkeypatch.setattr("skelbridge.store.writer.MAX_ROWS", 2)
    monkeypatch.setattr("skelbridge.store.shard.MAX_OPEN", 5)
    store = open_store(write(tmp_path / "a.h5", [block(80)]))
    assert len(store.pieces) == 40
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for row in np.random.default_rng(0).integers(80, size=200):
        assert store[int(row)].frame == row
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= before + 5


def test_opening_reads_no_columns_and_no_h5py_is_imported_before(tmp_path):
    write(tmp_path / "a.h5", [block(10)])
    code = (
        "import sys, skelbridge.store; print([n for n in ('h5py', 'torch', 'PIL', 'matplotlib') if n in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_table_of_fields_in_the_documents_is_that_of_the_model():
    from benchmarks.report import ROOT

    text = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    assert "\n".join(field_table()) in text
    assert set(Sample.model_fields) >= set(TEXT)


def test_a_store_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    monkeypatch.setattr("skelbridge.store.writer.SCHEMA", 3)
    StoreWriter(path, dataset="x", skeleton="h36m_17").close()
    with pytest.raises(FileFormatError, match=r"newer skelbridge.*up to 2, got 3"):
        open_store(path)
    assert index_module.SCHEMA == 2


def test_a_sample_tells_its_world_and_its_reader_in_a_line(tmp_path):
    world = virtual_scene(1, 4).joints("h36m_17")[:, 0]
    camera = ring(1, focal=500.0, size=(640, 480))[0]
    samples = Samples.of("h36m_17", world=world, camera=camera, image="a.mp4", video_frame=np.arange(4), split="train")
    with (
        StoreWriter(tmp_path / "a.h5", dataset="d", skeleton="h36m_17", about={"reader": 7}) as writer,
        JobWriter(tmp_path / "a.h5", "job", "d", "train", "h36m_17") as job,
    ):
        job.add(samples)
        writer.commit(job.finish(["all"]))
    sample = open_store(tmp_path / "a.h5")[2]
    np.testing.assert_allclose(sample.world, world[2], atol=1e-3)
    assert sample.reader == 7
    assert repr(sample) == "<Sample 2: d, h36m_17, train, a.mp4, frame 2, person 0>"
    assert repr(sample.skeleton) == "<Skeleton h36m_17: 17 joints>"


def test_rows_that_are_not_there_are_named(tmp_path):
    store = open_store(write(tmp_path / "a.h5", [block(20)]))
    for rows, told in ((20, "20"), (-21, "-21"), (2**70, str(2**70)), ([0, -100], "-100"), ([2**63], str(2**63))):
        with pytest.raises(IndexError, match=rf"20 samples; there is no {told} "):
            _ = store[rows]
    assert store[-20].row == 0
    for rows, error in ((True, IndexError), (1.5, TypeError), ([0.5], InputError), (np.ones(19, bool), InputError)):
        with pytest.raises(error):
            _ = store[rows]


def test_no_rows_of_2d_points_are_2d_points(tmp_path):
    none = open_store(write(tmp_path / "a.h5", [block(5, flat=True)]))[:0]
    assert none.points is None
    assert none.points2d.shape == (0, 17, 2)


def test_selecting_by_what_no_sample_says(tmp_path):
    path = write(tmp_path / "a.h5", [block(10, subject=["S1"] * 5 + ["S2"] * 5)])
    with pytest.raises(InputError, match=r"subject.*got 1"):
        open_store(path).select(subject=1)
    with pytest.raises(InputError, match=r"subject.*got 3"):
        open_store(path).select(subject=["S1", 3])
    with pytest.raises(UnknownNameError, match="'frame' to select by"):
        open_store(path).select(frame=3)
    set_dropped(path, {"bad": range(5)})
    with pytest.raises(UnknownNameError, match=r"'S1': expected one such as S2"):
        open_store(path).select(subject="S1")
    set_dropped(path, {"bad": range(10)})
    with pytest.raises(UnknownNameError, match=r"'h36m': got no samples"):
        open_store(path).select(dataset="h36m")


@pytest.mark.skipif(os.name != "posix", reason="makes symbolic links")
def test_a_symbolic_link_to_a_store_is_that_store(tmp_path):
    path = write(tmp_path / "data" / "a.h5", [block(10)])
    link = tmp_path / "link.h5"
    link.symlink_to(path)
    assert_same(open_store(link)[:], block(10), "train")
    set_dropped(link, {"bad": [1]})
    write_more = StoreWriter(link, dataset="h36m", skeleton="h36m_17")
    with write_more, JobWriter(link, "more", "h36m", "train", "h36m_17") as job:
        job.add(block(5, seed=1))
        write_more.commit(job.finish(["more"]))
    assert link.is_symlink()
    assert len(open_store(path)) == 14
    assert verify(link) == []
    with pytest.raises(InputError, match="twice"):
        merge([link, path], tmp_path / "m.h5")
    assert len(merge([link], tmp_path / "m.h5")) == 14


def test_a_known_place_in_the_world_needs_a_camera():
    with pytest.raises(InputError, match=r"place in the world.*a camera"):
        Samples.of("h36m_17", points=np.zeros((2, 17, 3)), world_known=[False, True])
