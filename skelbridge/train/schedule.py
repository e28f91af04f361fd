"""Learning rates as functions of the step, after section S2 and Fig. S1 of the paper's supplement.

All of them are one curve: the rate decays by a factor of 3 until it drops by 10, and then decays on until the end. Only
the place of the drop differs: at 92 % of initial training, in the middle of fine-tuning for the head (a warm restart),
and before the first step for the backbone, which repeats the last part of the curve while it is fine-tuned.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from skelbridge.errors import InputError


class Rates(NamedTuple):
    """The learning rates of one step."""

    head: float
    backbone: float


class Schedule(BaseModel):
    """The learning rates of a training; steps count from 0, so the rate of the last one is that of steps - 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: float = Field(default=2.121e-4, gt=0, description="learning rate of the first step")
    drop_at: float = Field(default=0.92, gt=0, le=1, description="where the rate drops, as a part of initial training")
    head_drop_at: float = Field(
        default=0.5, gt=0, le=1, description="where the head's rate drops, as a part of fine-tuning"
    )
    decay: float = Field(default=3.0, ge=1, description="what the rate is divided by, bit by bit, until it drops")
    drop: float = Field(default=10.0, ge=1, description="what the rate is divided by where it drops")
    last: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="what the rate is multiplied by, bit by bit, after the drop; the paper says 1/3",
    )
    warm_up: int = Field(default=0, ge=0, description="steps over which the rates grow from nothing, linearly")

    def initial(self, step: float, steps: int) -> Rates:
        """The rates of a step of initial training, the same for head and backbone; `steps` in all."""
        rate = self.warmth(step) * self.curve(part_of(step, steps), self.drop_at)
        return Rates(rate, rate)

    def fine_tuning(self, step: float, steps: int) -> Rates:
        """The rates of a step of fine-tuning; `steps` in all."""
        part, warmth = part_of(step, steps), self.warmth(step)
        return Rates(warmth * self.curve(part, self.head_drop_at), warmth * self.curve(part, 0.0))

    def curve(self, part: float, drop_at: float) -> float:
        """The rate when a part, 0 to 1, of the steps is done, with the drop at `drop_at`; from there on it is low."""
        if part < drop_at:
            return float(self.base * self.decay ** (-part / drop_at))
        remaining = 1 - drop_at
        done = (part - drop_at) / remaining if remaining > 0 else 0.0
        return float(self.base / (self.decay * self.drop) * self.last**done)

    def warmth(self, step: float) -> float:
        """What the rates of a step are multiplied by: below 1 while warming up, 1 from then on."""
        return min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0


def part_of(step: float, steps: int) -> float:
    """The part of the steps that is done; InputError for a step outside of 0 to `steps`."""
    if steps < 1 or not 0 <= step <= steps:
        raise InputError("step", expected=f"0 to {steps}, of 1 step or more", got=step)
    return step / steps
