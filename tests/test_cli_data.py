"""The commands about datasets and stores: what they print and write, and how they fail."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import tiny_dataset

from skelbridge.cli import main
from skelbridge.datasets import dataset, datasets
from skelbridge.datasets.cards import table
from skelbridge.datasets.clean import clean
from skelbridge.store import StoreWriter, open_store, set_dropped


@pytest.fixture(autouse=True)
def known(monkeypatch):
    tiny_dataset.install(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    tiny_dataset.write(tmp_path / "in", sequences=3, frames=12)
    return tmp_path


def run(*words):
    return main([str(word) for word in words])


def ingested(folder, name="a.h5", *options):
    assert run("ingest", "tiny", "--root", folder / "in", "--out", folder / name, *options) == 0
    return folder / name


def test_datasets_lists_them_all_and_shows_one(capsys):
    assert run("datasets") == 0
    printed = capsys.readouterr().out
    for card in datasets().values():
        assert f"\n{card.id} " in f"\n{printed}"
        assert card.url in printed
        assert card.license in printed
    for card in datasets().values():
        assert run("datasets", card.id) == 0
        printed = " ".join(capsys.readouterr().out.split())
        for text in (card.title, card.license, card.download, card.url, *card.skeletons, *card.known_bad, *card.notes):
            assert " ".join(text.split()) in printed
        assert all(" ".join(file.pattern.split()) in printed for file in card.files)
    assert run("datasets", "tiny_people") == 0
    assert "fault=''" in capsys.readouterr().out


def test_datasets_as_a_table(capsys):
    assert run("datasets", "--markdown") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == table()
    assert {line.count("|") for line in lines} == {8}


def test_ingest_says_what_it_did_and_info_says_it_again(folder, capsys):
    path = ingested(folder, "a.h5", "--set", "bad=9", "--no-thin")
    said = capsys.readouterr().out
    assert f"{len(open_store(path, dropped=True)):,} samples" in said
    for words in ("cleaned out: ", "impossible bone length", "check passed", "blinked", "the made-up dataset"):
        assert words in said
    assert run("store", "info", path) == 0
    printed = capsys.readouterr().out
    assert said in printed
    assert f"tiny as h36m_17: {len(open_store(path))} samples" in printed


def test_options_reach_the_ingestion(folder, capsys):
    thinned, every = ingested(folder), ingested(folder, "b.h5", "--no-thin", "--no-clean", "--set", "bad=5")
    assert len(open_store(thinned)) < len(open_store(every)) == 144
    some = ingested(folder, "c.h5", "--splits", "test", "--skeleton", "h36m_17", "--step", "6", "--workers", "1")
    assert open_store(some).splits == {"tiny": ("test",)}
    assert run("ingest", "tiny", "--root", folder / "in", "--out", folder / "d.h5", "--need-images") == 2
    assert len(open_store(folder / "d.h5", dropped=True)) == 0
    assert "samples: none was kept" in capsys.readouterr().err


def test_info_draws(folder, capsys):
    pytest.importorskip("matplotlib", reason="needs matplotlib (pip install skelbridge[plot])")
    path = ingested(folder)
    assert run("store", "info", path, "--png", folder / "a.png") == 0
    assert (folder / "a.png").stat().st_size > 10_000


def test_verify_finds_a_flipped_byte(folder, capsys):
    path = ingested(folder)
    assert run("store", "verify", path) == 0
    shard = next((folder / "a.h5.shards").glob("*.h5"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    capsys.readouterr()
    assert run("store", "verify", path) == 2
    told = capsys.readouterr()
    assert shard.name in told.out
    assert "1 problem" in told.err


def test_clean_and_audit(folder, capsys):
    path = ingested(folder, "a.h5", "--set", "bad=6", "--no-thin", "--no-clean")
    every = len(open_store(path))
    assert run("store", "clean", path) == 0
    assert "impossible bone length" in capsys.readouterr().out
    assert len(open_store(path)) == every - 16
    assert run("store", "clean", path, "--set", "longest=1000", "--set", "uneven=1000") == 0
    assert len(open_store(path)) == every
    assert run("store", "clean", path, "--set", "longer=1") == 2
    pytest.importorskip("matplotlib", reason="needs matplotlib (pip install skelbridge[plot])")
    clean(path)
    capsys.readouterr()
    assert run("store", "audit", path, "--out", folder / "sheets") == 0
    printed = [line.removeprefix("picture: ") for line in capsys.readouterr().out.splitlines()]
    assert sorted(printed) == sorted(map(str, (folder / "sheets").iterdir()))


def test_merge_and_its_plan(folder, capsys):
    one, other = ingested(folder, "a.h5", "--splits", "test"), ingested(folder, "b.h5", "--splits", "train")
    capsys.readouterr()
    assert run("merge", one, other, "--plan") == 0
    assert "CC0" in capsys.readouterr().out
    assert run("merge", one, other, "--out", folder / "m.h5") == 0
    assert len(open_store(folder / "m.h5")) == len(open_store(one)) + len(open_store(other))
    set_dropped(folder / "m.h5", {"ugly": [0, 1]})
    capsys.readouterr()
    assert run("store", "info", folder / "m.h5") == 0
    assert "cleaned out: 2  ugly" in capsys.readouterr().out
    assert run("store", "verify", folder / "m.h5") == 0
    assert run("store", "migrate", one) == 0


def test_a_store_that_failed_its_checks_is_not_merged(folder, capsys):
    command = ["ingest", "tiny", "--root", folder / "in", "--out", folder / "a.h5", "--set", "fault=swap"]
    assert run(*command) == 2
    assert "left and right" in capsys.readouterr().err
    assert run("merge", folder / "a.h5", "--out", folder / "m.h5") == 2
    assert "--force" in capsys.readouterr().err
    assert run("store", "info", folder / "a.h5") == 0
    assert "check FAILED  left and right" in capsys.readouterr().out
    assert run(*command, "--force") == 0
    assert run("merge", folder / "a.h5", "--out", folder / "m.h5") == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["datasets", "tinny"], "tiny"),
        (["ingest", "tinny", "--root", "IN", "--out", "x.h5"], "tiny"),
        (["ingest", "tiny", "--root", "nowhere", "--out", "x.h5"], "nowhere"),
        (["ingest", "tiny", "--root", "IN", "--out", "x.h5", "--set", "fault"], "NAME=VALUE"),
        (["ingest", "tiny", "--root", "IN", "--out", "x.h5", "--set", "x=1"], "no setting"),
        (["ingest", "tiny", "--root", "IN", "--out", "x.h5", "--skeleton", "coco"], "coco_17"),
        (["store", "info", "nowhere.h5"], "nowhere.h5"),
        (["store", "clean", "nowhere.h5"], "nowhere.h5"),
        (["store", "audit", "nowhere.h5", "--out", "sheets"], "nowhere.h5"),
        (["store", "verify", "nowhere.h5"], "nowhere.h5"),
        (["store", "migrate", "nowhere.h5"], "nowhere.h5"),
        (["merge", "nowhere.h5", "--out", "m.h5"], "nowhere.h5"),
        (["merge", "a.h5", "--plan", "--out", "m.h5"], "either"),
        (["merge", "a.h5"], "either"),
        (["sample", "tinny", "--out", "x"], "tiny"),
        (["sample", "coco", "--out", "IN"], "empty"),
        (["sample", "coco", "--out", "file/x"], "file/x"),
        (["ingest", "tiny", "--root", "IN", "--out", "x.h5", "--step", "9" * 20], "step"),
        (["ingest", "tiny", "--root", "IN", "--out", "/"], "name"),
        (["store", "info", "IN"], "a folder"),
        (["store", "migrate", "/"], "a folder"),
        (["store", "info", "a.h5", "--png", "x.foo"], ".png"),
        (["store", "audit", "a.h5", "--out", "file"], "file"),
        (["fit", "nowhere.h5", "--out", "x.safetensors"], "nowhere.h5"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(folder, capsys, monkeypatch, words, told):
    monkeypatch.chdir(folder)
    (folder / "file").touch()
    StoreWriter(folder / "a.h5", dataset="tiny", skeleton="h36m_17").close()
    assert run(*(folder / "in" if word == "IN" else word for word in words)) == 2
    error = capsys.readouterr().err
    assert error.startswith("skelbridge: ")
    assert len(error.strip().splitlines()) == 1
    assert told in error


def test_a_store_without_samples_is_shown_cleaned_and_merged(folder, capsys):
    StoreWriter(folder / "a.h5", dataset="tiny", skeleton="h36m_17").close()
    assert run("store", "info", folder / "a.h5") == 0
    assert "0 samples (none) from 0 parts" in capsys.readouterr().out
    for words in (["verify"], ["clean"], ["migrate"], ["audit", "--out", folder / "sheets"]):
        assert run("store", words[0], folder / "a.h5", *words[1:]) == 0
    assert run("merge", folder / "a.h5", "--plan") == 0
    assert run("merge", folder / "a.h5", "--out", folder / "m.h5") == 0


def test_looking_for_a_store_that_is_not_there_makes_no_file(folder, capsys):
    for words in (["migrate"], ["clean"], ["info"], ["verify"]):
        assert run("store", words[0], folder / "no" / "a.h5") == 2
    assert not (folder / "no").exists()


def test_latents_are_fitted_on_a_store(folder, capsys):
    pytest.importorskip("torch", reason="fitting needs torch (pip install skelbridge[fit])")
    from skelbridge.bridge.acae import ACAE, fit_acae

    path = ingested(folder, "a.h5", "--no-thin")
    options = ["--latents", "8,2", "--seed", "3"]
    assert run("fit", path, *options, "--out", folder / "own.safetensors") == 0
    want = fit_acae(open_store(path)[:].points, ["h36m_17"], (8, 2), seed=3)
    np.testing.assert_allclose(ACAE.load(folder / "own.safetensors").decoder, want.decoder, atol=1e-6)


@pytest.mark.parametrize("name", ["jta", "spec"])
def test_a_strangers_first_steps(tmp_path, name, capsys):
    """`sample`, then the command that it prints; one dataset needs body models."""
    assert run("sample", name, "--out", tmp_path / "a copy") == 0
    command = capsys.readouterr().out.strip().splitlines()[-1].removeprefix("read it: ")
    command = shlex.split(command)[1:]
    command[command.index("--out") + 1] = str(tmp_path / "a.h5")
    assert run(*command) == 0, capsys.readouterr().err
    assert len(open_store(tmp_path / "a.h5", dropped=True)) > 0
    assert dataset(name).title


def test_the_page_has_the_table_that_the_command_makes():
    page = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text(encoding="utf-8")
    found = page.partition("<!-- table -->")[2].partition("<!-- end of table -->")[0].strip().splitlines()
    assert found == [line for line in table() if "`tiny`" not in line], (
        "paste what `skelbridge datasets --markdown` prints into docs/datasets.md"
    )
