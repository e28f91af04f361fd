"""Pictures of skeletons, poses and conversions, with matplotlib.

Every `plot_*` function returns a `matplotlib.figure.Figure`; save it with `.savefig(path)`. Nothing here
touches pyplot or the backend. What is left on the body is blue, what is right is orange, the middle is
grey; up is up.

Body axes are x to the body's left, y up, z forward, mm. A view is a rotation (3, 3) whose rows are, in
those axes, the directions right in the picture, up in the picture and towards the viewer.
"""

from skelbridge.plot.autoencoders import plot_acae_errors, plot_acae_weights
from skelbridge.plot.batches import plot_batch
from skelbridge.plot.calibration import plot_calibration
from skelbridge.plot.conversions import plot_comparison, plot_errors, plot_weights
from skelbridge.plot.evaluation import plot_networks, plot_predictions
from skelbridge.plot.ink import COLOURS, draw_body, draw_mesh, draw_skeleton, edge_sides, joint_sides, save_small
from skelbridge.plot.latents import plot_latent_sources, plot_latents, plot_latents_3d
from skelbridge.plot.places import plot_namesakes
from skelbridge.plot.recorded import plot_on_image, plot_poses, plot_rows, pose_axes, posed_body
from skelbridge.plot.retargeting import plot_retargeting
from skelbridge.plot.schedule import plot_schedule
from skelbridge.plot.sheets import plot_skeleton, save_sheets
from skelbridge.plot.store import plot_store
from skelbridge.plot.tradeoff import plot_tradeoff

__all__ = [
    "COLOURS",
    "draw_body",
    "draw_mesh",
    "draw_skeleton",
    "edge_sides",
    "joint_sides",
    "plot_acae_errors",
    "plot_acae_weights",
    "plot_batch",
    "plot_calibration",
    "plot_comparison",
    "plot_errors",
    "plot_latent_sources",
    "plot_latents",
    "plot_latents_3d",
    "plot_namesakes",
    "plot_networks",
    "plot_on_image",
    "plot_poses",
    "plot_predictions",
    "plot_retargeting",
    "plot_rows",
    "plot_schedule",
    "plot_skeleton",
    "plot_store",
    "plot_tradeoff",
    "plot_weights",
    "pose_axes",
    "posed_body",
    "save_sheets",
    "save_small",
]
