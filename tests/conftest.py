"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core needs no threads; read when numpy and torch load
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real samples, which is no part of the repository; tests that need it skip without it."""
    folder = Path(os.environ.get("SKELBRIDGE_REAL", Path(__file__).parents[2] / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip(f"no real samples in {folder} (set SKELBRIDGE_REAL)")
    return folder
