"""The store's benchmark runs at its small sizes, and what must hold at any size holds."""

import re

from benchmarks.report import ROOT
from benchmarks.store import PARTS, QUICK


def numbers(lines, word):
    """The numbers in the line of a table that has the word."""
    line = next(line for line in lines if word in line)
    return [float(text.replace(",", "")) for text in re.findall(r"\d[\d,]*\.?\d*", line)]


def test_writing_takes_no_more_memory_for_more_samples(tmp_path):
    lines = list(PARTS["memory"](tmp_path, QUICK))
    assert numbers(lines, f"{QUICK.written[1]:,}")[2] < 1.1


def test_stores_merge_at_once_and_open_in_little_memory(tmp_path):
    lines = list(PARTS["union"](tmp_path, QUICK))
    assert numbers(lines, "merging |")[0] < 5
    assert numbers(lines, "an opened store")[0] < 10
    assert numbers(lines, "4 threads")[-1] < 500


def test_every_random_damage_is_reported(tmp_path):
    rows = list(PARTS["damage"](tmp_path, QUICK))[2:]
    assert rows
    for row in rows:
        times, reported, wanted = numbers([row], "|")
        assert times == reported == wanted


def test_the_page_has_the_tables_of_the_commands():
    page = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    for part in PARTS:
        block = page.split(f"<!-- store {part}: written by a command -->")[1].split(f"<!-- store {part}: end -->")[0]
        assert block.count("\n|") > 3, part
