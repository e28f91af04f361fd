"""What the documents say of the code is what the code says."""

from pathlib import Path

from skelbridge.bridge import shipped_acae
from skelbridge.bridge.acae import descent, fit
from skelbridge.bridge.acae.objective import NEIGHBOURHOOD
from skelbridge.bridge.acae.sample import SAMPLE
from skelbridge.bridge.relation import SMALLEST_WEIGHT
from skelbridge.convert import CONFIDENCE_LEVELS
from skelbridge.skeletons import DEFAULT_UNCERTAINTY, formats

ROOT = Path(__file__).parents[1]


def text(name):
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_the_readme_counts_the_formats():
    assert f"between any two of {len(formats())} skeleton formats" in text("README.md")
    assert f"**{len(formats())} formats**" in text("README.md")


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
        ("docs/acae.md", "acae recipe"),
        ("docs/acae.md", "acae sweep"),
    ]:
        body = (ROOT / name).read_text(encoding="utf-8")
        block = body.split(f"<!-- {mark}: written by a command -->")[1].split(f"<!-- {mark}: end -->")[0]
        assert block.count("\n|") > 5, name
