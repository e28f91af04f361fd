"""The notebooks run from top to bottom, and what is committed of them is whole and small."""

import importlib.util
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="reading notebooks needs nbformat: pip install skelbridge[test]")
for package in ("nbclient", "ipykernel", "plotly", "matplotlib", "torch", "cvxpy", "h5py", "av"):
    pytest.importorskip(
        package, reason=f"the notebooks need {package}: pip install skelbridge[plot,data,fit,notebook,test]"
    )

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
#: Bytes of a notebook with its outputs.
LARGEST = 400_000


@pytest.fixture(scope="module")
def runner():
    """The script that runs notebooks."""
    spec = importlib.util.spec_from_file_location("notebooks_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_there_are_four():
    assert [path.name[:3] for path in NOTEBOOKS] == ["01_", "02_", "03_", "04_"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_what_is_committed(path, runner):
    """Fresh outputs are of the kinds that are committed; numbers may differ from machine to machine."""
    notebook = runner.run(path)
    runner.slim(notebook)
    assert kinds(notebook) == kinds(nbformat.read(path, as_version=4))


def kinds(notebook):
    """For each cell the kinds of its outputs; how a stream is divided is chance."""
    return [
        {kind for output in cell.get("outputs", []) for kind in output.get("data", [output.get("name")])}
        for cell in notebook.cells
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_is_whole_and_small(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and "import" not in cell.source.split("\n")[0]]
    assert all(cell.execution_count for cell in code)
    found = outputs(notebook)
    assert not [output for output in found if output.output_type == "error" or output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in found) >= 4
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_to_notebooks_that_are_there(path):
    for line in path.read_text(encoding="utf-8").split("](")[1:]:
        target = line.partition(")")[0]
        assert target.startswith("http") or (FOLDER / target).is_file(), target
