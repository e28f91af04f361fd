"""What relates skeleton formats: the moment matrix, the weight solver, expected errors, the bridge file."""

from skelbridge.bridge.file import Bridge, RestBody, read_bridge, rest_body, shipped_bridge
from skelbridge.bridge.moments import STATURE, MomentAccumulator
from skelbridge.bridge.relation import Relation, Solution
from skelbridge.bridge.solver import affine_weights, near_convex_weights

__all__ = [
    "STATURE",
    "Bridge",
    "MomentAccumulator",
    "Relation",
    "RestBody",
    "Solution",
    "affine_weights",
    "near_convex_weights",
    "read_bridge",
    "rest_body",
    "shipped_bridge",
]
