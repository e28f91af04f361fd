"""A small store of two datasets with 3D labels and one with 2D labels, with pictures, to train on in tests."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from skelbridge.store import JobWriter, Samples, StoreWriter, merge
from skelbridge.synthetic.scene import draw, ring, virtual_scene

SIZE = (240, 180)
FORMATS = {"lab": "h36m_17", "street": "smpl_24", "web": "coco_17"}


def samples(name, split, count=12, seed=0):
    """People drawn as figures, seen by four cameras in turn."""
    format, flat = FORMATS[name], name == "web"
    scene = virtual_scene(frames=count, seed=seed)
    cameras = ring(4, focal=190, size=SIZE)
    chosen = [cameras[n % 4] for n in range(count)]
    world = scene.joints(format)[:, 0]
    pixels = np.stack([camera.project(points) for camera, points in zip(chosen, world, strict=True)])
    low, high = np.nanmin(pixels, axis=1), np.nanmax(pixels, axis=1)
    labels = {"points2d": pixels} if flat else {"world": world, "camera": chosen}
    made = Samples.of(
        format, **labels, box=np.concatenate([low, high - low], axis=1), image_size=SIZE, frame=np.arange(count),
        sequence=split, subject="somebody",
    )  # fmt: skip
    pictures = tuple(_jpeg(draw(camera, scene, frame, SIZE)[0]) for frame, camera in enumerate(chosen))
    return replace(made, pictures=pictures, crop=np.tile(np.float32([0, 0, 1]), (count, 1)))


def training_store(folder, count=12):
    """The three datasets in one store, each with the splits train and test."""
    paths = []
    for number, (name, format) in enumerate(FORMATS.items()):
        paths.append(folder / f"{name}.h5")
        with StoreWriter(paths[-1], dataset=name, skeleton=format) as writer:
            for split, seed in (("train", 10 * number), ("test", 10 * number + 5)):
                with JobWriter(paths[-1], split, name, split, format) as job:
                    job.add(samples(name, split, count if split == "train" else 6, seed))
                    writer.commit(job.finish([split]))
    merge(paths, folder / "all.h5")
    return folder / "all.h5"


def configuration(folder, store, **changes):
    """A configuration of a few steps; changes by key."""
    from skelbridge.train import read_config

    (folder / "mine.toml").write_text(
        f"""
out = "{folder / "run"}"
weak_perspective_steps = 1
[data]
store = "{store}"
workers = 0
[data.mixture]
name = "small"
batch_3d = 8
batch_2d = 4
streams = [
  {{ dataset = "lab", count = 4, splits = ["train"] }},
  {{ dataset = "street", count = 4, splits = ["train"] }},
  {{ dataset = "web", count = 4, weak_2d = true, splits = ["train"] }},
]
[design]
backbone = "mobilenetv3_small_050"
pretrained = false
side = 64
ghost = [4]
[losses]
absolute_from = 1
[initial]
steps = 8
frozen_steps = 2
schedule = {{ base = 1e-3 }}
[pseudo]
datasets = []
splits = ["train"]
thinning = {{ rule = "none" }}
[fit]
latents = [8, 4]
[finetune]
steps = 4
frozen_steps = 1
consistency = {{ teacher_from = 1 }}
[machine]
accelerator = "cpu"
[keeping]
checkpoint_every = 3
log_every = 1
validate_every = 4
validate_samples = 6
"""
    )
    return read_config(folder / "mine.toml", [f"{key}={value}" for key, value in changes.items()])


def _jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return file.getvalue()


def stage_loop(config, folder, *, data=None, **changes):
    """The loop of an initial stage of a configuration, as its folder was left; changes of its plan by name."""
    import torch
    from lightning_fabric import Fabric

    from skelbridge.estimator.consistency import Objective
    from skelbridge.estimator.names2d import names2d_matrix
    from skelbridge.estimator.network import PoseNetwork
    from skelbridge.train.data import TrainingData
    from skelbridge.train.loop import Loop, Plan
    from skelbridge.train.sources import open_sources

    sources, phase = open_sources(config.data), config.initial
    torch.manual_seed(0)
    network = PoseNetwork(config.design, len(sources.joints))
    objective = Objective(config.losses, names2d_matrix(sources.joints))
    if data is None:
        data = TrainingData(
            sources.store, sources.joints, config.design.side, sources.mixture, steps=phase.steps, seed=1,
            augmentation=config.augmentation,
        )  # fmt: skip
    plan = {
        "folder": folder, "identity": "this one", "seed": 1, "steps": phase.steps, "frozen_steps": phase.frozen_steps,
        "rates": lambda step: phase.schedule.initial(step, phase.steps), "weight_decay": 0.02,
        "weak_perspective_steps": 1, "max_norm": 20.0, "ema": None, "workers": 0, "checkpoint_every": 3,
        "checkpoints": 2, "log_every": 1, "validate_every": 4,
    }  # fmt: skip
    return Loop(
        Fabric(accelerator="cpu", devices=1), Plan(**{**plan, **changes}), network, objective, data,
        validate=lambda network: {"mpjpe": 1.0}, before_frozen=lambda network: None, progress=False,
    )  # fmt: skip
