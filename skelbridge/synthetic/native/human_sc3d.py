"""HumanSC3D: one person touching their own body; joints at 200 Hz in some files and at the video's 50 Hz in others."""

from __future__ import annotations

from pathlib import Path

from skelbridge.synthetic.native._imar import Action, write_actions
from skelbridge.synthetic.truth import Truth

_ACTIONS = (
    Action("s01", "Standing 12", people=1, frames=6, rows=6),
    Action("s06", "Sitting chair 3", people=1, frames=6, rows=24, stride=4),
)
_TEST = Action("s05", "Standing 1", people=1, frames=3, rows=3)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    return write_actions(out, _ACTIONS, _TEST, "info.json", "self_contact_signature.json")
