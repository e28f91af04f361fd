"""What all containers share: bounded reading, numbers from text, errors with their place, safe writing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError

#: Files larger than this are refused: nothing that people keep poses in as text or JSON comes near it.
MAX_BYTES = 4 * 2**30

#: What is advised where a file holds fewer frames than it declares.
PARTIAL = "The file is cut off, or its count is wrong; partial=True reads the frames that are there."

#: Coordinates beyond this are damage: a thousand kilometres in millimetres.
MAX_ABS = 1e9


def damaged(
    path: Path | str,
    place: str,
    *,
    expected: object = None,
    got: object = None,
    mend: str = "Is the file complete?",
) -> FileFormatError:
    """The error of a file that cannot be read, with the place in it; what was got is cut short."""
    shown = None if got is None else short(got)
    return FileFormatError(f"{path}, {place}" if place else str(path), expected=expected, got=shown, mend=mend)


def short(value: object) -> str:
    """A value of a file as an error message shows it, at most 80 characters."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def read_bytes(path: Path) -> bytes:
    """The content of a file; FileFormatError where it is missing, empty or larger than MAX_BYTES."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise damaged(path, "", expected=f"at most {MAX_BYTES} bytes", got=f"{size} bytes", mend="Split the file.")
        content = path.read_bytes()
    except OSError as error:
        raise damaged(
            path, "", expected="a file that can be read", got=error.strerror, mend="Check the path."
        ) from error
    if not content.strip(b" \t\r\n\0"):
        raise damaged(path, "", expected="poses", got="an empty file")
    return content


def read_text(path: Path) -> str:
    """The text of a file, UTF-8 or (old exporters) Latin-1, line ends unified; FileFormatError if binary."""
    content = read_bytes(path)
    if b"\0" in content:
        place = f"byte {content.index(0)}"
        raise damaged(
            path,
            place,
            expected="a text file",
            got="a zero byte",
            mend="The suffix does not fit the content.",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def numbers(words: Sequence[str], path: Path, place: str) -> NDArray[np.float64]:
    """Words as finite numbers; FileFormatError names `place` and the word that is none."""
    try:
        values = np.fromiter(map(float, words), dtype=np.float64, count=len(words))
    except ValueError:
        wrong = next(word for word in words if not _is_number(word))
        raise damaged(path, place, expected="numbers", got=repr(short(wrong))) from None
    fine = np.abs(values) < MAX_ABS
    if not fine.all():
        raise damaged(path, place, expected="finite numbers", got=words[int(np.argmin(fine))])
    return values


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def rate_from_period(period: str) -> float | None:
    """Frames a second from a written period: the whole number whose period has the digits written, if any.

    So 0.0083333 is 120 Hz, and 0.033367 stays 29.97.
    """
    seconds = float(period)
    if not 1e-6 < seconds < 1e6:
        return None
    digits = len(period.partition(".")[2]) if "e" not in period.lower() else 12
    whole = round(1 / seconds)
    if whole and abs(1 / whole - seconds) < 10.0**-digits:
        return float(whole)
    return 1 / seconds


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write into; it takes that name when all went well, else vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
