"""Fit3D: exercises of one person; joints at 200 Hz in some files and at the video's 50 Hz in others."""

from __future__ import annotations

from pathlib import Path

from skelbridge.synthetic.native._imar import Action, write_actions
from skelbridge.synthetic.truth import Truth

_ACTIONS = (
    Action("s03", "squat", people=1, frames=6, rows=24, stride=4),
    Action("s03", "band_pull_apart", people=1, frames=6, rows=6),
    Action("s11", "squat", people=1, frames=12, rows=11),
)
_TEST = Action("s12", "squat", people=1, frames=3, rows=3)


def write(out: Path) -> list[Truth]:
    """Write the copy; returns what reading it must give."""
    return write_actions(out, _ACTIONS, _TEST, "fit3d_info.json", "rep_ann.json")
