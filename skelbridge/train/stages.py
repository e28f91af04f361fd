"""The stages of a training, each in its own folder, each done once.

    OUT/seed-1/initial/             separate heads for all formats: model.safetensors, log, checkpoints
    OUT/seed-1/pseudo/poses.npz     its predictions in all formats at once
    OUT/seed-1/fit/                 the autoencoder fitted on them
    OUT/seed-1/finetune-output/     fine-tuned for consistency, one folder a variant
    OUT/report.md                   accuracy and inconsistency of all, with pictures

A stage that is there is not done again; one that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from skelbridge.bridge.acae import ACAE, fit_acae
from skelbridge.errors import InputError, nearest, need
from skelbridge.estimator.autoencoder import Autoencoder
from skelbridge.estimator.consistency import Objective, Variant
from skelbridge.estimator.design import Head
from skelbridge.estimator.estimator import Estimator
from skelbridge.estimator.names2d import names2d_matrix
from skelbridge.estimator.network import PoseNetwork
from skelbridge.estimator.weights import load_model, save_model
from skelbridge.io.files import replacing
from skelbridge.io.paired import read_paired
from skelbridge.train.config import STAGES, Config, Machine, Phase, Stage
from skelbridge.train.data import TrainingData
from skelbridge.train.judging import judge, validation
from skelbridge.train.loop import Loop, Plan
from skelbridge.train.optimiser import weight_decay
from skelbridge.train.precision import Autocast
from skelbridge.train.pseudo import chosen_rows, join_blocks, predict_blocks
from skelbridge.train.record import write_record
from skelbridge.train.report import write_report
from skelbridge.train.schedule import Rates
from skelbridge.train.sources import Sources, open_sources

#: What the network's head puts out for each variant.
HEADS: Mapping[Variant, Head] = {"none": "joints", "output": "joints", "latents": "latents", "hybrid": "both"}
#: Files of a stage: the result, the weights before batch normalisation froze, which is what fine-tuning begins with.
MODEL, BEFORE_FROZEN = "model.safetensors", "before_frozen.safetensors"
POSES, AUTOENCODER, JUDGED = "poses.npz", "autoencoder.safetensors", "judged.json"
#: Written when a stage is complete, with the digest of all that its result depends on.
DONE = "stage.json"


def train(config: Config, stages: Sequence[Stage] = STAGES, *, progress: bool = True) -> Path:
    """Carry out stages of a training for all its seeds; the folder of the run.

    Raises SkelbridgeError for a configuration that does not fit the data, before anything is started, and
    KeyboardInterrupt where it was stopped; the same call goes on.
    """
    fabric = launched(config.machine)
    if "data" in stages and fabric.is_global_zero:
        _make_virtual(config, progress)
    fabric.barrier()
    sources = open_sources(config.data)
    _check(config, sources, fabric.world_size)
    for seed in config.seeds:
        run = Run(config, sources, seed, fabric, progress)
        for stage in (name for name in STAGES if name in stages):
            getattr(run, stage, lambda: None)()
    if "report" in stages and fabric.is_global_zero:
        write_report(config.out, sources, check(config))
    return config.out


def _make_virtual(config: Config, progress: bool) -> None:
    """Render the virtual datasets of a configuration, where its store is not there."""
    wanted, store = config.data.virtual, config.data.store
    if wanted is not None and not store.exists():
        from skelbridge.synthetic.virtual import write_virtual_union

        made = write_virtual_union(
            wanted.datasets, store.parent, train=wanted.train, test=wanted.test, seed=wanted.seed,
            workers=wanted.workers, motions=wanted.motions, packed=wanted.packed, progress=progress,
        )  # fmt: skip
        if made != store:
            raise InputError("data.store, where virtual datasets are rendered", expected=made, got=store)


def check(config: Config) -> str:
    """Check a configuration against its data, and say what would be trained; raises as `train` does."""
    sources = open_sources(config.data)
    _check(config, sources, 1)
    counts = [f"  {s.dataset}: {s.count}{' (2D labels)' if s.weak_2d else ''}" for s in sources.mixture.streams]
    return "\n".join(
        [
            f"{len(sources.store)} samples in {config.data.store}, {len(sources.judged)} of them to judge by",
            f"a batch of {sources.mixture.size}:",
            *counts,
            f"{len(sources.joints)} joints of {', '.join(map(str, sources.joints.formats))}",
            f"{config.design.backbone} on crops of {config.design.side} pixels",
            f"{config.initial.steps} steps, then {config.finetune.steps} of {', '.join(config.finetune.variants)}",
        ]
    )


def _check(config: Config, sources: Sources, processes: int) -> None:
    """What would fail only later: an unknown backbone, batches that do not divide into ghost batches and processes."""
    timm = need("timm", "train")
    known, name = timm.list_models(), config.design.backbone
    if not timm.is_model(name):
        raise InputError(
            "design.backbone", expected=f"a timm model such as {', '.join(nearest(name, known))}", got=name
        )
    size, ghost = sources.mixture.size, config.design.ghost
    own = size // processes
    fits = not ghost or (own % ghost[0] == 0 if len(ghost) == 1 else processes == 1 and sum(ghost) == size)
    if size % processes or not fits:
        among = f", divided among {processes} processes" if processes > 1 else ""
        raise InputError("design.ghost", expected=f"sizes that make up a batch of {size}{among}", got=ghost)
    if not len(sources.judged):
        raise InputError("data.judged", expected=f"splits of {', '.join(sources.deep)}", got=config.data.judged)


def launched(machine: Machine) -> Fabric:
    """The processes that train, begun; InputError where the accelerator is not there."""
    if machine.accelerator in ("cuda", "gpu") and not torch.cuda.is_available():
        raise InputError("machine.accelerator", expected="auto or cpu, as there is no GPU", got=machine.accelerator)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if machine.deterministic:
        torch.use_deterministic_algorithms(True)
    several = machine.nodes > 1 or machine.devices not in (1, "auto") or (
        machine.devices == "auto" and machine.accelerator != "cpu" and torch.cuda.device_count() > 1
    )  # fmt: skip
    strategy: Any = DDPStrategy(broadcast_buffers=False, timeout=timedelta(days=1)) if several else "auto"
    warnings.filterwarnings("ignore", message=".*broadcast_buffers.*")  # Lightning names its successor too early
    mixed = machine.precision != "32-true"
    fabric = Fabric(
        accelerator=machine.accelerator, strategy=strategy, num_nodes=machine.nodes,
        devices=1 if machine.devices == "auto" and machine.accelerator == "cpu" else machine.devices,
        plugins=[Autocast.of(machine)] if mixed else None,
    )  # fmt: skip
    fabric.launch()
    return fabric


class Run:
    """The stages of one seed."""

    def __init__(self, config: Config, sources: Sources, seed: int, fabric: Fabric, progress: bool = True):
        self.config, self.sources, self.seed, self.fabric, self.progress = config, sources, seed, fabric, progress
        self.folder = config.out / f"seed-{seed}"
        if fabric.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_record(self.folder, config, seed, sources.digest)

    def initial(self) -> None:
        """Train separate heads for all formats."""
        torch.manual_seed(self.seed)
        network = PoseNetwork(self.config.design, len(self.sources.joints))
        phase = self.config.initial
        rates = lambda step: phase.schedule.initial(step, phase.steps)  # noqa: E731
        self._optimise("initial", phase, rates, network, "none", None, begun_with="")

    def pseudo(self) -> None:
        """Predict all formats on the chosen sets."""
        folder, settings = self.folder / "pseudo", self.config.pseudo
        model = self._there("initial", MODEL)
        identity = _digest(settings.model_dump_json(), self.sources.digest, model)
        if self._is_done(folder, identity):
            return
        rows = chosen_rows(self.sources.store, settings, self.sources.deep)
        predict_blocks(
            Estimator.load(model).to(self.fabric.device), rows, folder / f"blocks-{identity[:12]}", flip=settings.flip,
            workers=self.config.data.workers, rank=self.fabric.global_rank, world=self.fabric.world_size,
            progress=self.progress,
        )  # fmt: skip
        self.fabric.barrier()
        if self.fabric.is_global_zero:
            join_blocks(folder / f"blocks-{identity[:12]}", self.sources.joints, folder / POSES)
            _write_json(folder / DONE, {"identity": identity})
            shutil.rmtree(folder / f"blocks-{identity[:12]}")
        self.fabric.barrier()

    def fit(self) -> None:
        """Fit the autoencoder."""
        folder, settings, poses = self.folder / "fit", self.config.fit, self._there("pseudo", POSES)
        identity = _digest(settings.model_dump_json(), self.seed, poses)
        if not self._is_done(folder, identity) and self.fabric.is_global_zero:
            folder.mkdir(parents=True, exist_ok=True)
            acae = fit_acae(
                read_paired(poses).blocks(), self.sources.joints, settings.latents, l1=settings.l1,
                projection=settings.projection, sample=settings.sample, seed=self.seed, progress=self.progress,
            )  # fmt: skip
            acae.save(folder / AUTOENCODER)
            _write_json(folder / DONE, {"identity": identity})
        self.fabric.barrier()

    def finetune(self) -> None:
        """Fine-tune for consistency, variant after variant."""
        acae, phase = ACAE.load(self._there("fit", AUTOENCODER)), self.config.finetune
        start = self._there("initial", BEFORE_FROZEN)
        rates = lambda step: phase.schedule.fine_tuning(step, phase.steps)  # noqa: E731
        for variant in phase.variants:
            torch.manual_seed(self.seed)
            design = self.config.design.model_copy(update={"head": HEADS[variant], "pretrained": False})
            latents = 0 if design.head == "joints" else len(acae.latents)
            network = PoseNetwork(design, len(self.sources.joints), latents)
            network.take_over(load_model(start).network)
            self._optimise(f"finetune-{variant}", phase, rates, network, variant, acae, begun_with=_digest(start))

    def _optimise(
        self, name: str, phase: Phase, rates: Any, network: PoseNetwork, variant: Variant, acae: ACAE | None, *,
        begun_with: str,
    ) -> None:  # fmt: skip
        """Optimise a network, where that was not done before."""
        config, folder = self.config, self.folder / name
        identity = self._identity(phase, variant, acae, begun_with)
        if self._is_done(folder, identity):
            return
        autoencoder = None if acae is None else Autoencoder.of(acae)
        objective = Objective(
            config.losses, names2d_matrix(self.sources.joints), variant, autoencoder, config.finetune.consistency
        )
        data = TrainingData(
            self.sources.store, self.sources.joints, config.design.side, self.sources.mixture, steps=phase.steps,
            seed=self.seed, augmentation=config.augmentation, rank=self.fabric.global_rank,
            world=self.fabric.world_size,
        )  # fmt: skip
        about = {"stage": name, "seed": self.seed, "identity": identity, "config": config.model_dump(mode="json")}

        def keep(file: str, network: PoseNetwork) -> None:
            save_model(folder / file, network, self.sources.joints, acae, about)

        loop = Loop(
            self.fabric, self._plan(phase, folder, identity, rates), network, objective, data,
            validate=lambda network: validation(network, acae, self.sources, config.keeping.validate_samples),
            before_frozen=lambda network: keep(BEFORE_FROZEN, network), progress=self.progress,
        )  # fmt: skip
        loop.run()
        if self.fabric.is_global_zero:
            with loop.in_use():
                if not phase.frozen_steps:
                    keep(BEFORE_FROZEN, network)
                keep(MODEL, network)
            _write_json(folder / DONE, {"identity": identity})
            loop.checkpoints.clear()
        self.fabric.barrier()

    def report(self) -> None:
        """Judge every network that there is by samples that no training saw."""
        if not self.fabric.is_global_zero:
            return
        acae = ACAE.load(self._there("fit", AUTOENCODER))
        for name in ("initial", *(f"finetune-{variant}" for variant in HEADS)):
            model, out = self.folder / name / MODEL, self.folder / name / JUDGED
            if model.exists() and not (out.exists() and out.stat().st_mtime >= model.stat().st_mtime):
                _write_json(out, judge(Estimator.load(model).to(self.fabric.device), acae, self.sources))

    def _plan(self, phase: Phase, folder: Path, identity: str, rates: Callable[[int], Rates]) -> Plan:
        config, keeping = self.config, self.config.keeping
        first = config.initial  # weights decay in fine-tuning as they did before
        return Plan(
            folder=folder, identity=identity, seed=self.seed, steps=phase.steps, frozen_steps=phase.frozen_steps,
            rates=rates, weight_decay=weight_decay(first.steps, first.schedule.base),
            weak_perspective_steps=config.weak_perspective_steps, max_norm=config.max_norm,
            ema=config.ema, workers=config.data.workers, checkpoint_every=keeping.checkpoint_every,
            checkpoints=keeping.checkpoints, log_every=keeping.log_every, validate_every=keeping.validate_every,
            precision=config.machine.precision, channels_last=config.machine.channels_last,
        )  # fmt: skip

    def _identity(self, phase: Phase, variant: Variant, acae: ACAE | None, begun_with: str) -> str:
        """What tells a stage from another: all that its weights depend on."""
        config = self.config
        parts = (config.design, config.augmentation, config.losses, config.initial.schedule, phase,
                 config.finetune.consistency)  # fmt: skip
        told = [part.model_dump(mode="json", exclude={"variants"}) for part in parts]
        weights = "" if acae is None else _digest(acae.encoder.tobytes(), acae.decoder.tobytes())
        return _digest(
            told, variant, weights, begun_with, self.seed, self.sources.digest, self.sources.joints.names,
            config.max_norm, config.ema, config.weak_perspective_steps,
        )  # fmt: skip

    def _is_done(self, folder: Path, identity: str) -> bool:
        """Whether a stage was carried out; InputError where it was with other settings or data."""
        path = folder / DONE
        if not path.is_file():
            return False
        if json.loads(path.read_text(encoding="utf-8"))["identity"] != identity:
            raise InputError(
                f"{folder} is the result of other settings or data", mend="Name another folder with out, or remove it."
            )
        return True

    def _there(self, stage: str, file: str) -> Path:
        path = self.folder / stage / file
        if not path.is_file():
            raise InputError(f"there is no {path}", mend=f"Carry out the stage {stage} first: --stages {stage},...")
        return path


def _digest(*parts: object) -> str:
    """A digest of files, bytes, and of what other things look like as text."""
    found = hashlib.sha256()
    for part in parts:
        content = (
            part.read_bytes() if isinstance(part, Path) else part if isinstance(part, bytes) else repr(part).encode()
        )
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
