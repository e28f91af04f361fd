"""The record of a run: what exactly was run, on what, by which versions."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from skelbridge import __version__
from skelbridge.io.files import replacing
from skelbridge.train.config import Config

FILE = "run.json"
_PACKAGES = ("torch", "timm", "numpy", "lightning-fabric", "opencv-python-headless", "h5py", "safetensors")


def write_record(folder: Path, config: Config, seed: int, data: str) -> None:
    """Add this call to the folder's record: configuration, data, versions, machine, command and time."""
    path = folder / FILE
    calls = read_record(folder)["calls"] if path.exists() else []
    calls.append(
        {
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": sys.argv,
            "machine": _machine(),
            "versions": _versions(),
            "config": config.model_dump(mode="json"),
        }
    )
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"seed": seed, "data": data, "calls": calls}, indent=1), encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a folder, the calls in their order."""
    found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return found


def _versions() -> dict[str, str]:
    found = {"skelbridge": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _machine() -> str:
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return f"{platform.machine()}, {torch.get_num_threads()} threads; {', '.join(gpus) or 'no GPU'}"
