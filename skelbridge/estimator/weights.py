"""The model file: a pose network, what its points are, and the autoencoder between them, in one safetensors file.

Tensors: `network/...`, the weights under their names in the network, and those of an autoencoder as in a bridge file,
so that `ACAE.load` reads it from here too. Metadata `model`, JSON: schema, design, number of latents, formats of the
joints (names, and the whole card of a format that is not in the registry), and `about`, how the model came to be.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from skelbridge.bridge.acae import ACAE, Joints
from skelbridge.bridge.acae.cards import read_formats, write_formats
from skelbridge.bridge.acae.file import pack, unpack
from skelbridge.errors import FileFormatError, InputError, UnknownNameError
from skelbridge.estimator.design import Design
from skelbridge.estimator.network import PoseNetwork
from skelbridge.io.files import replacing

SCHEMA = 1
_NETWORK = "network/"
_DAMAGE = (KeyError, ValueError, IndexError, TypeError, AttributeError, RecursionError, RuntimeError, UnknownNameError)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with what is needed to use it.

    joints: what the network's J joints are. autoencoder: over the same joints; None if it was trained without one.
    about: how the model came to be, for JSON.
    """

    network: PoseNetwork
    joints: Joints
    autoencoder: ACAE | None
    about: dict[str, Any]


def save_model(
    path: str | os.PathLike[str], network: PoseNetwork, joints: Joints, autoencoder: ACAE | None, about: dict[str, Any]
) -> None:
    """Write a model file, as a whole or not at all; InputError for parts that do not belong together."""
    _check_fit(network, joints, autoencoder)
    try:
        description = json.dumps({
            "schema": SCHEMA, "design": network.design.model_dump(mode="json"), "latents": network.latents,
            "formats": write_formats(joints), "about": about,
        })  # fmt: skip
    except (TypeError, ValueError) as error:
        raise InputError("what a model file says about its model", expected="plain JSON", got=error) from None
    tensors = {_NETWORK + name: weights.detach().cpu().contiguous() for name, weights in network.state_dict().items()}
    metadata = {"model": description}
    if autoencoder is not None:
        arrays, described = pack(autoencoder)
        tensors |= {name: torch.from_numpy(array) for name, array in arrays.items()}
        metadata |= described
    with replacing(Path(path)) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file, its network in evaluation mode on the CPU; FileFormatError if it is damaged or no model file.

    Nothing is downloaded: the loaded network's design says `pretrained = false`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no model file {path}", mend="Train one: skelbridge train.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if "model" not in metadata:
                raise FileFormatError(f"the file {path}", expected="a pose network in it", got="none")
            return _read(file, metadata, path)
    except FileFormatError:
        raise
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"{path} is not a model file", got=error, mend="Name another file.") from error
    except _DAMAGE as error:
        reason = f"{type(error).__name__} {error}".splitlines()[0]
        raise FileFormatError(f"the model in {path} cannot be read", got=reason, mend="Name another file.") from error


def _read(file: Any, metadata: dict[str, str], path: Path) -> Model:
    described = json.loads(metadata["model"])
    schema = described["schema"]
    if schema != SCHEMA:
        raise FileFormatError(f"the model file {path}", expected=f"schema {SCHEMA}", got=f"schema {schema}",
                              mend="Read it with the version of skelbridge that wrote it.")  # fmt: skip
    joints = read_formats(described["formats"], f"the model in {path}")
    about = described["about"]
    network = _network(file, Design.model_validate(described["design"]), len(joints), described["latents"])
    autoencoder = None
    if "acae" in metadata:
        arrays = {name: file.get_tensor(name).numpy() for name in file.keys() if not name.startswith(_NETWORK)}  # noqa: SIM118
        autoencoder = unpack(arrays, metadata, f"the autoencoder in {path}")
    _check_fit(network, joints, autoencoder)
    if not isinstance(about, dict):
        raise ValueError("what it says about itself is no table")
    return Model(network, joints, autoencoder, about)


def _network(file: Any, design: Design, joints: int, latents: int) -> PoseNetwork:
    """The network; ValueError unless the file holds exactly its weights. Sizes are compared before it takes memory."""
    design = design.model_copy(update={"pretrained": False})
    with torch.device("meta"):
        expected = {name: tuple(weights.shape) for name, weights in
                    PoseNetwork(design, joints, latents).state_dict().items()}  # fmt: skip
    names = [name.removeprefix(_NETWORK) for name in file.keys() if name.startswith(_NETWORK)]  # noqa: SIM118
    found = {name: tuple(file.get_slice(_NETWORK + name).get_shape()) for name in names}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        shapes = f"expected shape {expected.get(wrong[0])}, got {found.get(wrong[0])}"
        raise ValueError(f"weights of another network: {wrong[0]}, {shapes}")
    network = PoseNetwork(design, joints, latents)
    state = {name: file.get_tensor(_NETWORK + name) for name in names}
    infinite = sorted(name for name, weights in state.items() if not _finite(weights))
    if infinite:
        raise ValueError(f"weights that are not finite: {infinite[0]}")
    network.load_state_dict(state)
    return network.eval()


def _finite(weights: Tensor) -> bool:
    return not weights.is_floating_point() or bool(weights.isfinite().all())


def _check_fit(network: PoseNetwork, joints: Joints, autoencoder: ACAE | None) -> None:
    if network.joints != len(joints):
        raise InputError("a model", expected=f"names for {network.joints} joints", got=f"{len(joints)}")
    if autoencoder is not None and autoencoder.joints.names != joints.names:
        raise InputError("a model", expected="an autoencoder over the joints of the network", got=autoencoder)
    latents = 0 if autoencoder is None else len(autoencoder.latents)
    if network.design.head != "joints" and network.latents != latents:
        raise InputError("a model", expected=f"an autoencoder with {network.latents} latents, as the head has",
                         got=f"one with {latents}" if latents else "none")  # fmt: skip
