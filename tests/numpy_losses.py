"""The training losses in plain numpy, one loop after the other: what the losses in torch are checked against.

Arrays: predicted (B, J, 3) and truth (B, J, 3) mm in the axes of the crops' cameras, truth NaN where missing;
intrinsics (B, 3, 3); pixels (B, N, 2), NaN where missing; side = pixels of a crop's side; encoder (L, J) and decoder
(J, L) of the autoencoder. Losses are floats, in metres of the body. Step = number of updates done before, from 0.

    mean_relative_loss(predicted, truth) -> float
    projection_loss(predicted, truth, intrinsics, side) -> float
    absolute_loss(predicted, truth) -> float
    loss_3d(predicted, truth, intrinsics, side, step) -> float
    groups_of(joint_names, weak_names) -> list[list[int]]                   joints "format/name" of each weak name
    loss_2d(predicted, pixels, intrinsics, side, groups) -> float
    reconstruct(points, encoder, decoder) -> array (B, J, 3)
    inconsistency(predicted, encoder, decoder) -> float                     R

Totals. `deep` = (truth, intrinsics) of the examples with 3D labels, `flat` = (pixels, intrinsics) of the others;
joints and latents are pairs (of the 3D examples, of the 2D examples), such as ((B3, J, 3), (B2, J, 3)):

    initial_total(joints, deep, flat, side, groups, step) -> float
    output_total(joints, deep, flat, side, groups, step, encoder, decoder, *, weight=1, weight_2d=1) -> float
    latents_total(latents, deep, flat, side, groups, step, decoder) -> float
    hybrid_total(joints, latents, deep, flat, side, groups, step, encoder, decoder, *,
                 weight=1, weight_2d=1, through=1, teacher=1) -> float
"""

from __future__ import annotations

import numpy as np

BOX = 2200.0  # mm that the 3D heatmap spans
CELL = 32.0  # pixels between the cells of a heatmap
NEAREST = 300.0  # mm, truth nearer to the camera than this has no absolute and no projection loss
FARTHEST = 10000.0  # mm, beyond it the depth errors of the absolute loss shrink
BORDER, WIDE = 0.75, -20.0  # borders of the field of view, in cells
WARM_STEPS = 5000  # the last step without absolute and teacher loss
ABSOLUTE, WEAK = 0.1, 0.2  # weights


def mean_of(values):
    """The mean of a list, 0 of an empty one."""
    return sum(values) / len(values) if values else 0.0


def project(point, camera):
    """The pixel of one point (3,)."""
    depth = max(1.0, point[2])
    u = camera @ np.array([point[0] / depth, point[1] / depth, 1.0])
    return u[:2]


def inside(pixel, side, border):
    """Whether a pixel lies in the field of view less a border of so many cells."""
    low, high = border * CELL, side - border * CELL
    return low <= pixel[0] <= high and low <= pixel[1] <= high


def labelled(point):
    return bool(np.isfinite(point).all())


# -- terms --------------------------------------------------------------------------------------------------------


def mean_relative_loss(predicted, truth):
    values = []
    for P, T in zip(predicted, truth, strict=True):
        valid = [j for j in range(len(T)) if labelled(T[j])]
        if not valid:
            continue
        middle_P = sum(P[j] for j in valid) / len(valid)
        middle_T = sum(T[j] for j in valid) / len(valid)
        for j in valid:
            for c in range(3):
                values.append(abs((P[j][c] - middle_P[c]) - (T[j][c] - middle_T[c])) / 1000)
    return mean_of(values)


def projection_loss(predicted, truth, intrinsics, side):
    values = []
    for P, T, K in zip(predicted, truth, intrinsics, strict=True):
        for j in range(len(T)):
            if not labelled(T[j]) or T[j][2] <= NEAREST:
                continue
            u_P, u_T = project(P[j], K), project(T[j], K)
            if P[j][2] > 1 and inside(u_P, side, BORDER) and inside(u_T, side, WIDE):
                for c in range(2):
                    values.append(abs(u_P[c] - u_T[c]) * (BOX / side) / 1000)
    return mean_of(values)


def absolute_loss(predicted, truth):
    values = []
    for P, T in zip(predicted, truth, strict=True):
        for j in range(len(T)):
            if not labelled(T[j]) or T[j][2] <= NEAREST:
                continue
            shrink = min(1.0, FARTHEST / abs(T[j][2]))
            off = abs(P[j] - T[j])
            values.append((off[0] + off[1] + shrink * off[2]) / 3 / 1000)
    return mean_of(values)


def loss_3d(predicted, truth, intrinsics, side, step):
    total = mean_relative_loss(predicted, truth) + projection_loss(predicted, truth, intrinsics, side)
    if step > WARM_STEPS:
        total += ABSOLUTE * absolute_loss(predicted, truth)
    return total


def groups_of(joint_names, weak_names):
    return [[j for j, name in enumerate(joint_names) if name.split("/")[-1] == weak] for weak in weak_names]


def loss_2d(predicted, pixels, intrinsics, side, groups):
    values = []
    for P, U, K in zip(predicted, pixels, intrinsics, strict=True):
        for n, group in enumerate(groups):
            if not labelled(U[n]) or not group:
                continue
            mean = sum(project(P[j], K) for j in group) / len(group)
            if inside(mean, side, BORDER) and inside(U[n], side, WIDE):
                for c in range(2):
                    values.append(abs(mean[c] - U[n][c]) * (BOX / side) / 1000)
    return mean_of(values)


def affine(weights, points):
    """weights (R, C), points (B, C, 3) -> (B, R, 3)."""
    return np.array([weights @ example for example in points]).reshape(len(points), len(weights), 3)


def reconstruct(points, encoder, decoder):
    return affine(decoder, affine(encoder, points))


def inconsistency(predicted, encoder, decoder):
    off = abs(predicted - reconstruct(predicted, encoder, decoder)) / 1000
    return mean_of(list(off.ravel()))


# -- totals -------------------------------------------------------------------------------------------------------


def initial_total(joints, deep, flat, side, groups, step):
    (joints3, joints2), (truth, cameras3), (pixels, cameras2) = joints, deep, flat
    return loss_3d(joints3, truth, cameras3, side, step) + WEAK * loss_2d(joints2, pixels, cameras2, side, groups)


def output_total(joints, deep, flat, side, groups, step, encoder, decoder, *, weight=1.0, weight_2d=1.0):
    regular3 = weight * inconsistency(joints[0], encoder, decoder)
    regular2 = weight * weight_2d * inconsistency(joints[1], encoder, decoder)
    return initial_total(joints, deep, flat, side, groups, step) + regular3 + WEAK * regular2


def latents_total(latents, deep, flat, side, groups, step, decoder):
    decoded = (affine(decoder, latents[0]), affine(decoder, latents[1]))
    return initial_total(decoded, deep, flat, side, groups, step)


def hybrid_total(
    joints, latents, deep, flat, side, groups, step, encoder, decoder,
    *, weight=1.0, weight_2d=1.0, through=1.0, teacher=1.0,
):  # fmt: skip
    (joints3, joints2), (latents3, latents2), (truth, cameras3), (pixels, cameras2) = joints, latents, deep, flat
    if step <= WARM_STEPS:
        teacher = 0.0
    part3 = (
        loss_3d(joints3, truth, cameras3, side, step)
        + loss_3d(affine(decoder, latents3), truth, cameras3, side, step)
        + through * loss_3d(reconstruct(joints3, encoder, decoder), truth, cameras3, side, step)
        + weight * inconsistency(joints3, encoder, decoder)
        + teacher * loss_3d(latents3, affine(encoder, joints3), cameras3, side, step)
    )
    part2 = (
        loss_2d(joints2, pixels, cameras2, side, groups)
        + loss_2d(affine(decoder, latents2), pixels, cameras2, side, groups)
        + through * loss_2d(reconstruct(joints2, encoder, decoder), pixels, cameras2, side, groups)
        + 0.5 * weight * weight_2d * inconsistency(joints2, encoder, decoder)
        + 0.5 * teacher * loss_3d(latents2, affine(encoder, joints2), cameras2, side, step)
    )
    return part3 + WEAK * part2
