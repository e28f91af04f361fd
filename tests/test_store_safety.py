"""The store under attack: killed writers, full disks, damaged and hostile files, two writers at once."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from stores import assert_same, block, write

from skelbridge.errors import FileFormatError, InputError, SkelbridgeError
from skelbridge.store import JobWriter, StoreWriter, merge, migrate, open_store, sealed, set_dropped, verify
from skelbridge.store.index import Cleaning, Dropped, Index, IndexFile, Member, read_index, shards_folder
from skelbridge.store.sealed import Column

WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from stores import block
from skelbridge.store import JobWriter, StoreWriter
path = Path(sys.argv[1])
with StoreWriter(path, dataset="h36m", skeleton="h36m_17") as writer:
    print("started", flush=True)
    for number in range(40):
        if f"part {{number}}" not in writer.done:
            with JobWriter(path, f"job {{number}}", "h36m", "train", "h36m_17") as job:
                for half in range(2):
                    job.add(block(60, seed=2 * number + half, pictures=(b"picture" * 300,)))
                writer.commit(job.finish([f"part {{number}}"]))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "writer.py"
    path.write_text(WRITER.format(tests=os.path.dirname(__file__)), encoding="utf-8")
    return path


def test_a_writer_killed_at_any_time_loses_and_doubles_nothing(tmp_path, script):
    path, chance, seen, kills = tmp_path / "a.h5", random.Random(1), 0, 0
    for _ in range(60):
        process = subprocess.Popen([sys.executable, str(script), str(path)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.12))
        process.send_signal(signal.SIGKILL)
        ended = process.wait()
        process.stdout.close()
        kills += ended != 0
        store = open_store(path)
        assert len(store) >= seen
        assert len(store) % 120 == 0
        seen = len(store)
        if seen:
            assert_same(store[seen - 60 :], block(60, seed=seen // 60 - 1, pictures=(b"picture" * 300,)), "train")
        if ended == 0:
            break
    else:
        subprocess.run([sys.executable, str(script), str(path)], check=True)
    assert kills > 3
    store = open_store(path)
    assert len(store) == 40 * 120
    for number, samples in enumerate(store.blocks(60)):
        assert_same(samples, block(60, seed=number, pictures=(b"picture" * 300,)), "train")
    StoreWriter(path, dataset="h36m", skeleton="h36m_17").close()  # removes what the last kill may have left
    assert verify(path) == []
    assert len(list(shards_folder(path).iterdir())) == 40


class FullDisk:
    """Stands in for a file: refuses to write beyond some bytes, as a full disk does."""

    def __init__(self, stream, room):
        self._stream, self._room = stream, room

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, content):
        if self._room[0] < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room[0] -= len(content)
        return self._stream.write(content)


@pytest.mark.parametrize("room", [0, 100, 5_000, 40_000, 79_000])
def test_a_full_disk_is_one_error_and_what_was_committed_stays(tmp_path, monkeypatch, room):
    path = write(tmp_path / "a.h5", [block(50)])
    before = sorted(os.listdir(shards_folder(path)))
    real, left = sealed._write_column, [room]

    def limited(stream, *arguments):
        real(FullDisk(stream, left), *arguments)

    with StoreWriter(path, dataset="h36m", skeleton="h36m_17") as writer:
        monkeypatch.setattr(sealed, "_write_column", limited)
        job = JobWriter(path, "more", "h36m", "train", "h36m_17")
        job.add(block(300))
        with pytest.raises(SkelbridgeError, match=r"cannot be written: got a full disk.*stays"):
            writer.commit(job.finish(["more"]))
        assert sorted(os.listdir(shards_folder(path))) == before
        monkeypatch.setattr(sealed, "_write_column", real)
        again = JobWriter(path, "more", "h36m", "train", "h36m_17")
        again.add(block(300))
        writer.commit(again.finish(["more"]))
    assert len(open_store(path)) == 350
    assert verify(path) == []


LIMITED = """
import resource, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from stores import block
from skelbridge.errors import SkelbridgeError
from skelbridge.store import JobWriter, StoreWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
writer = StoreWriter(path, dataset="h36m", skeleton="h36m_17")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
job = JobWriter(path, "more", "h36m", "train", "h36m_17")
try:
    job.add(block(2000, pictures=(b"picture" * 100,)))
    writer.commit(job.finish(["more"]))
except SkelbridgeError as error:
    print("refused:", error)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system limits no file sizes")
@pytest.mark.parametrize("limit", [0, 1000, 3000, 100_000, 700_000])
def test_a_disk_that_refuses_in_earnest(tmp_path, limit):
    path = write(tmp_path / "a.h5", [block(50)])
    script = tmp_path / "limited.py"
    script.write_text(LIMITED.format(tests=os.path.dirname(__file__)), encoding="utf-8")
    found = subprocess.run([sys.executable, str(script), str(path), str(limit)], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert "refused:" in found.stdout
    assert len(open_store(path)) == 50
    StoreWriter(path, dataset="h36m", skeleton="h36m_17").close()
    assert verify(path) == []


READER = """
import sys
from skelbridge.store import open_store
counts = [0]
while counts[-1] < 210:
    counts.append(len(open_store(sys.argv[1])))
    print(counts[-1], flush=True)
assert counts == sorted(counts), counts
"""


def test_a_reader_is_not_disturbed_by_a_writer(tmp_path):
    path = write(tmp_path / "a.h5", [block(10)])
    reader = subprocess.Popen([sys.executable, "-c", READER, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert reader.stdout.readline() == b"10\n"
    with StoreWriter(path, dataset="h36m", skeleton="h36m_17") as writer:
        for number in range(1, 201):
            with JobWriter(path, f"more {number}", "h36m", "train", "h36m_17") as job:
                job.add(block(1))
                writer.commit(job.finish([f"more {number}"]))
    assert reader.communicate(timeout=60)[1] == b""
    assert reader.returncode == 0


def test_one_writer_at_a_time(tmp_path, script):
    path = tmp_path / "a.h5"
    with StoreWriter(path, dataset="h36m", skeleton="h36m_17"):
        with pytest.raises(InputError, match="another writer"):
            StoreWriter(path, dataset="h36m", skeleton="h36m_17")
        with pytest.raises(InputError, match="another writer"):
            set_dropped(path, {})
        other = subprocess.run([sys.executable, str(script), str(path)], capture_output=True, text=True)
        assert "another writer is at work" in other.stderr
    process = subprocess.Popen([sys.executable, str(script), str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    with pytest.raises(InputError, match="another writer"):
        StoreWriter(path, dataset="h36m", skeleton="h36m_17")
    process.kill()
    process.wait()
    process.stdout.close()
    StoreWriter(path, dataset="h36m", skeleton="h36m_17").close()  # the lock went with its process


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    a = write(folder / "a.h5", [block(40, pictures=(b"jpeg" * 50, None)), block(30, seed=1)])
    b = write(folder / "b.h5", [block(20, "coco_17", flat=True)], dataset="coco")
    merge([a, b], folder / "both.h5")
    set_dropped(folder / "both.h5", {"bad": [1, 41, 75]})
    return folder


@pytest.mark.parametrize("seed", range(60))
def test_every_damage_is_found_and_no_wrong_sample_is_given_out_unseen(tmp_path, sound, seed):
    folder = tmp_path / "copy"
    shutil.copytree(sound, folder)
    assert verify(folder / "both.h5") == []
    chance = random.Random(seed)
    file = chance.choice([path for path in sorted(folder.rglob("*.h5")) if path.is_file()])
    how = ("flip", "cut", "remove", "grow", "zero", "swap")[seed % 6]
    damage(file, how, chance)
    problems = verify(folder / "both.h5")
    assert problems, (file, how)
    assert any(str(file.name) in problem.what or problem.path == file for problem in problems)
    with pytest.raises(SkelbridgeError):
        verify_by_reading(folder / "both.h5", problems)


def verify_by_reading(path, problems):
    """Reading everything either raises an error of ours, or gives samples while `verify` says what is wrong."""
    store = open_store(path, dropped=True)
    for start in range(len(store)):
        _ = store[start]
    raise SkelbridgeError(problems[0].what)


def damage(file, how, chance):
    content = bytearray(file.read_bytes())
    place = chance.randrange(len(content)) if chance.random() < 0.7 else chance.randrange(80)
    if how == "remove":
        file.unlink()
        return
    if how == "flip":
        content[place] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del content[place:]
    elif how == "grow":
        content += bytes(1 + place % 100)
    elif how == "zero":
        end = min(len(content), place + 64)
        content[place:end] = bytes(byte ^ 255 for byte in content[place:end])
    else:
        half = len(content) // 2
        content[:half], content[half : 2 * half] = content[half : 2 * half], content[:half]
    file.write_bytes(content)


def test_every_bit_of_the_user_block_counts(tmp_path, sound):
    file = tmp_path / "a.h5"
    shutil.copyfile(sound / "a.h5", file)
    content = file.read_bytes()
    for place in range(512):
        file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(FileFormatError):
            sealed.check(file)


def test_a_shard_of_another_store_in_its_place_is_found(tmp_path, sound):
    folder = tmp_path / "copy"
    shutil.copytree(sound, folder)
    one, two = sorted((folder / "a.h5.shards").glob("*.h5"))
    shutil.copyfile(one, two)
    assert verify(folder / "a.h5")
    with pytest.raises(FileFormatError, match="digest"):
        open_store(folder / "a.h5")[60]


def test_leftovers_are_told_and_removed(tmp_path):
    path = write(tmp_path / "a.h5", [block(10)])
    left = JobWriter(path, "killed", "h36m", "train", "h36m_17")
    left.add(block(10))
    left.finish(["killed"])
    (shards_folder(path) / ".x.h5.part").write_bytes(b"half")
    (shards_folder(path) / "notes.txt").write_text("mine")
    assert len(verify(path)) == 2
    assert all("not in the index" in problem.what for problem in verify(path))
    StoreWriter(path, dataset="h36m", skeleton="h36m_17").close()
    assert verify(path) == []
    assert (shards_folder(path) / "notes.txt").exists()


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes there")
def test_folders_whose_name_is_not_utf8_are_refused_or_linked(tmp_path):
    odd = tmp_path / os.fsdecode(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        StoreWriter(tmp_path / "a.h5", dataset="h36m", skeleton="h36m_17", root=odd)
    assert not (tmp_path / "a.h5").exists()
    try:
        path = write(odd / "b.h5", [block(4)])
    except SkelbridgeError:
        pytest.skip("this system has no such names")
    assert len(open_store(path)) == 4
    with pytest.raises(InputError, match="UTF-8"):
        merge([path], tmp_path / "m.h5")


def test_leftovers_beside_an_index_go_whatever_its_name(tmp_path):
    path = write(tmp_path / "a [1].h5", [block(10)])
    (tmp_path / ".a [1].h5.0123abcd.part").write_bytes(b"half")
    StoreWriter(path, dataset="h36m", skeleton="h36m_17").close()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.skipif(os.name != "posix", reason="uses POSIX locks")
def test_a_disk_without_locks_is_told_from_another_writer(tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(InputError, match="locked"):
        StoreWriter(tmp_path / "a.h5", dataset="h36m", skeleton="h36m_17")


def hostile(path, change):
    """A sealed file that says it is one of ours, after `change` of its HDF5 content."""
    with h5py.File(path, "r+") as file:
        change(file)
    with path.open("r+b") as stream:
        size = os.fstat(stream.fileno()).st_size - sealed.USER_BLOCK
        digest = sealed._digest(stream)
        stream.seek(0)
        stream.write(sealed._HEAD.pack(sealed._MAGIC, sealed.VERSION, size, bytes.fromhex(digest)))
    return digest, size


def external(file):
    del file["box"]
    file.create_dataset("box", shape=(10, 4), dtype="f4", external=[("/etc/passwd", 0, 160)])


def compressed(file):
    del file["box"]
    file.create_dataset("box", data=np.zeros((10, 4), "f4"), chunks=(5, 4), compression="gzip")


def virtual(file):
    del file["box"]
    layout = h5py.VirtualLayout(shape=(10, 4), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(10, 4))
    file.create_virtual_dataset("box", layout)


def linked(file):
    del file["box"]
    file["box"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft(file):
    del file["box"]
    file["box"] = h5py.SoftLink("/crop")


def reshaped(file):
    del file["box"]
    file.create_dataset("box", data=np.zeros((4, 10), "f4"))


def other_type(file):
    del file["box"]
    file.create_dataset("box", data=np.zeros((10, 4), ">f4"))


def an_object(file):
    del file["words/image"]
    file.create_dataset("words/image", data=["a"] * 10, dtype=h5py.string_dtype())


def wild_codes(file):
    file["text/image"][:] = 10**6


def negative_codes(file):
    file["text/image"][:] = -3


def wild_lenses(file):
    file["cameras/lens"][:] = 9


def no_rotation(file):
    file["cameras/rotation"][:] = 9.0


def no_text(file):
    file["words/image"][:] = b"\xff"


def wild_cameras(file):
    file["camera"][:] = 77


def wild_starts(file):
    file["masks/starts"][:] = -(10**12)


def lacking(file):
    del file["text/view"]


@pytest.mark.parametrize(
    "change",
    [external, compressed, virtual, linked, soft, reshaped, other_type, an_object, wild_codes, negative_codes,
     wild_cameras, wild_starts, lacking, wild_lenses, no_rotation, no_text],
)  # fmt: skip
def test_hostile_shards_give_an_error_and_nothing_of_other_files(tmp_path, change):
    from dataclasses import replace

    path = write(tmp_path / "a.h5", [replace(block(10), masks=(b"mask",) * 10)])
    file = read_index(path)
    job = file.index.jobs[0]
    digest, size = hostile(shards_folder(path) / job.shards[0].name, change)
    shard = job.shards[0].model_copy(update={"digest": digest, "bytes": size})
    index = file.index.model_copy(update={"jobs": (job.model_copy(update={"shards": (shard,)}),)})
    IndexFile(index).write(path)
    store = open_store(path)
    with pytest.raises(FileFormatError):
        _ = store[:]
    with pytest.raises(FileFormatError):
        _ = store[3]


@pytest.mark.parametrize("name", ["../a.h5", "/etc/passwd", "a/b.h5", ".h5", ".hidden.h5", "a.txt"])
def test_names_of_shards_cannot_climb(tmp_path, name):
    path = write(tmp_path / "a.h5", [block(10)])
    index = read_index(path).index
    shard = index.shards[0].model_copy(update={"name": name})
    job = index.jobs[0].model_copy(update={"shards": (shard,)})
    IndexFile(index.model_copy(update={"jobs": (job,)})).write(path)
    with pytest.raises(FileFormatError, match="index"):
        open_store(path)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(600), b"x" * 5000])
def test_other_files_are_no_stores(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        open_store(path)
    with pytest.raises(FileFormatError):
        StoreWriter(path, dataset="h36m", skeleton="h36m_17")
    assert path.read_bytes() == content
    assert verify(path)
    with pytest.raises(FileFormatError, match="no such file"):
        open_store(tmp_path / "b.h5")
    store = write(tmp_path / "c.h5", [block(2)])
    with pytest.raises(FileFormatError, match="beside"):
        open_store(next(shards_folder(store).glob("*.h5")))


def as_version_1(path):
    """Rewrite a store as version 1 had it: five distortion coefficients and no lens model."""
    file, jobs, names = read_index(path), [], {}
    for job in file.index.jobs:
        shards = []
        for shard in job.shards:
            old = shards_folder(path) / shard.name
            attributes, places = sealed.layout(old)
            content = sealed.mapped(old)
            columns = {name: place.view(content).copy() for name, place in places.items()}
            columns["cameras/distortion"] = columns["cameras/distortion"][:, :5]
            del columns["cameras/lens"]
            names[shard.name] = f"one_{shard.name}"
            seal = sealed.write(
                old.with_name(names[shard.name]), {**attributes, "schema": 1},
                {name: Column.of(column) for name, column in columns.items()},
            )  # fmt: skip
            old.unlink()
            new = {"name": names[shard.name], "bytes": seal.bytes, "digest": seal.digest}
            shards.append(shard.model_copy(update=new))
        jobs.append(job.model_copy(update={"shards": tuple(shards)}))
    index = file.index.model_copy(update={"schema_version": 1, "jobs": tuple(jobs)})
    IndexFile(index, {names[key]: dropped for key, dropped in file.dropped.items()}).write(path)


def simple_lenses(count, **options):
    """Samples whose cameras version 1 could say."""
    from dataclasses import replace

    samples = block(count, **options)
    return replace(samples, cameras=tuple(replace(camera, lens="opencv") for camera in samples.cameras))


def test_an_old_store_is_migrated(tmp_path):
    one, two = simple_lenses(30, pictures=(b"jpeg" * 99,)), simple_lenses(20, seed=1)
    path = write(tmp_path / "a.h5", [one, two])
    set_dropped(path, {"bad": [0, 31]}, {"why": "test"})
    as_version_1(path)
    with pytest.raises(FileFormatError, match=rf"older skelbridge.*Run: skelbridge store migrate {path}"):
        open_store(path)
    assert migrate(path) == 2
    assert migrate(path) == 0
    assert verify(path) == []
    assert len(list(shards_folder(path).glob("*.h5"))) == 2
    assert_same(open_store(path, dropped=True)[:30], one, "train")
    assert_same(open_store(path, dropped=True)[30:], two, "train")
    assert len(open_store(path)) == 48
    assert open_store(path).settings == {"why": "test"}


def test_a_migration_that_was_stopped_goes_on(tmp_path, monkeypatch):
    samples = [simple_lenses(30, seed=seed) for seed in range(4)]
    path = write(tmp_path / "a.h5", samples)
    as_version_1(path)
    real, calls = sealed.write, []

    def stops(target, *arguments):
        calls.append(target.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(target, *arguments)

    monkeypatch.setattr(sealed, "write", stops)
    with pytest.raises(KeyboardInterrupt):
        migrate(path)
    with pytest.raises(FileFormatError, match="older"):  # the old store is whole
        open_store(path)
    assert len(read_index(path, versions=(1,)).index.shards) == 4
    assert migrate(path) == 4
    assert len(calls) == 3 + 2 + 1  # two shards were there already; two more, and the index
    for number, wanted in enumerate(samples):
        assert_same(open_store(path)[30 * number : 30 * number + 30], wanted, "train")
    assert verify(path) == []


def test_a_damaged_old_store_is_not_migrated(tmp_path):
    path = write(tmp_path / "a.h5", [simple_lenses(30)])
    as_version_1(path)
    shard = next(shards_folder(path).glob("*.h5"))
    damage(shard, "flip", random.Random(3))
    with pytest.raises(FileFormatError):
        migrate(path)
    assert shard.exists()


def test_a_lost_index_does_not_cost_the_shards(tmp_path):
    path = write(tmp_path / "a.h5", [block(10)])
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(InputError, match="Restore it"):
        StoreWriter(path, dataset="h36m", skeleton="h36m_17")
    path.write_bytes(content)
    assert len(open_store(path)) == 10


def test_hostile_indexes_are_refused(tmp_path):
    path = write(tmp_path / "a.h5", [block(10)])
    file = read_index(path)
    key = file.index.shards[0].name
    cleaning = Cleaning(reasons=("bad",))
    bits = np.packbits(np.arange(10) < 3)
    for wrong in (Dropped(bits, np.zeros(2, np.uint8)), Dropped(bits, np.full(3, 7, np.uint8)),
                  Dropped(np.zeros(1, np.uint8), np.zeros(0, np.uint8))):  # fmt: skip
        IndexFile(file.index.model_copy(update={"cleaning": cleaning}), {key: wrong}).write(path)
        with pytest.raises(FileFormatError, match="dropped"):
            open_store(path)
    index = file.index
    shard = index.shards[0].model_copy(update={"joints": 3})
    IndexFile(index.model_copy(update={"jobs": (index.jobs[0].model_copy(update={"shards": (shard,)}),)})).write(path)
    with pytest.raises(FileFormatError, match="17 joints"):
        open_store(path)
    loop = Index(schema_version=2, members=(Member(path="loop.h5", content="x", rows=1),))
    IndexFile(loop).write(tmp_path / "loop.h5")
    assert "links itself" in verify(tmp_path / "loop.h5")[0].what
    with pytest.raises(FileFormatError):
        open_store(tmp_path / "loop.h5")
