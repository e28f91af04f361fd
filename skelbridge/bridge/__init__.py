"""What relates skeleton formats: moments, weights, expected errors, latent keypoints, the bridge file."""

from skelbridge.bridge.acae import ACAE, shipped_acae
from skelbridge.bridge.file import Bridge, RestBody, read_bridge, rest_body, shipped_bridge
from skelbridge.bridge.hub import HubRelation
from skelbridge.bridge.moments import STATURE, MomentAccumulator
from skelbridge.bridge.relation import Relation, Solution
from skelbridge.bridge.solver import affine_weights, near_convex_weights

__all__ = [
    "ACAE",
    "STATURE",
    "Bridge",
    "HubRelation",
    "MomentAccumulator",
    "Relation",
    "RestBody",
    "Solution",
    "affine_weights",
    "near_convex_weights",
    "read_bridge",
    "rest_body",
    "shipped_acae",
    "shipped_bridge",
]
