"""Small copies of public datasets in their native layout, with virtual people: one module for each dataset."""

from __future__ import annotations

import importlib
from pathlib import Path

from skelbridge.errors import UnknownNameError, nearest
from skelbridge.synthetic.truth import Truth


def copies() -> tuple[str, ...]:
    """The ids of the datasets of which a copy can be written, in alphabetic order."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")))


def write_copy(id: str, out: Path) -> list[Truth]:
    """Write the copy of a dataset below a folder; returns what reading it must give.

    Where its reader needs SMPL-family models, stand-ins lie in `out / "models"`. Raises UnknownNameError for other ids.
    """
    if id not in copies():
        raise UnknownNameError(f"no copy of a dataset {id!r}", expected=f"one such as {nearest(id, copies())}")
    written: list[Truth] = importlib.import_module(f"{__name__}.{id}").write(Path(out))
    return written
