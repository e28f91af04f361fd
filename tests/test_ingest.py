"""Ingestion: what comes into the store, in which way the work is done, and how it stops, goes on and fails."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_dataset

from skelbridge.datasets import boxes, ingestion, packing, reader_class, readers
from skelbridge.datasets.cards import Boxes, Thinning
from skelbridge.datasets.checks import CheckError
from skelbridge.datasets.clean import Rules, clean
from skelbridge.datasets.ingestion import IngestError, ingest
from skelbridge.datasets.reader import Notes
from skelbridge.datasets.report import IngestReport, require_passed
from skelbridge.errors import InputError, UnknownNameError
from skelbridge.io import rle
from skelbridge.io.images import read_image
from skelbridge.io.tree import MissingFileError, Tree
from skelbridge.store import Samples, open_store
from skelbridge.store.index import read_index
from skelbridge.synthetic.scene import draw, virtual_scene


@pytest.fixture(autouse=True)
def known(monkeypatch):
    tiny_dataset.install(monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    tiny_dataset.write(root)
    return root


@pytest.fixture
def own(tmp_path):
    tiny_dataset.write(tmp_path / "in")
    return tmp_path / "in"


def take(root, out, **options):
    return ingest("tiny", root, out, progress=False, **options)


def card(monkeypatch, **changes):
    """The made-up dataset's card with other words."""
    monkeypatch.setattr(tiny_dataset, "CARD", tiny_dataset.CARD.model_copy(update=changes))
    tiny_dataset.install(monkeypatch)


def content(path):
    """All samples of a store as comparable rows, whatever their order."""
    store = open_store(path)
    return sorted(
        (s.split, s.sequence, s.view, s.person, s.frame, s.points.tobytes(), s.box.tobytes(), s.image) for s in store
    )


def log(root):
    """The parts that were read, in order."""
    return [json.loads(line) for line in (root / "log.txt").read_text().splitlines()]


def test_everything_that_the_reader_gives_comes_into_the_store(folder, tmp_path):
    report = take(folder, tmp_path / "a.h5", thin=False)
    reader = tiny_dataset.TinyReader(Tree(folder))
    given = [block for part in reader.parts() for block in reader.read(part)]
    store = open_store(tmp_path / "a.h5")
    assert len(store) == sum(map(len, given)) == sum(report.kept.values()) == 480
    for block in given:
        words = {name: block.text[name][0] for name in ("sequence", "view", "split")}
        found = store.select(**words)
        found = found[found.only(np.arange(len(found)))[:].person == block.person[0]]
        np.testing.assert_array_equal(found.points, block.points)
        np.testing.assert_array_equal(found.points2d, block.points2d)
        np.testing.assert_array_equal(found.frame, block.frame)
        np.testing.assert_allclose(found.world(), block.world(), atol=1e-3)
        assert found.text["subject"].tolist() == block.text["subject"].tolist()
    assert report.dropped == {"blinked": 4}
    assert report.remarks == ("the made-up dataset",)
    assert report.parts == 4
    assert all(check.passed for check in report.checks)
    assert str(report) == str(IngestReport.of(tmp_path / "a.h5"))


def test_training_is_thinned_and_what_is_judged_on_is_not(folder, tmp_path, monkeypatch):
    report = take(folder, tmp_path / "a.h5")
    assert report.kept["test"] == 120
    assert report.kept["train"] + report.dropped["moved too little since a kept frame"] == 360
    samples = open_store(tmp_path / "a.h5").select(split="train", sequence="seq0", view="1")[:]
    world = samples.world()[samples.person == 1]
    assert np.linalg.norm(np.diff(world, axis=0), axis=-1).max(axis=1).min() >= 100 - 1e-3
    card(monkeypatch, thinning=Thinning(rule="none", step=5, evaluation_step=10))
    report = take(folder, tmp_path / "b.h5")
    assert report.kept == {"train": 72, "test": 12}
    assert set(open_store(tmp_path / "b.h5")[:].frame) == {0, 5, 10, 15, 20, 25}
    assert take(folder, tmp_path / "c.h5", step=15).kept["train"] == 24
    assert sum(take(folder, tmp_path / "d.h5", thin=False).kept.values()) == 480


def test_only_some_splits_and_later_the_others(folder, tmp_path):
    assert set(take(folder, tmp_path / "a.h5", splits=["test"]).kept) == {"test"}
    assert set(take(folder, tmp_path / "a.h5").kept) == {"train", "test"}
    take(folder, tmp_path / "b.h5")
    assert content(tmp_path / "a.h5") == content(tmp_path / "b.h5")
    with pytest.raises(InputError, match=r"test, train.*vali"):
        take(folder, tmp_path / "c.h5", splits=["vali"])


def test_the_order_of_a_store_is_that_of_the_dataset_whoever_was_done_first(folder, tmp_path, monkeypatch):
    def backwards(plan, jobs, pool):
        for job in reversed(jobs):
            yield job, ingestion.run_job(plan, job)

    take(folder, tmp_path / "a.h5")
    take(folder, tmp_path / "b.h5", splits=["test"])
    take(folder, tmp_path / "b.h5")
    monkeypatch.setattr(ingestion, "_results", backwards)
    take(folder, tmp_path / "c.h5")
    one, *others = (read_index(tmp_path / f"{name}.h5").index for name in "abc")
    assert all(other.content == one.content for other in others)
    assert len(one.shards) > 2


def test_processes_give_the_same_store(folder, tmp_path):
    take(folder, tmp_path / "one.h5")
    take(folder, tmp_path / "two.h5", workers=2)
    assert content(tmp_path / "one.h5") == content(tmp_path / "two.h5")


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="needs distributed (pip install skelbridge[cluster])")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=3, dashboard_address=None, scheduler_kwargs={"dashboard": False}
    ) as running:
        yield running.scheduler_address


def test_a_dask_cluster_gives_the_same_store(folder, tmp_path, cluster):
    take(folder, tmp_path / "one.h5")
    report = take(folder, tmp_path / "two.h5", dask=cluster)
    assert content(tmp_path / "one.h5") == content(tmp_path / "two.h5")
    plain = IngestReport.of(tmp_path / "one.h5")
    assert (report.kept, report.dropped, report.checks) == (plain.kept, plain.dropped, plain.checks)


def test_a_dask_cluster_stops_and_fails_as_processes_do(own, tmp_path, cluster, monkeypatch):
    commit = ingestion.StoreWriter.commit

    def interrupted(self, record):
        commit(self, record)
        raise KeyboardInterrupt

    monkeypatch.setattr(ingestion.StoreWriter, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt, match="same command"):
        take(own, tmp_path / "a.h5", dask=cluster)
    monkeypatch.setattr(ingestion.StoreWriter, "commit", commit)
    assert len(open_store(tmp_path / "a.h5")) > 0
    (own / "test/seq3.npy").write_bytes(b"noise")
    (own / "train/seq1.npy").write_bytes(b"noise")
    with pytest.raises(IngestError, match="byte 17"):
        take(own, tmp_path / "b.h5", dask=cluster)
    with pytest.raises(InputError, match="scheduler"):
        take(own, tmp_path / "c.h5", dask="nonsense://x")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_part_is_one_error_that_names_it_and_the_work_goes_on_when_it_is_mended(own, tmp_path, workers):
    whole, out = tmp_path / "whole.h5", tmp_path / "a.h5"
    take(own, whole)
    (own / "log.txt").unlink()
    good = (own / "train/seq1.npy").read_bytes()
    (own / "train/seq1.npy").write_bytes(b"noise")
    with pytest.raises(IngestError) as caught:
        take(own, out, workers=workers)
    assert all(word in str(caught.value) for word in ("'train/seq1'", "train/seq1.npy", "byte 17", "same command"))
    assert "\n" not in str(caught.value)
    before = log(own)
    assert "train/seq0" in before
    assert len(open_store(out)) > 0
    (own / "train/seq1.npy").write_bytes(good)
    take(own, out, workers=workers)
    again = log(own)[len(before) :]
    assert "train/seq1" in again
    assert "train/seq0" not in again
    assert content(out) == content(whole)
    take(own, out)
    assert len(log(own)) == len(before) + len(again)  # all is done: nothing is read


def test_an_error_of_the_reader_itself_says_where(own, tmp_path):
    (own / "train/seq2.npy").write_bytes(b"\x93NUMPY garbage")
    with pytest.raises(IngestError, match=r"train/seq2.*Error.*\.py, line \d+"):
        take(own, tmp_path / "a.h5")


def test_a_worker_that_dies_is_one_error_and_nothing_is_lost(own, tmp_path):
    good = (own / "train/seq2.npy").read_bytes()
    (own / "train/seq2.npy").write_bytes(b"death")
    with pytest.raises(IngestError, match=r"worker.*memory.*goes on"):
        take(own, tmp_path / "a.h5", workers=1)
    (own / "train/seq2.npy").write_bytes(good)
    take(own, tmp_path / "a.h5", workers=1)
    take(own, tmp_path / "b.h5")
    assert content(tmp_path / "a.h5") == content(tmp_path / "b.h5")


COMMAND = """
import sys, pytest, tiny_dataset
from skelbridge.cli import main
if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        tiny_dataset.install(patch)
        sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_parent_that_is_killed(own, tmp_path):
    script, out = tmp_path / "command.py", tmp_path / "a.h5"
    script.write_text(COMMAND)
    here = Path(__file__).parent
    child = subprocess.Popen(
        [sys.executable, str(script), "ingest", "tiny", "--root", str(own), "--out", str(out), "--workers", "2",
         "--set", "slow=0.7"],
        env={**os.environ, "PYTHONPATH": f"{here.parent}{os.pathsep}{here}"},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (out.exists() and len(open_store(out))):
            time.sleep(0.02)
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        workers = [
            Path("/proc") / pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
    finally:
        child.kill()
        child.wait()
    assert len(workers) == 2
    while time.monotonic() < deadline and any(map(alive, workers)):
        time.sleep(0.02)
    assert not any(map(alive, workers))


def alive(process):
    """Whether a process of /proc still runs; who was adopted may stay as a zombie."""
    try:
        return (process / "stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("workers", ["0", "2"])
def test_ctrl_c_keeps_what_is_complete_and_the_same_command_goes_on(own, tmp_path, workers):
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    out = tmp_path / "a.h5"
    options = ["ingest", "tiny", "--root", str(own), "--out", str(out), "--workers", workers, "--set", "slow=0.7"]
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here.parent}{os.pathsep}{here}"}
    child = subprocess.Popen(
        [sys.executable, str(script), *options], env=environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (out.exists() and len(open_store(out))):
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, error = child.communicate(timeout=60)
    assert child.returncode == 130
    assert time.monotonic() - begun < 10
    assert error.strip().splitlines()[-1].endswith(f"what is complete is in {out}; the same command goes on from there")
    some = len(open_store(out))
    assert 0 < some < 404
    done = subprocess.run([sys.executable, str(script), *options], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    take(own, tmp_path / "b.h5", settings={"slow": "0.7"})
    assert content(out) == content(tmp_path / "b.h5")
    assert read_index(out).index.content == read_index(tmp_path / "b.h5").index.content  # the order, too
    assert not [f for f in (tmp_path / "a.h5.shards").iterdir() if f.suffix not in (".h5", "")]


def test_a_folder_that_is_not_the_dataset_says_what_was_looked_for_and_how_it_lies(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(MissingFileError) as caught:
        take(tmp_path / "in", tmp_path / "a.h5")
    words = ["seq*.npy", str(tmp_path / "in"), "{split}/{sequence}.npy", "Ask the tests. All below one folder."]
    assert all(word in str(caught.value) for word in words), caught.value
    with pytest.raises(MissingFileError, match="Ask the tests"):
        take(tmp_path / "nowhere", tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_a_file_that_is_missing_when_it_is_read_says_so_too(own, tmp_path):
    (own / "train/seq2.npy").write_bytes(b"gone")
    with pytest.raises(MissingFileError, match=r"train/seq2.*nowhere\.bin.*Ask the tests"):
        take(own, tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"skeleton": "smpl_24"}, "h36m_17"),
        ({"settings": {"falt": "mirror"}}, "fault"),
        ({"settings": {"slow": "much"}}, "float"),
        ({"pack": "whole"}, "crop"),
        ({"workers": -1}, "workers"),
        ({"workers": 2, "dask": "tcp://x"}, "workers"),
        ({"step": 0}, "step"),
        ({"detect": "yolo"}, "torchvision"),
    ],
)
def test_wrong_arguments_are_refused(folder, tmp_path, options, words):
    with pytest.raises((InputError, UnknownNameError), match=words):
        take(folder, tmp_path / "a.h5", **options)


def test_a_store_that_was_begun_otherwise_is_left_alone(folder, tmp_path):
    take(folder, tmp_path / "a.h5")
    before = content(tmp_path / "a.h5")
    for options, told in (
        ({"thin": False}, "{'thinning.rule': 'since_last'}, got {'thinning.rule': 'none'}"),
        ({"settings": {"bad": "9"}}, "{'settings.bad': None}, got {'settings.bad': '9'}"),
        ({"step": 2}, "{'thinning.step': 1}, got {'thinning.step': 2}"),
    ):
        with pytest.raises(InputError, match=f"begun otherwise: expected {told}"):
            take(folder, tmp_path / "a.h5", **options)
    assert content(tmp_path / "a.h5") == before


def test_going_on_cleans_by_the_rules_of_the_last_cleaning(folder, tmp_path):
    out = tmp_path / "a.h5"
    take(folder, out, settings={"bad": "9"}, splits=["train"])
    clean(out, Rules(longest=1.01, off=1))
    strict = open_store(out).reasons()
    assert take(folder, out, settings={"bad": "9"}, splits=["train"]).cleaned == strict
    assert strict != take(folder, tmp_path / "b.h5", settings={"bad": "9"}, splits=["train"]).cleaned


def test_a_dataset_that_fails_its_checks_is_a_loud_error_unless_forced(folder, tmp_path):
    out = tmp_path / "a.h5"
    with pytest.raises(CheckError, match=r"left and right.*mirrored.*seq\d, view.*--force"):
        take(folder, out, settings={"fault": "mirror"})
    with pytest.raises(CheckError):
        require_passed(out)
    with pytest.raises(CheckError):  # asking again does not help
        take(folder, out, settings={"fault": "mirror"})
    report = take(folder, out, settings={"fault": "mirror"}, force=True)
    assert report.forced == ("left and right",)
    assert "kept by force" in str(report)
    require_passed(out)
    assert take(folder, out, settings={"fault": "mirror"}).forced == report.forced


def test_readers_are_found_by_id():
    assert reader_class("tiny") is tiny_dataset.TinyReader
    with pytest.raises(UnknownNameError, match="no reader"):
        reader_class("tinny")
    with pytest.raises(UnknownNameError, match="no reader"):
        reader_class("ingest")  # a module, but none of a dataset
    assert readers() == sorted(readers())


# boxes


def flat(points, **given):
    return Samples.of("coco_17", points2d=points, **{"image_size": (200, 100), **given})


def corners(left, top, right, bottom):
    """A pose whose joints span a box."""
    points = np.full((1, 17, 2), np.nan)
    points[0, :2] = (left, top), (right, bottom)
    return points


def test_boxes_come_from_the_dataset_else_the_mask_else_the_points():
    mask = np.zeros((100, 200), bool)
    mask[10:40, 20:80] = True
    points = corners(50, 30, 70, 80)
    given = boxes.with_boxes(flat(points, box=(1, 2, 30, 40), masks=[rle.encode(mask)]), Boxes())
    np.testing.assert_allclose(given.box, [[1, 2, 30, 40]])
    masked = boxes.with_boxes(flat(points, masks=[rle.encode(mask)]), Boxes())
    np.testing.assert_allclose(masked.box, [[19.5, 9.5, 60, 30]])
    around = boxes.with_boxes(flat(points), Boxes(expand=1.1))
    np.testing.assert_allclose(around.box, [[49, 27.5, 22, 55]], atol=1e-4)


def test_boxes_are_clipped_to_the_picture():
    left = boxes.with_boxes(flat(corners(-50, 20, 60, 120)), Boxes(expand=1))
    np.testing.assert_allclose(left.box, [[-0.5, 20, 60.5, 79.5]])
    assert np.isnan(boxes.with_boxes(flat(corners(250, 20, 300, 80)), Boxes()).box).all()
    unknown = boxes.with_boxes(flat(corners(250, 20, 300, 80), image_size=(0, 0)), Boxes(expand=1))
    np.testing.assert_allclose(unknown.box, [[250, 20, 50, 60]])


def test_people_outside_the_picture_and_small_ones_are_dropped_and_counted(folder, tmp_path, monkeypatch):
    card(monkeypatch, boxes=Boxes(min_side=75))
    report = take(folder, tmp_path / "a.h5", thin=False)
    assert report.dropped["too small in the picture"] == 480 - sum(report.kept.values())
    store = open_store(tmp_path / "a.h5")
    assert store.select(split="train")[:].box[:, 2:].min() >= 75
    assert len(store.select(split="test")) == 120  # what is judged on stays
    assert store.select(split="test")[:].box[:, 2:].min() < 75


def test_detections_are_matched_one_to_one_by_overlap():
    people = np.array([[0, 0, 10, 20], [8, 0, 10, 20], [100, 0, 10, 20], [50, 0, 4, 4]], float)
    found = np.array([[9, 1, 10, 20], [1, 1, 10, 20], [300, 0, 10, 20], [45, 0, 40, 40]], float)
    matched = boxes.matched(people, found)
    np.testing.assert_array_equal(matched, [found[1], found[0], people[2], people[3]])
    np.testing.assert_array_equal(boxes.matched(people, np.zeros((0, 4))), people)
    assert boxes.overlap([[0, 0, 10, 10]], [[5, 0, 10, 10]])[0, 0] == pytest.approx(1 / 3)


def test_a_detector_gives_the_boxes(tmp_path, monkeypatch):
    tiny_dataset.write(tmp_path / "in", sequences=2, frames=5, people=1, pictures="png")
    take(tmp_path / "in", tmp_path / "plain.h5", thin=False)
    known = open_store(tmp_path / "plain.h5")[:].box.astype(float)
    of_picture = {}
    for row, box in zip(open_store(tmp_path / "plain.h5"), known, strict=True):
        with Tree(tmp_path / "in").open(row.image) as stream:
            of_picture[read_image(stream, row.image).tobytes()] = box

    def fake(name):
        return lambda picture: np.array([of_picture[picture.tobytes()] + [2, 3, 0, 0], [0, 0, 5, 5]])

    monkeypatch.setattr(ingestion, "detector", fake)
    ingestion._detector.cache_clear()
    take(tmp_path / "in", tmp_path / "a.h5", thin=False, detect="torchvision")
    ingestion._detector.cache_clear()
    found = open_store(tmp_path / "a.h5")[:].box
    shifted = boxes.clipped(known + np.array([2.0, 3, 0, 0]), np.tile([480, 360], (len(known), 1)))
    np.testing.assert_allclose(found, shifted, atol=1e-3)


# pictures


@pytest.mark.parametrize("kind", ["png", "mp4"])
def test_packed_pictures_show_the_person_where_the_points_are(tmp_path, kind):
    tiny_dataset.write(tmp_path / "in", sequences=2, frames=6, pictures=kind)
    take(tmp_path / "in", tmp_path / "a.h5", thin=False, pack="crop")
    scene = virtual_scene(2, 6, seed=0)
    for row in open_store(tmp_path / "a.h5"):
        if row.sequence != "seq0":
            continue
        packed = read_image(io.BytesIO(row.picture), "packed").astype(float)
        image = draw(tiny_dataset.CAMERAS[int(row.view)], scene, row.frame, tiny_dataset.SIZE)[0].astype(float)
        longer = row.box[2:].max()
        assert row.crop[2] == pytest.approx(min(1.2, 384 / longer))
        ys, xs = np.mgrid[0 : packed.shape[0], 0 : packed.shape[1]]
        x, y = xs / row.crop[2] + row.crop[0], ys / row.crop[2] + row.crop[1]
        assert x.min() > -0.5
        assert x.max() < 479.5
        near = image[np.round(y).astype(int).clip(0, 359), np.round(x).astype(int).clip(0, 479)]
        assert np.abs(near - packed).mean() < 6  # edges differ, surfaces do not
        shifted = np.roll(near, 4, axis=1)
        assert np.abs(near - packed).mean() < 0.7 * np.abs(shifted - packed).mean()


def test_what_training_may_see_stays_inside_the_crop():
    size, box = (4000, 4000), np.array([1800.0, 1700, 200, 400])
    left, top, right, bottom = packing.region(box, size)
    rng = np.random.default_rng(0)
    for _ in range(200):
        side = 400 / rng.uniform(0.75, 1.25)
        shift = 0.1 * 400 * np.sqrt(rng.random()) * np.exp(2j * np.pi * rng.random())
        turn = np.exp(1j * np.radians(rng.uniform(-30, 30)))
        seen = 1900 + 1900j + shift + side / 2 * np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]) * turn
        assert left <= seen.real.min()
        assert right >= seen.real.max()
        assert top <= seen.imag.min()
        assert bottom >= seen.imag.max()
    np.testing.assert_allclose(packing.region(box, (1900, 1800))[2:], [1899.5, 1799.5])


def test_pictures_shrink_in_linear_light():
    board = np.zeros((1000, 1000, 3), np.uint8)
    board[(np.indices((1000, 1000)).sum(axis=0) % 2) == 0] = 255
    packed, crop = packing.cut(board, np.array([300.0, 300, 400, 400 * 2]))
    assert crop[2] == pytest.approx(384 / 800)
    grey = read_image(io.BytesIO(packed), "packed")
    middle = grey[50:-50, 50:-50]
    assert middle.mean() == pytest.approx(255 * 0.5 ** (1 / 2.2), abs=2)  # not 127
    assert middle.std() < 12


def test_a_video_is_decoded_once_and_its_frames_fit(tmp_path, monkeypatch):
    tiny_dataset.write(tmp_path / "in", sequences=2, frames=8, pictures="mp4")
    begun = []
    frames = packing.Video.frames
    monkeypatch.setattr(packing.Video, "frames", lambda self, wanted: begun.append(self) or frames(self, wanted))
    take(tmp_path / "in", tmp_path / "a.h5", pack="crop")
    assert len(begun) == 4  # two sequences, two cameras


def test_missing_and_broken_pictures_are_counted_and_dropped_on_request(tmp_path):
    root = tmp_path / "in"
    tiny_dataset.write(root, sequences=2, frames=4, people=1, pictures="png")
    (root / "images/seq0_0_001.png").unlink()
    (root / "images/seq0_1_002.png").write_bytes(b"no picture")
    report = take(root, tmp_path / "a.h5", pack="crop", thin=False)
    assert sum(report.kept.values()) == 16
    assert report.repaired == {"picture is missing: kept without": 1, "picture cannot be decoded: kept without": 1}
    assert any("seq0_0_001.png" in remark for remark in report.remarks)
    store = open_store(tmp_path / "a.h5")
    assert [(s.view, s.frame) for s in store if s.picture is None] == [("0", 1), ("1", 2)]
    fewer = take(root, tmp_path / "b.h5", pack="crop", thin=False, need_pictures=True)
    assert sum(fewer.kept.values()) == 14
    assert fewer.dropped == {"blinked": 2, "picture is missing": 1, "picture cannot be decoded": 1}
    assert fewer.repaired == {}
    there = take(root, tmp_path / "c.h5", thin=False, need_pictures=True)
    assert there.dropped == {"blinked": 2, "picture is missing": 1}  # not decoded
    assert sum(there.kept.values()) == 15


def test_pictures_of_another_size_than_the_labels_say_are_not_taken(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs pillow (pip install skelbridge[data])")
    (tmp_path / "half.png").parent.mkdir(exist_ok=True)
    image.new("RGB", (100, 50)).save(tmp_path / "half.png")
    notes = Notes()
    samples = flat(corners(10, 10, 90, 40), image="half.png", box=(0, 0, 90, 40))
    found = packing.with_pictures(samples, Tree(tmp_path), notes, crop=True, detector=None)
    assert found.pictures == (None,)
    assert notes.repaired
    unsized = flat(corners(10, 10, 90, 40), image="half.png", box=(0, 0, 90, 40), image_size=(0, 0))
    found = packing.with_pictures(unsized, Tree(tmp_path), notes, crop=True, detector=None)
    assert found.pictures[0] is not None
    assert found.image_size.tolist() == [[100, 50]]


def test_a_dataset_of_which_nothing_is_kept_is_an_error(tmp_path, monkeypatch):
    tiny_dataset.install(monkeypatch)
    tiny_dataset.write(tmp_path / "tiny", sequences=2, frames=3)
    monkeypatch.setattr("skelbridge.datasets.ingestion.too_small", lambda samples, rules: np.ones(len(samples), bool))
    with pytest.raises(CheckError, match=r"samples: none was kept; dropped: too small in the picture"):
        ingest("tiny", tmp_path / "tiny", tmp_path / "a.h5", splits=["train"], progress=False)
