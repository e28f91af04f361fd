"""CHI3D: pairs of people; the first release has one of them at 200 Hz, the later one both at the video's rate."""

from __future__ import annotations

from pathlib import Path

from skelbridge.synthetic.native._imar import Action, write_actions
from skelbridge.synthetic.truth import Truth

_ACTIONS = (
    Action("s02", "Grab 1", people=2, frames=6, rows=24, stride=4),
    Action("s02", "Hug 10", people=2, frames=6, rows=23, stride=4),
    Action("s03", "Grab 1", people=2, frames=6, rows=6, axis=True),
    Action("s04", "Posing 2", people=2, frames=12, rows=11, axis=True),
)
_TEST = Action("s01", "Push 3", people=2, frames=3, rows=3)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    return write_actions(out, _ACTIONS, _TEST, "info.json", "interaction_contact_signature.json")
