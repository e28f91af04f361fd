"""A dataset's folder, in which zip and tar archives count as the folders that they would unpack to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from skelbridge.errors import FileFormatError


class MissingFileError(FileFormatError):
    """A dataset's folder lacks a file; the message says where it was looked for and how the distribution lies."""


class Tree:
    """The files below a folder, by POSIX paths relative to it; nothing is unpacked onto the disk by hand.

    An archive `a/b.zip` (or .tar, .tar.gz, .tgz, .tar.xz, .tar.bz2) shows its members as if it had been unpacked in
    `a/`. A real file wins over a member of the same path. Members whose paths climb or are absolute, links, and absurd
    sizes are refused. A tree can be sent to another process.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def glob(self, pattern: str) -> list[str]:
        """The files that match (`*`, `?`, `[...]` within a name; `**` for any folders), in natural order."""
        raise NotImplementedError

    def folders(self, pattern: str) -> list[str]:
        """The folders that match, in natural order."""
        raise NotImplementedError

    def exists(self, path: str) -> bool:
        """Whether there is a file of that path."""
        raise NotImplementedError

    def first(self, *paths: str) -> str:
        """The first of the paths that exists; MissingFileError names them all."""
        raise NotImplementedError

    def require(self, pattern: str, what: str) -> list[str]:
        """As `glob`; MissingFileError where nothing matches: what was looked for, where, and what lies there."""
        raise NotImplementedError

    def open(self, path: str) -> BinaryIO:
        """The file as a seekable stream; MissingFileError where there is none."""
        raise NotImplementedError

    def read_bytes(self, path: str) -> bytes:
        """The content of a (small) file."""
        raise NotImplementedError

    def read_text(self, path: str) -> str:
        """The text of a (small) file, UTF-8 or Latin-1, line ends unified."""
        raise NotImplementedError


def natural(path: str) -> Sequence[object]:
    """The key that sorts S2 before S10."""
    raise NotImplementedError
