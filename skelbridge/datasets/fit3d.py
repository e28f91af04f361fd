"""Fit3D: people who train, with markers."""

from __future__ import annotations

from skelbridge.datasets._imar import Imar


class Fit3D(Imar):
    """Every video frame of the training sequences in every camera."""

    id = "fit3d"
