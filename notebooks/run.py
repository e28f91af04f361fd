"""Run notebooks from top to bottom and keep their outputs, small.

python notebooks/run.py [NOTEBOOK ...]   (none: all)
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent
#: Pixels across of a picture, its colours at most, and seconds for a cell.
WIDEST, COLOURS, SECONDS = 1000, 48, 300
#: Kinds of output that are kept; interactive figures weigh megabytes and are there when the notebook is run.
KEPT = ("image/png", "text/plain")
PLOTLY = "application/vnd.plotly.v1+json"


def run(path: Path) -> Any:
    """The notebook with fresh outputs; nbclient.exceptions.CellExecutionError if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    paths = [str(FOLDER.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}})
        # One thread: the matrices are small, and the outputs are the same on every machine with more of them.
        client.execute(env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"})
    return notebook


def slim(notebook: Any) -> None:
    """Make pictures small, and leave out what is heavy or differs from run to run."""
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            if "data" not in output:
                continue
            interactive = PLOTLY in output.data
            output.data = {kind: content for kind, content in output.data.items() if kind in KEPT}
            output.metadata = {}
            if interactive:
                output.data = {"text/plain": "(an interactive figure: run the notebook to see it)"}
            if "image/png" in output.data:
                output.data = {"image/png": small(output.data["image/png"]), "text/plain": "<Figure>"}


def small(png: str) -> str:
    """A PNG in base64 with fewer pixels and colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    few = picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    few.save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main() -> None:
    """Run what the command line names."""
    for path in map(Path, sys.argv[1:] or sorted(FOLDER.glob("*.ipynb"))):
        notebook = run(path)
        slim(notebook)
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
