"""Training pose networks: `train(read_config("tiny-cpu"))`, or `skelbridge train tiny-cpu`.

What needs torch is imported when it is first used, so that the command's help is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skelbridge.train.config import STAGES, Config, read_config, ready_configs
    from skelbridge.train.stages import check, train

__all__ = ["STAGES", "Config", "check", "read_config", "ready_configs", "train"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "stages" if name in ("check", "train") else "config"
    return getattr(import_module(f"{__name__}.{home}"), name)
