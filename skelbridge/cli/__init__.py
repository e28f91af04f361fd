"""The `skelbridge` command; thin: every sub-command is one call into the library."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from skelbridge.cli import bridge, data, poses
from skelbridge.errors import SkelbridgeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 for success, 2 for bad input (one message, no traceback), 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except SkelbridgeError as error:
        print(f"skelbridge: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print("; ".join(["skelbridge: interrupted", *map(str, stop.args)]), file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `skelbridge formats | head`
        sys.stderr.close()
    except OSError as error:  # a place that cannot be read or written
        print(f"skelbridge: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skelbridge", description="Convert human poses between skeleton formats; bring datasets into one store."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (poses, bridge, data):
        group.add(commands)
    return parser
