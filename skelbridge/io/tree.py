"""A dataset's folder, in which zip and tar archives count as the folders that they would unpack to."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from skelbridge.errors import FileFormatError
from skelbridge.io.files import MAX_BYTES, damaged, replacing, short

#: Members up to this size are held in memory while they are open, larger ones in a temporary file.
_IN_MEMORY = 2**26

#: A compressed member may be at most this many times as large as its archive: nothing real is, bombs are.
_MAX_RATIO = 1100

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError,
           NotImplementedError, RuntimeError)  # fmt: skip


class MissingFileError(FileFormatError):
    """A dataset's folder lacks a file; the message says where it was looked for and how the distribution lies."""


class Tree:
    """The files below a folder, by POSIX paths relative to it; nothing is unpacked onto the disk by hand.

    An archive `a/b.zip` (or .tar, .tar.gz, .tgz, .tar.xz, .tar.bz2) shows its members as if it had been unpacked in
    `a/`. A real file wins over a member of the same path. Archives with members whose paths climb or are absolute are
    refused; links in them are not shown. A tree can be sent to another process.

    Raises MissingFileError where the folder does not exist.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        if not self.root.is_dir():
            what = "a folder" if not self.root.exists() else "a folder, not a file"
            raise MissingFileError(str(self.root), expected=what, mend="Check the path.")
        self._listings: dict[str, _Folder] = {}

    def __reduce__(self) -> tuple[type[Tree], tuple[Path]]:
        return Tree, (self.root,)

    def glob(self, pattern: str) -> list[str]:
        """The files that match (`*`, `?`, `[...]` within a name; `**` for any folders), in natural order."""
        *folders, last = pattern.split("/")
        found = {
            _joined(folder, name)
            for folder in self._matching(folders)
            for name in _matches(self._listing(folder).files, last)
        }
        return sorted(found, key=natural)

    def folders(self, pattern: str) -> list[str]:
        """The folders that match, in natural order."""
        return sorted(set(self._matching(pattern.split("/"))), key=natural)

    def exists(self, path: str) -> bool:
        """Whether there is a file of that path; FileFormatError for a path that leads out of the folder."""
        folder, _, name = self._within(path).rpartition("/")
        return name in self._listing(folder).files

    def first(self, *paths: str) -> str:
        """The first of the paths that exists; MissingFileError names them all."""
        for path in paths:
            if self.exists(path):
                return path
        raise self._missing(" or ".join(paths), paths[0])

    def require(self, pattern: str, what: str) -> list[str]:
        """As `glob`; MissingFileError where nothing matches: what was looked for, where, and what lies there."""
        found = self.glob(pattern)
        if not found:
            raise self._missing(f"{pattern} ({what})", pattern)
        return found

    def open(self, path: str) -> BinaryIO:
        """The file as a seekable stream.

        Raises MissingFileError where there is none, FileFormatError for a path that leads out of the folder.
        """
        real = self.root / self._within(path)
        if real.is_file():
            try:
                return real.open("rb")
            except OSError as error:
                raise damaged(real, "", expected="a file that can be read", got=error.strerror) from error
        folder, _, name = path.rpartition("/")
        source = self._listing(folder).files.get(name)
        if source is None:
            raise self._missing(path, path)
        return source.open()

    def read_bytes(self, path: str) -> bytes:
        """The content of a file that fits into memory."""
        with self.open(path) as stream:
            size = stream.seek(0, io.SEEK_END)
            if size > MAX_BYTES:
                raise damaged(self.root / path, "", expected=f"at most {MAX_BYTES} bytes", got=f"{size} bytes")
            stream.seek(0)
            return stream.read()

    def read_text(self, path: str) -> str:
        """The text of a file, UTF-8 or Latin-1, line ends unified; FileFormatError if it is binary."""
        content = self.read_bytes(path)
        if b"\0" in content:
            raise damaged(self.root / path, "", expected="text", got=f"a zero byte at {content.index(0)}")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _within(self, path: str) -> str:
        """The path, unless it leads out of the folder: paths come from data files, which may be hostile."""
        parts = PurePosixPath(path).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in path:
            raise damaged(self.root, "", expected="a path below this folder", got=path, mend="Do not use this file.")
        return path

    def _matching(self, patterns: list[str]) -> Iterator[str]:
        """The folders whose names match, one pattern a level."""
        found = [""]
        for pattern in patterns:
            if pattern == "**":
                found = list(dict.fromkeys(deeper for folder in found for deeper in self._below(folder)))
            else:
                found = [_joined(f, name) for f in found for name in _matches(self._listing(f).folders, pattern)]
        return iter(found)

    def _below(self, folder: str) -> Iterator[str]:
        yield folder
        for name in self._listing(folder).folders:
            yield from self._below(_joined(folder, name))

    def _listing(self, folder: str) -> _Folder:
        """What lies in a folder: on the disk, and in the archives beside and above it."""
        if folder not in self._listings:
            found, real = _Folder(), self.root / folder
            if real.is_dir():
                with os.scandir(real) as entries:  # which knows folders without asking for each
                    for entry in entries:
                        if entry.is_dir():
                            found.folders.add(entry.name)
                        else:
                            found.files[entry.name] = None
            for above in (folder, *map(str, PurePosixPath(folder).parents)) if folder else ("",):
                above = "" if above == "." else above
                inside = folder[len(above) :].strip("/")
                archives = self._listing(above).archives if above != folder else found.own_archives(real)
                for archive in archives:
                    members = _members(archive, *_stamp(archive)).get(inside)
                    if members:
                        found.folders |= members.folders
                        found.files = {**members.files, **found.files}
            found.archives = found.own_archives(real)
            self._listings[folder] = found
        return self._listings[folder]

    def _missing(self, what: str, path: str) -> MissingFileError:
        """The error that says how far the path leads, and what lies there."""
        folder, names = "", PurePosixPath(path).parent.parts
        for name in names:
            if name not in self._listing(folder).folders:
                break
            folder = _joined(folder, name)
        here = self._listing(folder)
        lies = sorted([*(f"{name}/" for name in here.folders), *here.files], key=natural)
        shown = ", ".join(lies[:8]) + (f" ... ({len(lies)} entries)" if len(lies) > 8 else "")
        return MissingFileError(
            f"{self.root}", expected=f"{what} in it", got=f"in {folder or 'the folder itself'}: {shown or 'nothing'}"
        )


@dataclass
class _Folder:
    """What one folder shows: names of folders, and of files with their place in an archive (None: on the disk)."""

    folders: set[str] = field(default_factory=set)
    files: dict[str, _Member | None] = field(default_factory=dict)
    archives: list[Path] = field(default_factory=list)

    def own_archives(self, real: Path) -> list[Path]:
        names = [n for n, place in self.files.items() if place is None and n.lower().endswith((".zip", *_TARS))]
        return [real / name for name in sorted(names, key=natural)]


@dataclass(frozen=True)
class _Member:
    """A file in an archive: of a zip its name; of a tar where it lies in the (decompressed) archive, and its size."""

    archive: Path
    name: str
    size: int
    offset: int = -1

    def open(self) -> BinaryIO:
        try:
            if self.offset >= 0:
                return cast(BinaryIO, io.BufferedReader(_Window(_plain_tar(self.archive), self.offset, self.size)))
            with zipfile.ZipFile(self.archive) as archive, archive.open(self.name) as stream:
                return _copied(stream, self)
        except _BROKEN as error:
            raise self.broken(error) from error

    def broken(self, error: Exception) -> FileFormatError:
        return damaged(self.archive, self.name, expected="a member that can be unpacked", got=str(error))


def _copied(stream: Iterable[bytes] | BinaryIO, member: _Member) -> BinaryIO:
    """A seekable copy of a zip's member, no longer than it says."""
    target = io.BytesIO() if member.size <= _IN_MEMORY else tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes
    left = member.size
    while block := cast(BinaryIO, stream).read(min(2**20, left + 1)):
        left -= len(block)
        if left < 0:
            raise ValueError(f"more than the {member.size} bytes that it declares")
        target.write(block)
    if left:
        raise ValueError(f"{member.size - left} of {member.size} bytes")
    target.seek(0)
    return cast(BinaryIO, target)


class _Window(io.RawIOBase):
    """Part of a file, as a file."""

    def __init__(self, path: Path, offset: int, size: int):
        self._file, self._offset, self._size, self._at = path.open("rb"), offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence], 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        count = max(min(len(view), self._size - self._at), 0)
        self._file.seek(self._offset + self._at)
        got = self._file.readinto(view[:count])
        self._at += got
        return got

    def close(self) -> None:
        self._file.close()
        super().close()


def natural(path: str) -> tuple[tuple[int, int | str], ...]:
    """The key that sorts S2 before S10."""
    return tuple((0, int(word)) if word.isdecimal() else (1, word) for word in re.split(r"([0-9]+)", path) if word)


def _matches(names: Iterable[str], pattern: str) -> list[str]:
    if not any(letter in pattern for letter in "*?["):
        return [pattern] if pattern in names else []
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=64)
def _members(archive: Path, changed: int, size: int) -> dict[str, _Folder]:
    """The folders in an archive, by their paths in it; `changed` and `size` keep a stale answer from being used."""
    folders: dict[str, _Folder] = {"": _Folder()}
    try:
        for member in _zip_members(archive) if archive.name.lower().endswith(".zip") else _tar_members(archive):
            *parents, name = _checked(archive, member.name).parts
            for depth, parent in enumerate(parents):
                folders["/".join(parents[:depth])].folders.add(parent)
                folders.setdefault("/".join(parents[: depth + 1]), _Folder())
            folders["/".join(parents)].files[name] = member
    except FileFormatError:
        raise
    except _BROKEN as error:
        raise damaged(archive, "", expected="an archive that can be read", got=str(error)) from error
    return folders


def _checked(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or not path.parts or "\0" in name:
        mend = "The archive is not what the dataset gives out: do not use it."
        raise damaged(archive, f"member {short(name)}", expected="a path inside the archive", mend=mend)
    return path


def _zip_members(path: Path) -> Iterator[_Member]:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.file_size > max(size, 2**16) * _MAX_RATIO:
                raise damaged(path, info.filename, expected="a size that can be", got=f"{info.file_size} bytes")
            yield _Member(path, info.filename, info.file_size)


def _tar_members(path: Path) -> Iterator[_Member]:
    with tarfile.open(_plain_tar(path), "r:") as archive:
        for info in archive:
            if info.isfile() and not info.issparse():
                yield _Member(path, info.name.removeprefix("./"), info.size, info.offset_data)
            elif not info.isdir():
                _checked(path, info.name)


def _plain_tar(path: Path) -> Path:
    """The archive itself, or, where it is compressed, what it decompresses to, kept among the temporary files.

    A compressed tar can only be read from its beginning, which would be done again for every member.
    """
    if path.name.lower().endswith(".tar"):
        return path
    key = hashlib.blake2b(repr((str(path.resolve()), *_stamp(path))).encode(), digest_size=12).hexdigest()
    plain = Path(tempfile.gettempdir()) / "skelbridge-archives" / f"{key}.tar"
    if not plain.exists():
        openers = {"gz": "gzip", "tgz": "gzip", "xz": "lzma", "bz2": "bz2"}
        module = __import__(openers[path.name.lower().rpartition(".")[2]])
        limit = min(path.stat().st_size * _MAX_RATIO, shutil.disk_usage(tempfile.gettempdir()).free // 2)
        with replacing(plain) as temporary, module.open(path, "rb") as source, temporary.open("wb") as target:
            while block := source.read(2**22):
                if target.tell() > limit:
                    mend = "Unpack it by hand where there is room."
                    raise damaged(path, "", expected=f"at most {limit} bytes when unpacked", got="more", mend=mend)
                target.write(block)
    return plain
