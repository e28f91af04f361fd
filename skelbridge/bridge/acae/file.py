"""The autoencoder in the bridge file: sparse weights as tensors beside the moments, all else as JSON.

Tensors: `acae_encoder_values`, `_columns`, `_ends` (a sparse matrix by rows; likewise `acae_decoder_...`),
`acae_latent_mirror`, `acae_mean_pose`, and one `acae_held_out_NAME` for each kind of held-out error. Metadata
`acae`: schema, formats with their joints' names (and the whole card of a format that is not in the registry), names of
the latents, certificate.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skelbridge.bridge.acae.cards import read_formats, write_formats
from skelbridge.bridge.file import SHIPPED
from skelbridge.errors import FileFormatError, InputError
from skelbridge.io.files import replacing

if TYPE_CHECKING:
    from skelbridge.bridge.acae.model import ACAE

SCHEMA = 1
_PREFIX = "acae_"
_HELD_OUT = "acae_held_out_"


def parts_of(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """What is in a bridge file: "moments", "autoencoder" or both; FileFormatError for another file."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no bridge file {path}", mend="Build one: skelbridge build-bridge, or fit.")
    _, metadata = _contents(path)
    found = tuple(part for part, key in (("moments", "landmarks"), ("autoencoder", "acae")) if key in metadata)
    if not found:
        raise FileFormatError(f"{path} is not a bridge file", expected="moments or an autoencoder in it", got="neither")
    return found


def save_acae(acae: ACAE, path: str | os.PathLike[str]) -> None:
    """Write an autoencoder into a bridge file, a new one or one that is there; as a whole or not at all."""
    from safetensors.numpy import save_file

    path = Path(path)
    tensors, metadata = _contents(path) if path.exists() else ({}, {})
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_PREFIX)}
    with replacing(path) as temporary:
        own, about = pack(acae)
        save_file(tensors | own, temporary, metadata=metadata | about)


def load_acae(path: str | os.PathLike[str]) -> ACAE:
    """Read the autoencoder of a bridge file; FileFormatError if it is damaged, or its formats have changed."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no bridge file {path}", mend="Fit one: skelbridge fit.")
    tensors, metadata = _contents(path)
    if "acae" not in metadata:
        raise FileFormatError(f"the bridge file {path}", expected="an autoencoder in it", got="none",
                              mend="Fit one: skelbridge fit.")  # fmt: skip
    return unpack(tensors, metadata, f"the autoencoder in {path}")


def pack(acae: ACAE) -> tuple[dict[str, NDArray], dict[str, str]]:
    """An autoencoder as tensors and metadata of a file that may hold other things too."""
    return _tensors(acae), {"acae": json.dumps(_about(acae))}


def unpack(tensors: Mapping[str, NDArray], metadata: Mapping[str, str], what: str) -> ACAE:
    """The autoencoder, called `what` in errors, of a file's tensors and metadata; FileFormatError if it is damaged."""
    from skelbridge.bridge.acae.model import ACAE

    try:
        about = json.loads(metadata["acae"])
        if about["schema"] != SCHEMA:
            raise ValueError(f"schema {about['schema']}, expected {SCHEMA}")
        joints = read_formats(about["formats"], what)
        shape = (len(about["latents"]), len(joints))
        acae = ACAE(
            joints,
            encoder=_dense(tensors, "encoder", shape),
            decoder=_dense(tensors, "decoder", shape[::-1]),
            latents=tuple(about["latents"]),
            latent_mirror=tensors["acae_latent_mirror"].astype(np.intp),
            mean_pose=tensors["acae_mean_pose"],
            held_out={name: tensors[_HELD_OUT + name] for name in about["held_out"]},
            certificate=about["certificate"],
        )
        _check(acae)
        return acae
    except FileFormatError:
        raise
    except (KeyError, ValueError, IndexError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__} {error}".splitlines()[0]
        raise FileFormatError(f"{what} cannot be read", got=reason, mend="Fit it anew.") from error


@lru_cache(maxsize=1)
def shipped_acae() -> ACAE:
    """The autoencoder over the formats of the registry that the package ships, read once."""
    return load_acae(SHIPPED)


def _check(acae: ACAE) -> None:
    """ValueError for weights that no fit would have written."""
    mirror, count = acae.latent_mirror, len(acae.latents)
    if not all(np.abs(W.sum(axis=1) - 1).max() < 1e-6 for W in (acae.encoder, acae.decoder)):
        raise ValueError("its rows do not sum to one")
    if not (np.sort(mirror) == np.arange(count)).all() or (mirror[mirror] != np.arange(count)).any():
        raise ValueError("its latents' mirror map is none")
    if any(values.shape != (len(acae.joints),) for values in acae.held_out.values()):
        raise ValueError("its errors do not fit its joints")


def _contents(path: Path) -> tuple[dict[str, NDArray], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FileFormatError(f"{path} is not a bridge file", got=error, mend="Name another file.") from error


def _tensors(acae: ACAE) -> dict[str, NDArray]:
    tensors: dict[str, NDArray] = {
        "acae_latent_mirror": acae.latent_mirror.astype(np.int32),
        "acae_mean_pose": np.ascontiguousarray(acae.mean_pose),
    }
    for which, weights in (("encoder", acae.encoder), ("decoder", acae.decoder)):
        rows, columns = np.nonzero(weights)
        tensors[f"acae_{which}_values"] = weights[rows, columns]
        tensors[f"acae_{which}_columns"] = columns.astype(np.int32)
        tensors[f"acae_{which}_ends"] = np.cumsum(np.bincount(rows, minlength=len(weights))).astype(np.int32)
    return tensors | {_HELD_OUT + name: np.ascontiguousarray(values) for name, values in acae.held_out.items()}


def _dense(tensors: Mapping[str, NDArray], which: str, shape: tuple[int, int]) -> NDArray[np.float64]:
    values, columns, ends = (tensors[f"acae_{which}_{part}"] for part in ("values", "columns", "ends"))
    if (
        len(ends) != shape[0]
        or len(values) != len(columns)
        or ends[-1] != len(values)
        or not 0 <= columns.min() <= columns.max() < shape[1]
    ):
        raise ValueError(f"its {which} does not fit its joints and latents")
    weights = np.zeros(shape)
    weights[np.repeat(np.arange(shape[0]), np.diff(ends, prepend=0)), columns] = values
    return weights


def _about(acae: ACAE) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "formats": write_formats(acae.joints),
        "latents": acae.latents,
        "held_out": list(acae.held_out),
        "certificate": acae.certificate,
    }
