"""The errors that skelbridge raises: what is wrong, what was expected, what was got, how to mend it."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterable
from types import ModuleType


class SkelbridgeError(Exception):
    """Base of every error that skelbridge raises on purpose.

    The message is built from up to four parts, so that every error answers the same questions.

    what: the thing that is wrong, with its place (file, line, joint, argument).
    expected: what would have been right.
    got: what was found instead.
    mend: what to do about it.
    """

    def __init__(self, what: str, *, expected: object = None, got: object = None, mend: str | None = None):
        self.what, self.expected, self.got, self.mend = what, expected, got, mend
        sides = [
            f"expected {expected}" if expected is not None else "",
            f"got {got}" if got is not None else "",
        ]
        found = ", ".join(side for side in sides if side)
        text = f"{what}: {found}." if found else f"{what}."
        super().__init__(f"{text} {mend}" if mend else text)

    def __str__(self) -> str:  # KeyError would print the message quoted
        return str(self.args[0])


class InputError(SkelbridgeError, ValueError):
    """An argument or an array does not have the form that was asked for."""


class UnknownNameError(SkelbridgeError, LookupError):
    """A format, joint or landmark of that name does not exist."""


class CardError(SkelbridgeError, ValueError):
    """A registry card is wrong; the message names the file and the field."""


class FileFormatError(SkelbridgeError, ValueError):
    """A file cannot be read: damaged, truncated, hostile, or not of the kind that was expected."""


class MissingExtraError(SkelbridgeError, ImportError):
    """An optional dependency is not installed; the message names the pip command that installs it."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The `count` known names most similar to `name`, best first."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.3)


def need(module: str, extra: str) -> ModuleType:
    """Import `module`, or raise the one line that says which extra brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"the package {module.split('.')[0]!r} is not installed",
            mend=f'Run: pip install "skelbridge[{extra}]"',
        ) from error


def exit_code(command: Callable[[], object]) -> int:
    """Run a command: 0 for success, 2 for bad input (one message, no traceback), 130 when interrupted."""
    try:
        command()
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
