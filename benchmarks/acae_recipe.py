"""The recipe of Sárándi, Hermans and Leibe (WACV 2023) from its description, as lean as plain torch makes it.

Encoder and decoder are made of blocks that are tied for left-right symmetry, drawn from U(-0.1, 1), and divided by the
sums of their rows; Adam takes 30 passes over the poses in batches of 32, its step size falls at given step numbers.
Lean means: poses lie as (N, 3, J), so that every product is one of two matrices; what they look like to the camera is
computed beforehand; Adam is torch's fused one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

BATCH, EPOCHS, EPSILON = 32, 30, 1e-7
#: Step sizes, and the steps from which the second and the third hold.
RATES, DROPS = (3e-2, 3e-3, 3e-4), (150_000, 300_000)


@dataclass(frozen=True)
class Scene:
    """Poses as all contenders are judged by them, and the price of weights.

    points (N, 3, J) m in camera space; depth (N, 1, 1), their means; image (N, 2, J), the points projected and scaled
    back at that depth; mirror (J,); latents, sided and central ones; l1 for encoder and decoder.
    """

    points: torch.Tensor
    depth: torch.Tensor
    image: torch.Tensor
    mirror: torch.Tensor
    latents: tuple[int, int]
    l1: float

    @classmethod
    def of(cls, points: torch.Tensor, mirror: torch.Tensor, latents: tuple[int, int], l1: float) -> Scene:
        """With what the camera sees."""
        depth = points[:, 2:].mean(dim=2, keepdim=True)
        return cls(points, depth, points[:, :2] / points[:, 2:] * depth, mirror, latents, l1)

    def ordered(self, order: torch.Tensor) -> Scene:
        """The same with the joints in another order."""
        mirror = torch.argsort(order)[self.mirror[order]]
        return Scene.of(self.points[..., order].contiguous(), mirror, self.latents, self.l1)

    def loss(self, encoder: torch.Tensor, decoder: torch.Tensor, chosen: torch.Tensor | slice) -> torch.Tensor:
        """The objective over some poses, m: mean absolute projected error at the body's mean depth, and the penalty."""
        points = self.points[chosen]
        made = (points.reshape(-1, points.shape[2]) @ encoder.T @ decoder.T).view(points.shape)
        error = (self.image[chosen] - made[:, :2] / made[:, 2:] * self.depth[chosen]).abs().mean()
        return error + self.l1 * (encoder.abs().mean() + decoder.abs().mean())

    def objective(self, encoder: torch.Tensor, decoder: torch.Tensor, block: int = 500) -> float:
        """The objective over all poses, mm; N is a multiple of the block."""
        encoder, decoder = encoder.to(self.points.dtype), decoder.to(self.points.dtype)
        with torch.no_grad():
            starts = range(0, len(self.points), block)
            return 1000 * sum(self.loss(encoder, decoder, slice(s, s + block)).item() for s in starts) / len(starts)


class Recipe:
    """The state of a run; `scaled` drops the step size after one and two thirds of the run instead."""

    def __init__(self, scene: Scene, seed: int, scaled: bool = False):
        one = torch.arange(len(scene.mirror))
        pairs, central = scene.latents[0] // 2, scene.latents[1]
        left, middle = one[scene.mirror > one], one[scene.mirror == one]
        self.order = torch.cat([left, scene.mirror[left], middle])
        self.scene = scene.ordered(self.order)
        self.generator = torch.Generator().manual_seed(seed)
        shapes = (
            (len(left), pairs),
            (len(left), pairs),
            (len(left), central),
            (len(middle), pairs),
            (len(middle), central),
        )
        self.blocks = [[torch.rand(shape, generator=self.generator) * 1.1 - 0.1 for shape in shapes] for _ in range(2)]
        self.optimizer = torch.optim.Adam(
            [b.requires_grad_() for half in self.blocks for b in half], eps=EPSILON, fused=True
        )
        self.steps_an_epoch = len(scene.points) // BATCH
        self.steps = EPOCHS * self.steps_an_epoch
        self.drops = (self.steps // 3, 2 * self.steps // 3) if scaled else DROPS

    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder (L, J) and decoder (J, L), the joints in the recipe's order: left, right, central."""
        encoder, decoder = (_assembled(*half) for half in self.blocks)
        return (encoder / encoder.sum(dim=0)).T, decoder / decoder.sum(dim=1, keepdim=True)

    def in_order(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights for the joints as they were given."""
        back = torch.argsort(self.order)
        encoder, decoder = (W.detach() for W in self.weights())
        return encoder[:, back], decoder[back]

    def epoch(self, number: int, most: int | None = None) -> None:
        """One pass over the poses in a new order, or its first steps."""
        order = torch.randperm(len(self.scene.points), generator=self.generator)
        for step in range(min(most or self.steps_an_epoch, self.steps_an_epoch)):
            done = number * self.steps_an_epoch + step
            for group in self.optimizer.param_groups:
                group["lr"] = RATES[sum(done >= drop for drop in self.drops)]
            loss = self.scene.loss(*self.weights(), order[step * BATCH : (step + 1) * BATCH])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()


def _assembled(
    same: torch.Tensor,
    crossed: torch.Tensor,
    to_central: torch.Tensor,
    from_central: torch.Tensor,
    central: torch.Tensor,
) -> torch.Tensor:
    """(J, L): left, right and central joints by left, right and central latents."""
    rows = [[same, crossed, to_central], [crossed, same, to_central], [from_central, from_central, central]]
    return torch.cat([torch.cat(row, dim=1) for row in rows])
