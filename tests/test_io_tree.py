"""A dataset's folder with archives in it: what it shows, what it refuses."""

import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from skelbridge.errors import FileFormatError
from skelbridge.io.tree import MissingFileError, Tree, natural

CONTENT = {"S1/a.txt": b"one", "S10/b.txt": b"ten", "S2/deep/c.txt": b"two" * 1000, "top.txt": b"top"}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return
    with tarfile.open(
        path, "w:" + {".gz": "gz", ".tgz": "gz", ".xz": "xz", ".bz2": "bz2"}.get(path.suffix, "")
    ) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@pytest.fixture(params=["", "x.zip", "x.tar", "x.tar.gz", "x.tgz", "x.tar.xz", "x.tar.bz2"])
def tree(request, tmp_path):
    if request.param:
        write(tmp_path / "data" / request.param, CONTENT)
    else:
        for name, data in CONTENT.items():
            (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name).write_bytes(data)
    return Tree(tmp_path)


def test_an_archive_is_the_folder_that_it_unpacks_to(tree):
    assert tree.glob("data/S*/*.txt") == ["data/S1/a.txt", "data/S10/b.txt"]
    assert tree.glob("data/**/*.txt") == [f"data/{name}" for name in sorted(CONTENT, key=natural)]
    assert tree.folders("data/S*") == ["data/S1", "data/S2", "data/S10"]
    assert tree.exists("data/top.txt")
    assert not tree.exists("data/S3/a.txt")
    assert {name: tree.read_bytes(f"data/{name}") for name in CONTENT} == CONTENT
    with tree.open("data/S2/deep/c.txt") as stream:
        assert stream.seek(-3, io.SEEK_END) == 2997
        assert stream.read() == b"two"
        stream.seek(1)
        assert stream.read(4) == b"wotw"
    assert pickle.loads(pickle.dumps(tree)).read_text("data/S1/a.txt") == "one"


def test_a_file_on_the_disk_wins_over_a_member(tmp_path):
    write(tmp_path / "x.zip", {"a.txt": b"packed", "b.txt": b"packed"})
    (tmp_path / "a.txt").write_bytes(b"on the disk")
    tree = Tree(tmp_path)
    assert [tree.read_text(name) for name in ("a.txt", "b.txt")] == ["on the disk", "packed"]
    assert tree.glob("*.txt") == ["a.txt", "b.txt"]


def test_what_is_missing_is_said_with_its_place(tmp_path):
    write(tmp_path / "S1" / "x.zip", {"Videos/a.mp4": b"-"})
    tree = Tree(tmp_path)
    with pytest.raises(MissingFileError, match=r"S1/Poses/\*\.cdf \(poses\) in it, got in S1: Videos/, x\.zip"):
        tree.require("S1/Poses/*.cdf", "poses")
    with pytest.raises(MissingFileError, match=r"a\.xml or b\.xml"):
        tree.first("a.xml", "b.xml")
    with pytest.raises(MissingFileError, match=r"S1/Videos/b\.mp4"):
        tree.open("S1/Videos/b.mp4")
    with pytest.raises(MissingFileError, match="a folder"):
        Tree(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/etc/out.txt", "C:/out.txt", "..\\out.txt"])
@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_members_that_climb_are_refused(tmp_path, name, kind):
    write(tmp_path / "root" / kind, {"fine.txt": b"1", name: b"2"})
    with pytest.raises(FileFormatError, match="inside the archive"):
        Tree(tmp_path / "root").glob("*")
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("path", ["../out.txt", "a/../../out.txt", "/etc/passwd", "a\0b", ""])
def test_paths_that_lead_out_of_the_folder_are_refused(tmp_path, path):
    (tmp_path / "out.txt").write_text("secret")
    (tmp_path / "root" / "a").mkdir(parents=True)
    for ask in (Tree(tmp_path / "root").open, Tree(tmp_path / "root").exists):
        with pytest.raises(FileFormatError, match="below this folder"):
            ask(path)


def test_links_in_archives_are_not_followed(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "root").mkdir()
    with tarfile.open(tmp_path / "root" / "x.tar", "w") as archive:
        for name, kind in (("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(f"{name}.txt")
            info.type, info.linkname = kind, str(tmp_path / "secret.txt")
            archive.addfile(info)
    assert Tree(tmp_path / "root").glob("*.txt") == []


def test_a_size_that_cannot_be_is_refused(tmp_path):
    write(tmp_path / "x.zip", {"a.txt": b"1" * 100})
    data = bytearray((tmp_path / "x.zip").read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(FileFormatError, match="2147483647 bytes"):
        Tree(tmp_path).glob("*")


@pytest.mark.parametrize("kind", ["x.zip", "x.tar", "x.tar.gz", "x.tar.xz"])
def test_damaged_archives_are_one_clear_error_or_nothing(tmp_path, kind):
    rng = np.random.default_rng(0)
    write(tmp_path / "whole" / kind, CONTENT)
    whole = (tmp_path / "whole" / kind).read_bytes()
    refused = []
    for number in range(60):
        data = bytearray(whole)
        if number % 2:
            data = data[: rng.integers(1, len(data))]
        else:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / kind).write_bytes(data)
        try:
            tree = Tree(folder)
            for path in tree.glob("**/*.txt"):
                tree.read_bytes(path)
        except FileFormatError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert all(kind in message for message in refused)
