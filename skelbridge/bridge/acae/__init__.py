"""The affine-combining autoencoder: latent 3D keypoints between skeleton formats.

>>> from skelbridge.bridge.acae import ACAE, fit_acae
"""

from typing import TYPE_CHECKING, Any

from skelbridge.bridge.acae.file import shipped_acae
from skelbridge.bridge.acae.joints import Joints
from skelbridge.bridge.acae.model import ACAE

if TYPE_CHECKING:
    from skelbridge.bridge.acae.fit import fit_acae

__all__ = ["ACAE", "Joints", "fit_acae", "shipped_acae"]


def __getattr__(name: str) -> Any:
    if name == "fit_acae":  # fitting needs torch, the rest does not
        from skelbridge.bridge.acae.fit import fit_acae

        return fit_acae
    raise AttributeError(name)
