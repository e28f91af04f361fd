"""HumanSC3D: people who touch themselves, with markers."""

from __future__ import annotations

from skelbridge.datasets._imar import Imar


class HumanSC3D(Imar):
    """Every video frame of the training sequences in every camera."""

    id = "human_sc3d"
