"""The `skelbridge` command; thin: every sub-command is one call into the library."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from skelbridge.cli import bridge, data, poses, train, virtual
from skelbridge.errors import exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code: see `skelbridge.errors.exit_code`."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skelbridge",
        description="Convert human poses between skeleton formats; bring datasets into one store; "
        "train pose networks on it.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (poses, bridge, data, train, virtual):
        group.add(commands)
    return parser
