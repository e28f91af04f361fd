"""The bridge file: moment matrix, rest body and birth certificate in one safetensors file.

Tensors: `moments` (L, L) float64, mm² on a body of 1.7 m; `rest_landmarks` (L, 3) and `rest_vertices` (V, 3) in mm,
x to the body's left, y up, z forward, stature 1.7 m; `rest_triangles` (F, 3). Metadata: `landmarks`, the names in
order, and `certificate`, how the file was made, both JSON.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skelbridge.errors import FileFormatError, InputError
from skelbridge.landmarks import landmarks

SCHEMA = 1
_TENSORS = ("moments", "rest_landmarks", "rest_vertices", "rest_triangles")


class RestBody(NamedTuple):
    """The average adult body at rest, mm: x to its left, y up, z forward."""

    landmarks: NDArray[np.float64]
    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]


@dataclass(frozen=True)
class Bridge:
    """What the converter knows of bodies: second moments of the landmarks, and the rest body for pictures."""

    moments: NDArray[np.float64]
    rest: RestBody
    certificate: dict[str, Any]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, as a whole or not at all."""
        from safetensors.numpy import save_file

        from skelbridge.io.files import replacing

        tensors: dict[str, NDArray] = {
            "moments": self.moments,
            "rest_landmarks": self.rest.landmarks.astype(np.float32),
            "rest_vertices": self.rest.vertices.astype(np.float16),
            "rest_triangles": self.rest.triangles.astype(np.int32),
        }
        metadata = {"landmarks": json.dumps(landmarks().names), "certificate": json.dumps(self.certificate)}
        with replacing(Path(path)) as temporary:
            save_file(tensors, temporary, metadata=metadata)


def read_bridge(path: str | os.PathLike[str]) -> Bridge:
    """Read a bridge file; FileFormatError if it is damaged or was built for other landmarks."""
    from safetensors import SafetensorError, safe_open

    mend = "Build it anew: skelbridge build-bridge."
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in _TENSORS}
        names = tuple(json.loads(metadata["landmarks"]))
        certificate = json.loads(metadata["certificate"])
    except FileNotFoundError as error:
        raise InputError(f"there is no bridge file {path}", mend=mend) from error
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise FileFormatError(f"the bridge file {path} cannot be read", got=error, mend=mend) from error
    if certificate.get("schema") != SCHEMA:
        raise FileFormatError(
            f"the bridge file {path}", expected=f"schema {SCHEMA}", got=certificate.get("schema"), mend=mend
        )
    count = len(landmarks().names)
    if names != landmarks().names or tensors["moments"].shape != (count, count):
        raise FileFormatError(
            f"the bridge file {path} was built for other landmarks",
            expected=f"the {count} of registry/landmarks.toml", got=f"{len(names)}", mend=mend,
        )  # fmt: skip
    rest = RestBody(
        tensors["rest_landmarks"].astype(float), tensors["rest_vertices"].astype(float),
        tensors["rest_triangles"].astype(np.int64),
    )  # fmt: skip
    return Bridge(tensors["moments"], rest, certificate)


#: The bridge that the package ships.
SHIPPED = Path(__file__).parent / "bridge.safetensors"


@lru_cache(maxsize=1)
def shipped_bridge() -> Bridge:
    """The bridge that the package ships, read once."""
    return read_bridge(SHIPPED)


def rest_body() -> RestBody:
    """The shipped average adult body at rest."""
    return shipped_bridge().rest
