"""How a pose network is built: what its weights file says of it, and a configuration sets."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: What a network's head puts out: joints of all formats, latent keypoints, or both.
Head = Literal["joints", "latents", "both"]
#: How ghost batches move the running statistics: once a step by all groups together, or group after group.
GhostUpdate = Literal["averaged", "sequential"]


class Design(BaseModel):
    """A pose network: backbone, crop, metric heatmaps, batch normalisation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = Field(default="tf_efficientnetv2_s", description="name of a timm model")
    pretrained: bool = Field(default=True, description="begin with timm's ImageNet weights (downloads them)")
    side: int = Field(default=256, ge=32, multiple_of=32, description="pixels of a crop's side")
    depth_bins: int = Field(default=8, ge=2, description="cells of the 3D heatmap in depth")
    box: float = Field(default=2200.0, gt=0, description="mm that the 3D heatmap spans")
    centred_stride: bool = Field(
        default=True, description="shift the last strided convolution so that cells lie centred"
    )
    head: Head = Field(default="joints", description="points put out: joints, latents or both")
    ghost: tuple[int, ...] = Field(
        default=(16,),
        description="ghost batches: one size for all groups, or the size of each group; empty for plain norm",
    )
    ghost_update: GhostUpdate = Field(
        default="averaged",
        description="running statistics: once a step by the mean of the groups, or group after group",
    )
    drop_path: float | None = Field(
        default=None, ge=0, lt=1, description="stochastic depth; none: the backbone's own rate"
    )
