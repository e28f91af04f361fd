"""The log of a stage: lines of JSON, and the same for TensorBoard.

A stage that goes on after a stop drops the lines beyond the checkpoint that it goes on from.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skelbridge.errors import FileFormatError, need
from skelbridge.io.files import replacing

FILE = "log.jsonl"


class Log:
    """Writes `log.jsonl` and TensorBoard's events below a folder, after the first `start` steps."""

    def __init__(self, folder: Path, start: int = 0):
        self.path = folder / FILE
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            kept = [line for line in read_log(folder) if line["step"] <= start]
            with replacing(self.path) as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._writer = need("torch.utils.tensorboard", "train").SummaryWriter(str(folder), purge_step=start + 1)
        self._sums: dict[str, float] = defaultdict(float)
        self._count, self._since = 0, time.monotonic()

    def add(self, step: int, figures: Mapping[str, float], every: int) -> None:
        """Take the figures of a step; every so many steps a line with their means, and steps a second, is written."""
        self._count += 1
        for name, value in figures.items():
            self._sums[name] += value
        if step % every == 0:
            passed = time.monotonic() - self._since
            means = {name: value / self._count for name, value in self._sums.items()}
            self.say(step, means | {"steps/s": self._count / max(passed, 1e-9)})
            self._sums.clear()
            self._count, self._since = 0, time.monotonic()

    def say(self, step: int, figures: Mapping[str, float]) -> None:
        """Write a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a stage's log, as far as they are whole; FileFormatError for a file that is none."""
    lines: list[dict[str, Any]] = []
    rows = (folder / FILE).read_text(encoding="utf-8").splitlines()
    for number, row in enumerate(rows, 1):
        try:
            line = json.loads(row)
            line["step"] = int(line["step"])
        except (ValueError, TypeError, KeyError) as error:
            if number == len(rows):
                break  # the process was killed as it wrote
            raise FileFormatError(f"{folder / FILE}, line {number}", expected="JSON with a step", got=error) from error
        lines.append(line)
    return lines
