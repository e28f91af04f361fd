"""CHI3D: pairs of people who touch and hold each other; one wears markers, the other is reconstructed."""

from __future__ import annotations

from skelbridge.datasets._imar import Imar


class Chi3D(Imar):
    """Every video frame of the training sequences in every camera, both people where the release has both."""

    id = "chi3d"
    pairs = True
