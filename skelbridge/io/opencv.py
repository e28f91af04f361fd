"""OpenCV's FileStorage, XML and YAML: how calibrations are kept; matrices come as arrays.

Only what OpenCV writes is read. XML with a document type is refused, since that is where entities are declared, and of
YAML's tags only OpenCV's own for matrices is known.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError
from skelbridge.io.files import damaged

#: Calibrations nest a few maps; nothing that nests deeper is one.
MAX_DEPTH = 20

#: OpenCV's letters for the types of numbers.
_TYPES = {"u": "u1", "c": "i1", "w": "u2", "s": "i2", "i": "i4", "f": "f4", "d": "f8", "h": "f2", "I": "i8"}

_SPECIAL = {".nan": np.nan, ".inf": np.inf, "+.inf": np.inf, "-.inf": -np.inf}
_TOKEN = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[\[\]{},]|[^\[\]{},"'\s][^\[\]{},]*)""")
_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\[\]{},"'#\s-][^:]*?|-[^:\s][^:]*?)\s*:(?:\s+(.*)|$)""", re.S)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')


def read_file_storage(text: str, name: str | Path) -> dict[str, Any]:
    """The entries of an OpenCV FileStorage: numbers, text, lists, dicts, and matrices as arrays.

    A matrix is (rows, columns), or (rows, columns, channels) if it has several. name: the path for error messages.
    Raises FileFormatError where it is damaged, holds other YAML tags, or declares XML entities.
    """
    try:
        if text.lstrip("\ufeff \r\n\t").startswith("<"):
            return _xml(text)
        return _yaml(text)
    except FileFormatError:
        raise
    except _WrongError as error:
        raise damaged(Path(name), error.place, expected=error.expected, got=error.got) from error
    except (ValueError, OverflowError, IndexError, RecursionError, ElementTree.ParseError) as error:
        raise damaged(Path(name), "", expected="an OpenCV FileStorage", got=str(error)) from error


@dataclass
class _WrongError(Exception):
    """What is wrong where; the caller knows the file."""

    place: str
    expected: str
    got: object


def _matrix(fields: Any, place: str) -> NDArray[Any]:
    """The array of a matrix's rows, cols (or sizes), dt and data."""
    try:
        sizes = fields["sizes"] if "sizes" in fields else [fields["rows"], fields["cols"]]
        kind, data = str(fields["dt"]), fields["data"]
        channels, letter = int(kind[:-1] or 1), kind[-1:]
        values = np.asarray(data if isinstance(data, list) else [] if data is None else [data])
        shape = tuple(map(int, sizes)) + ((channels,) if channels > 1 else ())
        whole = _TYPES[letter][0] in "ui"
        fits = values.dtype.kind in ("i" if whole else "if") or not values.size
        count = int(np.prod(shape, dtype=object))
    except (KeyError, TypeError, ValueError) as error:
        raise _WrongError(place, "a matrix: rows, cols, dt, data", repr(error)) from error
    if not fits or values.ndim != 1 or min(shape) < 0 or values.size != count:
        raise _WrongError(place, f"{count} numbers of type {letter}", f"{values.size} of {values.dtype}")
    return values.astype(_TYPES[letter]).reshape(shape)


def _scalar(word: str) -> Any:
    """A number, or text with its quotes taken off."""
    if word[:1] == '"':
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    if word[:1] == "'":
        return word[1:-1].replace("''", "'")
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return _SPECIAL.get(word.lower(), word)


# XML


def _xml(text: str) -> dict[str, Any]:
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.S):
        raise _WrongError("", "plain elements", "a declaration (<!...)")
    # a quote within a text is an entity; as such it would be taken for the text's end
    root = ElementTree.fromstring(text.lstrip("\ufeff \r\n\t").replace("&quot;", '\\"'))
    if root.tag != "opencv_storage":
        raise _WrongError("", "<opencv_storage>", f"<{root.tag}>")
    return {child.tag: _element(child, child.tag, 0) for child in root}


def _element(node: ElementTree.Element, place: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise _WrongError(place, f"at most {MAX_DEPTH} elements in each other", "more")
    kind = node.get("type_id", "")
    if len(node) and any(child.tag != "_" for child in node):
        fields = {child.tag: _element(child, f"{place}/{child.tag}", depth + 1) for child in node}
        return _matrix(fields, place) if kind in ("opencv-matrix", "opencv-nd-matrix") else fields
    items = [_scalar(word) for word in _WORD.findall(node.text or "")]
    for number, child in enumerate(node):
        items.append(_element(child, f"{place}/{number}", depth + 1))
        items += [_scalar(word) for word in _WORD.findall(child.tail or "")]
    if len(items) == 1 and not len(node):
        return items[0]
    return items or None


# YAML


@dataclass(frozen=True)
class _Line:
    """A line without its indent; a list in brackets that goes on over lines is one."""

    number: int
    indent: int
    text: str


def _yaml(text: str) -> dict[str, Any]:
    lines = list(_lines(text))
    if not lines:
        raise _WrongError("", "an OpenCV FileStorage", "nothing")
    found, rest = _block(lines, 0, 0)
    if rest < len(lines) or not isinstance(found, dict):
        raise _WrongError(f"line {lines[min(rest, len(lines) - 1)].number}", "an entry `name: value`", "another line")
    return found


def _lines(text: str) -> Iterator[_Line]:
    waiting: list[str] = []
    first = opened = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.rstrip() if '"' in raw else re.sub(r"(^|\s)#.*", "", raw).rstrip()
        if not line or (not waiting and line.startswith(("%", "---", "..."))):
            continue
        first = first if waiting else number
        waiting.append(line.strip() if waiting else line)
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", line)
        opened += sum(map(bare.count, "[{")) - sum(map(bare.count, "]}"))
        if opened <= 0:
            whole, opened = " ".join(waiting), 0
            waiting.clear()
            yield _Line(first, len(whole) - len(whole.lstrip()), whole.strip())
    if waiting:
        raise _WrongError(f"line {first}", "a closing bracket", "the end of the file")


def _block(lines: list[_Line], start: int, depth: int) -> tuple[Any, int]:
    """The map or list that starts at a line, and the line after it."""
    indent = lines[start].indent
    if depth > MAX_DEPTH:
        raise _WrongError(f"line {lines[start].number}", f"at most {MAX_DEPTH} maps in each other", "more")
    entries: dict[str, Any] = {}
    items: list[Any] = []
    at = start
    while at < len(lines) and lines[at].indent == indent:
        line = lines[at]
        if line.text == "-" or line.text.startswith("- "):
            rest = line.text[1:].strip()
            if _KEY.fullmatch(rest):  # a map whose first entry stands behind the dash
                lines[at] = _Line(line.number, indent + len(line.text) - len(rest), rest)
                value, at = _block(lines, at, depth + 1)
            else:
                value, at = _value(rest, lines, at, depth)
            items.append(value)
        elif key := _KEY.fullmatch(line.text):
            value, at = _value(key[2] or "", lines, at, depth)
            entries[str(_scalar(key[1]))] = value
        else:
            raise _WrongError(f"line {line.number}", "`name: value`", line.text)
        if items and entries:
            raise _WrongError(f"line {line.number}", "either a map or a list", "both")
    return (items or entries), at


def _value(text: str, lines: list[_Line], at: int, depth: int) -> tuple[Any, int]:
    """The value behind a key or dash of line `at`, and the line after it; what is further indented belongs to it."""
    number, tag = lines[at].number, ""
    if text.startswith("!"):
        tag, _, text = text.partition(" ")
        if tag not in ("!!opencv-matrix", "!!opencv-nd-matrix", "!!map", "!!seq"):
            raise _WrongError(f"line {number}", "OpenCV's own tags", tag)
    if text.strip():
        value, at = _flow(text.strip(), number), at + 1
    elif at + 1 < len(lines) and lines[at + 1].indent > lines[at].indent:
        value, at = _block(lines, at + 1, depth + 1)
    else:
        value, at = None, at + 1
    return (_matrix(value, f"line {number}") if "matrix" in tag else value), at


def _flow(text: str, number: int) -> Any:
    """A value on one line: [ 1, 2 ], { a: 1 }, or a scalar."""
    if text[0] not in "[{":
        return _scalar(text)
    tokens = _TOKEN.findall(text)
    if "".join(tokens).replace(" ", "") != re.sub(r"\s", "", text):
        raise _WrongError(f"line {number}", "a list in brackets", text)
    value, used = _nested(tokens, 0, 0, number)
    if used != len(tokens):
        raise _WrongError(f"line {number}", "one list in brackets", text)
    return value


def _nested(tokens: list[str], at: int, depth: int, number: int) -> tuple[Any, int]:
    """The value that starts at a token, and the token after it."""
    opening, closing = tokens[at], "]" if tokens[at] == "[" else "}"
    if opening not in ("[", "{"):
        return _scalar(opening.strip()), at + 1
    if depth > MAX_DEPTH:
        raise _WrongError(f"line {number}", f"at most {MAX_DEPTH} brackets in each other", "more")
    items: list[Any] = []
    entries: dict[str, Any] = {}
    at += 1
    while tokens[at] != closing:
        if tokens[at] == ",":
            at += 1
        elif opening == "[":
            value, at = _nested(tokens, at, depth + 1, number)
            items.append(value)
        else:
            name, _, rest = tokens[at].partition(":")
            tokens[at] = rest.strip()
            entries[name.strip()], at = _nested(tokens, at if rest.strip() else at + 1, depth + 1, number)
    return (items if opening == "[" else entries), at + 1
