"""The wheel carries the registry and the bridge: install it elsewhere, alone, and convert there."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = """
import numpy, pathlib, skelbridge
from skelbridge.convert import Converter
assert pathlib.Path(skelbridge.__file__).is_relative_to(pathlib.Path(__import__("sys").prefix)), skelbridge.__file__
out = Converter("coco", "h36m")(numpy.random.default_rng(0).normal(size=(4, 17, 3)))
print(len(skelbridge.formats()), out.points.shape, numpy.isfinite(out.points).any())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.fail(f"the wheel cannot be built: {made.stderr[-800:]}")
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_registry_bridge_and_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "registry/landmarks.toml",
        "registry/skeletons/coco_17.toml",
        "bridge/bridge.safetensors",
        "py.typed",
    }
    assert not {name for name in wanted if f"skelbridge/{name}" not in names}
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "registry"))]


def test_it_converts_in_an_empty_environment_elsewhere(wheel, tmp_path):
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    out = subprocess.run([str(python), "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    count = len(list((ROOT / "registry" / "skeletons").glob("*.toml")))
    assert out.stdout.split() == [str(count), "(4,", "17,", "3)", "True"]
