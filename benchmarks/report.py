"""Numbers in documents are put there by the commands that measure them, between two marker lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def printed(lines: Iterable[str]) -> list[str]:
    """Print lines as they come, and keep them."""
    kept = []
    for line in lines:
        print(line, flush=True)
        kept.append(line)
    return kept


def write_block(path: Path, name: str, lines: list[str]) -> None:
    """Replace what stands between the markers of `name` in a document; ValueError if it has no such markers."""
    text = path.read_text(encoding="utf-8")
    start, end = f"<!-- {name}: written by a command -->", f"<!-- {name}: end -->"
    if start not in text or end not in text:
        raise ValueError(f"{path} has no markers for {name!r}: expected {start} and {end}")
    block = "\n".join([start, *lines, end])
    path.write_text(
        re.sub(re.escape(start) + ".*?" + re.escape(end), lambda _: block, text, flags=re.S), encoding="utf-8"
    )
