"""The pose network: from crops of people to absolute 3D points in all skeleton formats at once."""

from skelbridge.estimator.estimator import Estimator, View, usual_views

__all__ = ["Estimator", "View", "usual_views"]
