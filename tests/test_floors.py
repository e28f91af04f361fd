"""The house has floors, and imports go down only; the front door stays light."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "skelbridge"
FLOORS = [
    {"errors", "skeletons", "landmarks", "camera"},
    {"poses"},
    {"bridge", "io", "store"},
    {"convert", "datasets"},
    {"body"},
    {"synthetic"},
    {"estimator"},
    {"evaluate"},
    {"train"},
    {"plot", "drawing"},
    {"demo", "samples"},
    {"cli"},
]
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
#: Convenience methods that call a higher room inside the method: (module, room it may call).
EXCEPTIONS = {("poses", "convert"), ("poses", "io"), ("poses", "plot"), ("convert", "plot"), ("train", "plot")}


def imports(path):
    """(room, whether the import is at module level) for every skelbridge import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skelbridge."):
            yield node.module.split(".")[1], id(node) in top
        elif isinstance(node, ast.ImportFrom) and node.module == "skelbridge":
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("skelbridge."):
                    yield alias.name.split(".")[1], id(node) in top


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_go_down_only_and_never_in_a_circle():
    wrong, used_by_room = [], {}
    for path in PACKAGE.rglob("*.py"):
        room = room_of(path)
        if room == "__init__":
            continue
        assert room in HEIGHT, f"{room} has no floor: give it one here"
        for used, at_top in imports(path):
            if used == room or used not in HEIGHT or (not at_top and (room, used) in EXCEPTIONS):
                continue
            if HEIGHT[used] > HEIGHT[room]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {used}")
            used_by_room.setdefault(room, set()).add(used)
    assert not wrong, wrong
    list(TopologicalSorter(used_by_room).static_order())  # raises CycleError for a circle


@pytest.mark.parametrize("module", ["skelbridge", "skelbridge.convert"])
def test_the_front_door_imports_nothing_heavy(module):
    heavy = ["torch", "cvxpy", "matplotlib", "anny", "scipy", "h5py"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == "[]"
