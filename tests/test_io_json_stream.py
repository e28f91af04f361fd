"""Large JSON, entry by entry: the same as the whole, from any cut into chunks, and damage."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from skelbridge.errors import FileFormatError
from skelbridge.io import json_stream
from skelbridge.io.json_stream import members

CONTENT = {
    "skipped": [{"a": [1, {"b": None}]}, "x]}", -1.5e-3],
    "number": 12345,
    "data": {"one": {"x": [1.25, 2]}, "two": "Straße", "three": []},
    "list": [10, 200, [3], {}, None],
    "none": [],
}


def read(text: str, *keys: str) -> list[tuple[str | int, object]]:
    return list(members(io.BytesIO(text.encode()), Path("a.json"), *keys))


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 2**20])
@pytest.mark.parametrize("indent", [None, 2])
def test_members_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    text = json.dumps(CONTENT, indent=indent, ensure_ascii=False)
    assert read(text) == list(CONTENT.items())
    assert read(text, "data") == list(CONTENT["data"].items())  # type: ignore[attr-defined]
    assert read(text, "data", "one") == [("x", [1.25, 2])]
    assert read(text, "list") == list(enumerate(CONTENT["list"]))  # type: ignore[arg-type]
    assert read(text, "none") == []


def test_what_is_not_there_and_what_is_cut_is_said() -> None:
    text = json.dumps(CONTENT)
    with pytest.raises(FileFormatError, match="the key 'annotations'"):
        read(text, "annotations")
    for end in range(len(text) - 1):
        with pytest.raises(FileFormatError, match=r"a\.json"):
            read(text[:end], "none")


@pytest.mark.parametrize("text", ["", "12", '{"a" 1}', "{1: 2}", "[1 2]", "[1,]", "[" * 5000, '["\x01"]', "[truth]"])
def test_no_json_is_damage(text: str) -> None:
    with pytest.raises(FileFormatError, match=r"a\.json, character"):
        read(text)


def test_bytes_that_are_no_text_are_damage() -> None:
    with pytest.raises(FileFormatError, match="expected text"):
        list(members(io.BytesIO(b'["\xff"]'), Path("a.json")))
