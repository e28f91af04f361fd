"""What the documents say of the code is what the code says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skelbridge.bridge import shipped_acae
from skelbridge.bridge.acae import descent, fit
from skelbridge.bridge.acae.objective import NEIGHBOURHOOD
from skelbridge.bridge.acae.sample import SAMPLE
from skelbridge.bridge.relation import SMALLEST_WEIGHT
from skelbridge.convert import CONFIDENCE_LEVELS
from skelbridge.datasets import readers
from skelbridge.skeletons import DEFAULT_UNCERTAINTY, formats

ROOT = Path(__file__).parents[1]


def text(name):
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_the_readme_counts_the_formats():
    assert f"between any two of {len(formats())} skeleton formats" in text("README.md")
    assert f"**{len(formats())} formats**" in text("README.md")


def test_the_readme_counts_the_datasets():
    assert f"**{len(readers())} datasets, read as they are distributed" in text("README.md")


def test_the_readme_counts_the_latents():
    assert f"**Latent keypoints**: {len(shipped_acae().latents)} points between all formats" in text("README.md")


def test_constants_in_the_documents():
    numbers = ", ".join(f"{mm:g}" for mm in DEFAULT_UNCERTAINTY.values())
    assert f"else by kind: {numbers}" in text("docs/cards.md")
    assert f"Weights below {SMALLEST_WEIGHT} are pruned" in text("docs/how.md")
    least, factor = zip(*CONFIDENCE_LEVELS, strict=True)
    assert f"(from {', '.join(map(str, least))}), which multiply the noise by" in text("docs/how.md")
    assert f"by {', '.join(f'{f:g}' for f in factor)}; below is missing" in text("docs/how.md")


def test_constants_of_the_autoencoder():
    page, settings = text("docs/acae.md"), fit.Settings()
    assert f"Of more poses than {SAMPLE:,} a random sample is kept" in page
    assert f"joints within {NEIGHBOURHOOD:g} mm of each other count as one" in page
    assert f"passes over the poses in batches of {descent.BATCH}" in page
    assert (fit.EPOCHS, fit.REFIT_EPOCHS) == (2, 1)  # "two passes", "one more pass"
    assert f"Weights below {settings.prune} become zero" in page
    assert f"batches of {descent.RECIPE_BATCH}, {descent.RECIPE_EPOCHS} passes" in page


def test_measured_numbers_stand_between_the_marks_of_their_commands():
    for name, mark in [
        ("README.md", "headline"),
        ("docs/fidelity.md", "fidelity"),
        ("docs/speed.md", "speed"),
        ("docs/speed.md", "training tiny-cpu"),
        ("docs/training.md", "consistency"),
        ("docs/acae.md", "acae recipe"),
        ("docs/acae.md", "acae sweep"),
    ]:
        body = (ROOT / name).read_text(encoding="utf-8")
        block = body.split(f"<!-- {mark}: written by a command -->")[1].split(f"<!-- {mark}: end -->")[0]
        assert block.count("\n|") > 5, name


@pytest.fixture(scope="module")
def unified(tmp_path_factory):
    """The README's session anew: its folder, and its lines."""
    pytest.importorskip("h5py", reason="stores need h5py: pip install skelbridge[data]")
    pytest.importorskip("av", reason="the copies have videos: pip install skelbridge[data]")
    unify = pytest.importorskip("benchmarks.unify", reason="the benchmarks are not installed")
    folder = tmp_path_factory.mktemp("unify")
    return folder, unify.session(folder)


def without_sizes(lines):
    """Lines without times and bytes, which differ from machine to machine."""
    return [re.sub(r"[\d.,]+ (MB|kB|s of work)", r"_ \1", line) for line in lines]


def test_the_readmes_session_is_what_the_commands_print(unified):
    body = (ROOT / "README.md").read_text(encoding="utf-8")
    block = body.split("<!-- unify: written by a command -->")[1].split("<!-- unify: end -->")[0]
    assert without_sizes(block.strip().splitlines()[1:-1]) == without_sizes(unified[1])


def test_the_readmes_lines_about_stores_run(unified):
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Unify datasets")[1]
    code = section.split("```python\n")[1].split("```")[0]
    code += "assert sample.points.shape == (19, 3)\nassert len(batch) and len(batch.images()) == len(batch)\n"
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=unified[0],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_document_of_training_says_what_the_code_says():
    from skelbridge.train.config import field_table
    from skelbridge.train.data import RESTARTS
    from skelbridge.train.loop import MOST_SKIPPED

    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert all(line in page for line in field_table())
    assert (MOST_SKIPPED, RESTARTS) == (40, 3)  # "forty in a row", "a fourth time in a row"
    for name in ("tiny-cpu", "virtual-gpu", "paper-s", "paper-l"):
        assert f"`{name}`" in page
