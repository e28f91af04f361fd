"""Every dataset: its reader against a native-layout copy that was written apart from it, whole and damaged."""

import shutil
from contextlib import suppress

import numpy as np
import pytest
from native import disagreements, read_all

from benchmarks.damage import KINDS, SECONDS, annotation_files, damage, limited
from skelbridge.datasets import datasets, ingest, reader_class
from skelbridge.errors import SkelbridgeError
from skelbridge.io.tree import Tree
from skelbridge.store import mixture, open_store
from skelbridge.synthetic.native import copies, write_copy

#: Damages a copy; fewer where reading it takes seconds.
ROUNDS, ROUNDS_OF_LARGE = 12, 3


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Gives the folder of a dataset's copy and what reading it must give; written once."""
    made = {}

    def get(name):
        if name not in made:
            root = tmp_path_factory.mktemp(name) / name
            made[name] = root, write_copy(name, root)
        return made[name]

    return get


def test_every_dataset_has_a_card_a_reader_and_a_copy():
    assert len(datasets()) == 38
    assert set(copies()) == set(datasets())
    for name, card in datasets().items():
        assert reader_class(name).skeletons == card.skeletons


@pytest.mark.parametrize("name", copies())
def test_a_reader_gives_what_its_dataset_says(copy, name):
    root, truths = copy(name)
    assert truths
    problems, _ = disagreements(name, root, truths)
    assert not problems, "\n".join(problems[:20])


@pytest.mark.parametrize("name", copies())
def test_a_copy_is_ingested_and_passes_its_self_checks(copy, name, tmp_path):
    root, truths = copy(name)
    models = root / "models" if (root / "models").is_dir() else None
    report = ingest(name, root, tmp_path / "a.h5", models=models, progress=False)  # a failed check is an error
    assert "check passed" in str(report)
    assert 0 < len(open_store(tmp_path / "a.h5", dropped=True)) <= len(truths)


@pytest.mark.parametrize("name", copies())
def test_damaged_files_are_one_clear_error_or_are_read(copy, name, tmp_path):
    root, truths = copy(name)
    rng = np.random.default_rng(list(name.encode()))
    files = annotation_files(root)
    shutil.copytree(root, tmp_path / name)
    for number in range(ROUNDS if len(truths) < 1000 else ROUNDS_OF_LARGE):
        chosen = files[rng.integers(len(files))]
        target = tmp_path / name / chosen.relative_to(root)
        whole = chosen.read_bytes()
        damage(target, whole, KINDS[number % len(KINDS)], rng)
        with limited(SECONDS), suppress(SkelbridgeError):  # a hang is a TimeoutError
            read_all(name, tmp_path / name, truths[0].skeleton)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(whole)


def test_a_wrong_folder_is_told_what_is_missing(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"no dataset")
    for name in datasets():
        with pytest.raises(SkelbridgeError, match="expected") as caught:
            reader_class(name)(Tree(tmp_path)).parts()
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ["small", "medium", "full"])
def test_mixtures_train_on_what_cards_have_and_do_not_evaluate_on(name):
    for stream in mixture(name).streams:
        card = datasets()[stream.dataset]
        assert set(stream.splits) <= set(card.splits) - set(card.evaluation), stream.dataset
