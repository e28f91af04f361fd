"""Large JSON files read entry by entry: the members of one list or object, while the rest is passed over."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from skelbridge.io.files import damaged

_CHUNK = 2**20

#: One entry may take this many characters.
_LARGEST = 2**26

_SPACE = " \t\r\n"
_ENDS = tuple(_SPACE + ",:]}")


def members(stream: BinaryIO, path: Path, *keys: str) -> Iterator[tuple[str | int, Any]]:
    """Name or number and value of each member of the list or object that lies under `keys`, in the file's order.

    Only one member is in memory at a time. path: for messages.
    Raises FileFormatError where the file breaks off or is no JSON, and where a key is not there.
    """
    scanner = _Scanner(stream, path)
    for key in keys:
        if not any(name == key for name in scanner.names()):
            raise damaged(path, "", expected=f"a JSON object with the key {key!r}", got="none")
    yield from ((name, scanner.value()) for name in scanner.names())


class _Scanner:
    """A place in JSON text that moves on; the text behind it is forgotten."""

    def __init__(self, stream: BinaryIO, path: Path):
        self._stream, self._path = stream, path
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="strict")
        self._text, self._at, self._passed = "", 0, 0
        self._json = json.JSONDecoder()

    def names(self) -> Iterator[str | int]:
        """The names of the members of the object, or the numbers of those of the list, that begins here.

        At each the place is that member's value; if it was not read by then, it is passed over.
        """
        begin = self._take("{[")
        end, count = "}" if begin == "{" else "]", 0
        if self._peek() == end:
            self._at += 1
            return
        while True:
            name: str | int = count
            if begin == "{":
                name = self.value()
                self._take(":")
                if not isinstance(name, str):
                    raise self._damaged("a name", repr(name))
            before = self._passed + self._at
            yield name
            if self._passed + self._at == before:
                self._pass_over()
            count += 1
            if self._take("," + end) == end:
                return

    def value(self) -> Any:
        """The value that begins here."""
        self._peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                if len(self._text) - self._at > _LARGEST or isinstance(error, RecursionError) or not self._more():
                    raise self._damaged("JSON", str(error)) from None
                continue
            # a number goes on where no such character follows
            if self._text[end : end + 1] in _ENDS or end - self._at > _LARGEST or not self._more():
                self._at = end
                return value

    def _pass_over(self) -> None:
        """Leaves the value that begins here behind, member by member where it has members."""
        if self._peek() in "{[":
            for _ in self.names():
                self.value()
        else:
            self.value()

    def _peek(self) -> str:
        """The next character that is no space."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise self._damaged("JSON", "the end of the file")

    def _take(self, letters: str) -> str:
        found = self._peek()
        if found not in letters:
            raise self._damaged(" or ".join(letters), found)
        self._at += 1
        return found

    def _more(self) -> bool:
        """Reads on, and forgets what lies behind; whether there was more."""
        chunk = self._stream.read(_CHUNK)
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise self._damaged("text", str(error)) from None
        self._passed += self._at
        self._text, self._at = self._text[self._at :] + text, 0
        return bool(chunk)

    def _damaged(self, expected: str, got: str) -> Exception:
        return damaged(self._path, f"character {self._passed + self._at + 1}", expected=expected, got=got)
