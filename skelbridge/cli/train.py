"""The command that trains: train."""

from __future__ import annotations

import argparse
from typing import Any

from skelbridge.train.command import DESCRIPTION, add_arguments


def add(commands: Any) -> None:
    """Add this command to the parser's."""
    train = commands.add_parser(
        "train", help="train a pose network (needs [train])", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_arguments(train)
