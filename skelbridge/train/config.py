"""The configuration of a training: a TOML file, every field of which is described here.

`read_config("tiny-cpu")` reads a ready one, `read_config("mine.toml", ["initial.steps=1000"])` one's own with changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from skelbridge.datasets.cards import Thinning
from skelbridge.errors import InputError, UnknownNameError, nearest
from skelbridge.estimator.consistency import ConsistencySettings, Variant
from skelbridge.estimator.design import Design
from skelbridge.estimator.losses import LossSettings
from skelbridge.landmarks import parse_toml, read_toml
from skelbridge.store.mixtures import Mixture
from skelbridge.train.augment import Augmentation
from skelbridge.train.schedule import Schedule

#: The stages of a training, in their order.
Stage = Literal["data", "initial", "pseudo", "fit", "finetune", "report"]
STAGES: tuple[Stage, ...] = ("data", "initial", "pseudo", "fit", "finetune", "report")

_READY = Path(__file__).parent / "configs"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Virtual(_Part):
    """Virtual datasets, made where the stores are not there yet."""

    datasets: tuple[str, ...] = Field(min_length=1, description="their names in the registry, or TOML files")
    train: int = Field(gt=0, description="samples of each to train on")
    test: int = Field(gt=0, description="samples of each to judge by")
    seed: int = Field(default=0, description="of people, poses, places and labels")
    motions: Path | None = Field(
        default=None, description="folder of BVH or ASF/AMC clips to move as; none: random poses"
    )
    packed: int | None = Field(default=None, gt=0, description="pixels of a packed picture's side; none: as they say")
    workers: int = Field(default=2, ge=0, description="processes that render; 0: this one")


class Data(_Part):
    """What is learned from, and what is judged by."""

    store: Path = Field(description="store of all datasets (`skelbridge merge`)")
    mixture: str | Mixture = Field(description="examples a batch of each dataset: a name, a TOML file, or written out")
    formats: tuple[str, ...] = Field(
        default=(),
        description="skeleton formats that the network puts out; none: those of the mixture's datasets of 3D labels",
    )
    renormalise: bool = Field(default=False, description="go on without datasets of the mixture that the store lacks")
    judged: tuple[str, ...] = Field(
        default=("test",), description="splits of the store that no training sees, to judge by"
    )
    truth: Path | None = Field(
        default=None, description="store of exact labels of judged pictures in other formats, where they are known"
    )
    workers: int = Field(default=4, ge=0, description="processes that prepare examples; 0: the training's own")
    virtual: Virtual | None = Field(default=None, description="datasets to render first, where the store is not there")


class Phase(_Part):
    """A run of optimisation."""

    steps: int = Field(gt=0, description="steps of optimisation")
    frozen_steps: int = Field(
        default=1000, ge=0, description="the last ones with batch normalisation in inference mode"
    )
    schedule: Schedule = Field(default=Schedule(), description="learning rates")


class Initial(Phase):
    """The first stage: separate heads for all formats."""

    steps: int = Field(default=400_000, gt=0, description="steps of optimisation")


class Pseudo(_Part):
    """Pseudo ground truth: the initial network's predictions in all formats."""

    datasets: tuple[str, ...] = Field(
        default=("h36m", "bml_movi"), description="datasets to predict on; none: all of 3D labels"
    )
    splits: tuple[str, ...] = Field(default=("train", "val"), description="splits of them, as far as there are")
    flip: bool = Field(default=True, description="average with the prediction on the mirrored picture")
    thinning: Thinning = Field(
        default=Thinning(rule="since_any", mm=100.0, memory=500), description="which frames of a recording are used"
    )
    limit: int | None = Field(default=None, gt=0, description="samples at most, evenly from all")


class Fit(_Part):
    """The affine-combining autoencoder: see `skelbridge.bridge.acae.fit_acae`."""

    latents: tuple[int, int] = Field(default=(40, 8), description="sided and central latent keypoints")
    l1: float = Field(default=0.6, ge=0, description="price of weights")
    projection: bool = Field(default=True, description="compare projections: depths of pseudo ground truth disagree")
    sample: int | None = Field(default=None, gt=0, description="poses to fit on at most")


class Finetune(Phase):
    """Fine-tuning for consistency between formats."""

    steps: int = Field(default=40_000, gt=0, description="steps of optimisation")
    variants: tuple[Variant, ...] = Field(
        default=("output",),
        min_length=1,
        description="how, one after the other: output, latents, hybrid; none for the same without",
    )
    consistency: ConsistencySettings = Field(default=ConsistencySettings(), description="weights of the terms")


class Machine(_Part):
    """On what it runs."""

    accelerator: str = Field(default="auto", description="auto, cpu or cuda")
    devices: int | Literal["auto"] = Field(
        default="auto", description="processes on each machine: GPUs, or parts of a CPU"
    )
    nodes: int = Field(default=1, ge=1, description="machines, where torchrun or Slurm starts several")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(default="32-true", description="of convolutions")
    threads: int | None = Field(default=None, ge=1, description="threads of torch on a CPU; none: as torch likes")
    channels_last: bool = Field(default=True, description="memory format of pictures and features")
    deterministic: bool = Field(
        default=False, description="only algorithms that give the same bits on a GPU every time"
    )


class Keeping(_Part):
    """What is written on the way."""

    checkpoint_every: int = Field(default=2000, gt=0, description="steps between checkpoints")
    checkpoints: int = Field(default=2, ge=1, description="how many stay")
    log_every: int = Field(default=50, gt=0, description="steps between lines of the log")
    validate_every: int = Field(default=2000, gt=0, description="steps between validations")
    validate_samples: int = Field(default=1000, gt=0, description="samples to validate on, evenly from those judged by")


class Config(_Part):
    """A training: data, network, stages, machine."""

    out: Path = Field(description="folder of the run")
    seeds: tuple[int, ...] = Field(default=(1,), min_length=1, description="one training for each")
    data: Data
    design: Design = Field(default=Design())
    augmentation: Augmentation = Field(default=Augmentation())
    losses: LossSettings = Field(default=LossSettings())
    weak_perspective_steps: int = Field(
        default=500, ge=0, description="first steps of a stage, in which people are placed by their size alone"
    )
    max_norm: float | None = Field(default=20.0, gt=0, description="largest norm of a backbone's filter; none: any")
    ema: float | None = Field(default=None, gt=0, lt=1, description="decay of averaged weights; none: no average")
    initial: Initial = Field(default=Initial())
    pseudo: Pseudo = Field(default=Pseudo())
    fit: Fit = Field(default=Fit())
    finetune: Finetune = Field(default=Finetune())
    machine: Machine = Field(default=Machine())
    keeping: Keeping = Field(default=Keeping())

    @model_validator(mode="after")
    def _fits(self) -> Config:
        for name in ("initial", "finetune"):
            phase: Phase = getattr(self, name)
            if phase.frozen_steps > phase.steps:
                raise ValueError(f"{name}.frozen_steps is {phase.frozen_steps}, more than its {phase.steps} steps")
        if self.design.head != "joints":
            raise ValueError("design.head is set by the stage: leave it out, and name finetune.variants")
        return self


def ready_configs() -> dict[str, Path]:
    """The configurations that come with skelbridge, by name."""
    return {path.stem: path for path in sorted(_READY.glob("*.toml"))}


def read_config(name: str | Path, changes: Sequence[str] = ()) -> Config:
    """A ready configuration by name, or a TOML file of one's own; `changes` are "key.key=value", values as in TOML.

    Relative paths are those from where the command is run. Raises UnknownNameError, or InputError that names the field.
    """
    path = Path(name) if str(name).endswith(".toml") else ready_configs().get(str(name))
    if path is None:
        raise UnknownNameError(
            f"there is no configuration {str(name)!r}",
            expected=f"one of {', '.join(ready_configs())}, or a file that ends in .toml",
        )
    values = read_toml(path)
    for change in changes:
        _set(values, change)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(f"the configuration {path}", got="; ".join(map(_problem, error.errors()))) from None


def _set(values: dict[str, Any], change: str) -> None:
    """Put "a.b=value" into nested tables."""
    key, sign, text = change.partition("=")
    *tables, last = key.strip().split(".")
    if not sign or not last:
        raise InputError("--set", expected="key=value, such as initial.steps=1000", got=repr(change))
    place = values
    for table in tables:
        place = place.setdefault(table, {})
        if not isinstance(place, dict):
            raise InputError(f"--set {change}", expected=f"a table {table}", got=repr(place))
    try:
        place[last] = parse_toml(f"value = {text}")["value"]
    except ValueError:
        place[last] = text.strip()  # a word needs no quotes


def _problem(error: Mapping[str, Any]) -> str:
    """A validation error in a line, with the nearest field for an unknown one."""
    where = ".".join(map(str, error["loc"])) or "the file"
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg'].removeprefix('Value error, ')}"
    known = [name for name, _ in _fields(Config, error["loc"][:-1])]
    return f"{where}: there is no such field; near are {', '.join(nearest(str(error['loc'][-1]), known) or known)}"


def _fields(model: Any, path: Sequence[int | str] = ()) -> Iterator[tuple[str, Any]]:
    """The fields of a model, or of one below it."""
    for name in path:
        field = getattr(model, "model_fields", {}).get(name)
        model = field.annotation if field else None
    yield from getattr(model, "model_fields", {}).items()


def field_table(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """A line for each field: its name, its default and what it is, for documents."""
    lines = []
    for name, field in _fields(model):
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            lines += field_table(inner, f"{prefix}{name}.")
            continue
        default = field.get_default(call_default_factory=True)
        shown = "required" if field.is_required() else "none" if default is None else f"`{default}`"
        lines.append(f"| `{prefix}{name}` | {shown} | {field.description} |")
    return lines
