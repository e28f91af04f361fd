"""What readers of Python's and NumPy's own files share: they are opened below the dataset's folder, and never run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.io.files import damaged
from skelbridge.io.pickles import read_npz, read_pickle
from skelbridge.io.tree import Tree


def load_pickle(tree: Tree, path: str, *, skip: Callable[[tuple[int, ...]], bool] | None = None) -> dict[str, Any]:
    """The dict of a pickle, or the columns of a table; see `read_pickle`."""
    with tree.open(path) as stream:
        content = read_pickle(stream, tree.root / path, skip=skip)
    if not isinstance(content, dict):
        raise damaged(tree.root / path, "", expected="a dict", got=type(content).__name__)
    return content


def load_npz(tree: Tree, path: str, variables: Collection[str]) -> dict[str, NDArray[Any]]:
    """Some arrays of a .npz file; FileFormatError where one is not there."""
    with tree.open(path) as stream:
        content = read_npz(stream, tree.root / path, variables)
    if missing := set(variables) - set(content):
        raise damaged(tree.root / path, "", expected=f"the array {min(missing)}", got=", ".join(sorted(content)))
    return content


def flat(values: Any) -> Any:
    """A matrix as the list of its numbers; what is none is left to be checked."""
    return values.ravel() if isinstance(values, np.ndarray) else values


def field(tree: Tree, path: str, content: dict[str, Any], *names: str) -> Any:
    """What a dict has under the first of the names that it has; FileFormatError where it has none of them."""
    for name in names:
        if name in content:
            return content[name]
    got = ", ".join(map(str, list(content)[:12]))
    raise damaged(tree.root / path, "", expected=f"a dict with {' or '.join(names)}", got=got)
