"""Pictures of autoencoders: latents where the encoder puts them, weights as they are, errors as they were measured."""

import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the pictures need matplotlib: pip install skelbridge[plot]")

from matplotlib.colors import to_hex

from skelbridge import plot
from skelbridge.bridge import rest_body
from skelbridge.bridge.acae import ACAE, Joints
from skelbridge.errors import InputError, MissingExtraError, UnknownNameError
from skelbridge.skeletons import Joint, Skeleton

#: Latents as sources and weights; the right ones follow. Ears, wrists and noses of COCO and BODY-25 coincide.
LEFT = {
    "left_shoulder": {"coco_17/left_shoulder": 0.5, "h36m_17/left_shoulder": 0.5},
    "left_wrist": {"coco_17/left_wrist": 0.75, "body_25/left_wrist": 0.5, "coco_17/left_elbow": -0.25},
    "left_foot": {"body_25/left_heel": 1.0},
    "left_beyond": {"coco_17/left_wrist": 3.0, "coco_17/left_shoulder": -2.0},
}
CENTRAL = {"head_top": {"h36m_17/head_top": 1.0}, "pelvis": {"coco_17/left_hip": 0.5, "coco_17/right_hip": 0.5}}
PAIRS, CENTRE = len(LEFT), len(CENTRAL)
FRONT, SIDE = ([0, 1], [1, 1]), ([2, 1], [-1, 1])


@pytest.fixture(scope="module")
def acae():
    """An autoencoder made by hand: each joint is decoded from the nearest latent of its side."""
    return made(Joints.of(["coco_17", "h36m_17", "body_25"]))


def made(joints):
    latents = (*LEFT, *(name.replace("left", "right") for name in LEFT), *CENTRAL)
    encoder = np.zeros((len(latents), len(joints)))
    for row, sources in enumerate((*LEFT.values(), *CENTRAL.values())):
        for name, weight in sources.items():
            joint = joints.names.index(name)
            encoder[row if row < PAIRS else row + PAIRS, joint] = weight
            if row < PAIRS:
                encoder[PAIRS + row, joints.mirror[joint]] = weight
    mean_pose = joints.placement @ rest_body().landmarks
    distance = np.linalg.norm(mean_pose[:, None] - (encoder @ mean_pose)[None], axis=-1)
    decoder = np.eye(len(latents))[distance.argmin(axis=1)]
    mirror = [*range(PAIRS, 2 * PAIRS), *range(PAIRS), *range(2 * PAIRS, len(latents))]
    error = np.linspace(1, 30, len(joints))
    held_out = {"error": error, "start": error + 3, "floor": error / 2}
    return ACAE(joints, encoder, decoder, latents, np.array(mirror), mean_pose, held_out)


def drawn(axes, gid):
    """What of that name is drawn in some axes."""
    return [artist for artist in (*axes.collections, *axes.texts) if artist.get_gid() == gid]


def panels(figure):
    return {axes.get_title() or axes.get_title(loc="left") or axes.get_gid(): axes for axes in figure.axes}


def texts(figure):
    return [text.get_text() for holder in (figure, *figure.axes) for text in holder.texts]


def dots(axes, gid):
    """Places and colours of dots: place (rounded) -> colour of the edge if hollow, else of the face."""
    (found,) = drawn(axes, gid)
    shades = found.get_edgecolors() if gid == "latents outside" else found.get_facecolors()
    return {
        tuple(np.round(at, 3)): to_hex(shade).upper() for at, shade in zip(found.get_offsets(), shades, strict=True)
    }


# -- latents ---------------------------------------------------------------------------------------------------


def test_latents_are_where_the_encoder_puts_them_in_the_colours_of_their_sides(acae):
    views = panels(plot.plot_latents(acae))
    places = acae.encoder @ acae.mean_pose
    for title, (columns, signs) in {"front": FRONT, "left side": SIDE}.items():
        found = dots(views[title], "latents") | dots(views[title], "latents outside")
        for name, place in zip(acae.latents, places[:, columns] * signs, strict=True):
            side = "centre" if name in CENTRAL else name.partition("_")[0]
            shade = found[tuple(np.round(place, 3))]
            # From the side left and right ones are in one place; the left ones, which are near, are on top.
            assert shade in (plot.COLOURS[side], plot.COLOURS["left"])
        assert len(drawn(views[title], "body")) == 1


def test_latents_outside_of_the_body_are_hollow_and_inside_the_picture(acae):
    axes = panels(plot.plot_latents(acae))["front"]
    outer = dots(axes, "latents outside")
    place = (acae.encoder @ acae.mean_pose)[acae.latents.index("left_beyond"), :2]
    assert tuple(np.round(place, 3)) in outer
    assert not {tuple(np.round(p, 3)) for p in acae.mean_pose[:, :2]} & outer.keys() - dots(axes, "latents").keys()
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    assert all((low < at).all() and (at < high).all() for at in map(np.array, outer))


def test_names_are_written_once_and_never_over_each_other(acae):
    names, heights = [], []
    for axes in plot.plot_latents(acae).axes:
        written = drawn(axes, "names")
        names += [text.get_text() for text in written]
        per_mm = axes.get_position().height * axes.figure.get_figheight() * 72 / np.ptp(axes.get_ylim())
        heights.append(
            np.diff(np.sort([text.get_position()[1] for text in written])) * per_mm - written[0].get_fontsize()
        )
    assert sorted(names) == sorted(["shoulder", "wrist", "foot", "beyond", "head top", "pelvis"])
    assert np.concatenate(heights).min() > 0


def test_many_latents_have_names_that_can_be_told_apart():
    joints = Joints.of("sapiens_goliath_308")
    pairs = np.flatnonzero(joints.mirror > np.arange(len(joints)))[:60]
    rows = np.concatenate([pairs, joints.mirror[pairs]])
    mean_pose = joints.placement @ rest_body().landmarks
    names = tuple(joints.names[i].rpartition("/")[2] for i in rows)
    mirror = np.r_[60:120, 0:60]
    many = ACAE(joints, np.eye(len(joints))[rows], np.full((len(joints), 120), 1 / 120), names, mirror, mean_pose)
    axes = panels(plot.plot_latents(many))["front"]
    written = drawn(axes, "names")
    assert len(written) == 60
    assert np.diff(np.sort([text.get_position()[1] for text in written])).min() > 10
    low, high = axes.get_ylim()
    assert all(low < text.get_position()[1] < high for text in written)


def test_formats_without_places_are_drawn_without_a_body():
    names = ["head", "left_hand", "right_hand", "left_foot", "right_foot"]
    card = Skeleton(id="x", joints=[Joint(name=n) for n in names], mirror=[names[1:3], names[3:]])
    pose = np.array([[0, 1600, 0], [700, 900, 0], [-700, 900, 0], [200, 0, 0], [-200, 0, 0]], dtype=float)
    own = ACAE(Joints.of([card]), np.eye(5)[1:], np.vstack([np.full(4, 0.25), np.eye(4)]), tuple(names[1:]),
               np.array([1, 0, 3, 2]), pose, {"error": np.ones(5)})  # fmt: skip
    for figure in (plot.plot_latents(own), plot.plot_latent_sources(own), plot.plot_acae_weights(own)):
        assert all(not drawn(axes, "body") for axes in figure.axes)
    views = panels(plot.plot_latents(own))
    assert {at for at, shade in dots(views["front"], "latents").items() if shade == plot.COLOURS["left"]} == {
        (700.0, 900.0), (200.0, 0.0),
    }  # fmt: skip
    assert len(plot.plot_acae_errors(own).axes) > 2


# -- their sources ---------------------------------------------------------------------------------------------


def test_sources_are_discs_as_large_as_their_weights_in_the_colour_of_their_sign(acae):
    axes = panels(plot.plot_latent_sources(acae, "left_wrist"))["left_wrist, front"]
    (discs,) = drawn(axes, "sources")
    wrist, elbow = (acae.mean_pose[acae.joints.names.index(f"coco_17/left_{j}"), :2] for j in ("wrist", "elbow"))
    np.testing.assert_allclose(discs.get_offsets(), [wrist, elbow], atol=1e-6)
    sizes = discs.get_sizes()
    assert sizes[0] / sizes[1] == pytest.approx(1.25 / 0.25)  # both formats' wrists are one place
    positive, negative = (to_hex(shade) for shade in discs.get_facecolors())
    assert positive != negative
    (cross,) = drawn(axes, "latent")
    np.testing.assert_allclose(cross.get_offsets()[0], 1.25 * wrist - 0.25 * elbow)


def test_sources_are_listed_with_their_weights_and_formats(acae):
    written = texts(plot.plot_latent_sources(acae, "left_wrist", acae.latents.index("head_top")))
    assert {"left wrist", "head top", "+1.25", "−0.25", "+1.00", "head_top (h36m_17)"} <= set(written)
    assert "left_wrist (coco_17, body_25)" in written or "left_wrist (3 formats)" in written


def test_without_names_the_latents_of_most_sources_are_taken_but_no_right_ones(acae):
    titles = {gid.rpartition(",")[0] for gid in panels(plot.plot_latent_sources(acae))}
    assert titles == {*LEFT, *CENTRAL}


def test_latents_that_are_not_there(acae):
    with pytest.raises(UnknownNameError, match="left_shoulder"):
        plot.plot_latent_sources(acae, "left_sholder")
    with pytest.raises(InputError, match="below 10"):
        plot.plot_latent_sources(acae, 10)


# -- in space --------------------------------------------------------------------------------------------------


def test_latents_in_space_on_a_light_body(acae):
    pytest.importorskip("plotly", reason="figures in space need plotly: pip install skelbridge[notebook]")
    figure = plot.plot_latents_3d(acae)
    body, *sides = figure.data
    assert 500 < len(body.x) < 4000
    assert len(figure.to_json()) < 300_000
    for trace, names in zip(sides, (acae.latents[:PAIRS], acae.latents[PAIRS : 2 * PAIRS], CENTRAL), strict=True):
        places = (acae.encoder @ acae.mean_pose)[[acae.latents.index(name) for name in names]]
        np.testing.assert_allclose(np.stack([trace.y, trace.z, trace.x], axis=1), places)
        assert trace.marker.color == plot.COLOURS[trace.name]
        assert all(f"<b>{name}</b>" in text for name, text in zip(names, trace.text, strict=True))


def test_without_plotly_the_message_says_what_to_install(acae, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtraError, match=r"skelbridge\[notebook\]"):
        plot.plot_latents_3d(acae)


# -- weights ---------------------------------------------------------------------------------------------------


def matrix(axes):
    """The weights that are drawn, rows and columns; blank ones are zero."""
    (mesh,) = drawn(axes, "weights")
    shown = mesh.get_array().reshape(-1, 2 * PAIRS + CENTRE)
    return np.where(np.ma.getmaskarray(shown), 0, np.sign(shown.data) * shown.data**2)


def test_matrices_hold_the_weights_and_coincident_joints_are_one_row(acae):
    encoder, decoder = (matrix(axes) for axes in plot.plot_acae_weights(acae).axes[:2])
    places = len(np.unique(np.round(acae.mean_pose, 2), axis=0))
    assert encoder.shape == decoder.shape == (places, len(acae.latents))
    np.testing.assert_allclose(encoder.sum(axis=0), 1)
    np.testing.assert_allclose(decoder.sum(axis=1), 1)
    assert np.sort(encoder[encoder != 0]) == pytest.approx(
        [-2, -2, -0.25, -0.25, *[0.5] * 6, 1, 1, 1, 1.25, 1.25, 3, 3]
    )


def test_rows_and_columns_are_in_blocks_of_left_right_and_central_ones(acae):
    figure = plot.plot_acae_weights(acae)
    axes = figure.axes[0]
    shades = [to_hex(label.get_color()).upper() for label in axes.get_xticklabels()]
    left, right, centre = plot.COLOURS.values()
    assert shades == [left] * PAIRS + [right] * PAIRS + [centre] * CENTRE
    shades = [to_hex(label.get_color()).upper() for label in axes.get_yticklabels()]
    assert shades == sorted(shades, key=[left, right, centre].index)
    rows = shades.count(left)
    assert rows == shades.count(right) == len(shades) - rows - shades.count(centre)
    drawn_matrix = matrix(axes)
    mirrored = drawn_matrix[np.r_[rows : 2 * rows, :rows]][:, np.r_[PAIRS : 2 * PAIRS, :PAIRS]]
    np.testing.assert_allclose(drawn_matrix[: 2 * rows, : 2 * PAIRS], mirrored)


def test_large_autoencoders_have_rows_named_by_part_of_the_body():
    registry = made(Joints.of(["coco_17", "h36m_17", "body_25", "coco_wholebody_133", "bml_movi_87"]))
    labels = [label.get_text() for label in plot.plot_acae_weights(registry).axes[0].get_yticklabels()]
    assert {"left hand", "right hand", "left foot", "left face", "trunk"} <= set(labels)
    assert len(labels) < 30


# -- errors ----------------------------------------------------------------------------------------------------


def test_errors_are_drawn_where_the_joints_lie(acae):
    figure = plot.plot_acae_errors(acae)
    (found,) = drawn(panels(figure)["front"], "errors")
    order = np.argsort(found.get_array())
    np.testing.assert_allclose(found.get_array()[order], acae.held_out["error"])
    np.testing.assert_allclose(found.get_offsets()[order], acae.mean_pose[:, :2])
    assert "mean distance on held-out poses, mm: error 15.5, start 18.5, floor 7.8" in texts(figure)


def test_the_worst_places_are_named_and_formats_are_sorted(acae):
    figure = plot.plot_acae_errors(acae)
    bars = figure.axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["body_25", "h36m_17", "coco_17"]
    lengths = [patch.get_width() for patch in bars.patches]
    means = [acae.held_out["error"][acae.joints.slices[name]].mean() for name in ("body_25", "h36m_17", "coco_17")]
    assert lengths == pytest.approx(means)
    worst = [text for text in texts(figure) if text.endswith("(body_25)")]
    assert "left_heel (body_25)" in worst
    assert not any(text.startswith("right") for text in worst)


def test_errors_of_one_format_and_of_joints_that_were_never_known(acae):
    held_out = {name: values.copy() for name, values in acae.held_out.items()}
    for values in held_out.values():
        values[acae.joints.slice_of("h36m_17")] = np.nan
    figure = plot.plot_acae_errors(replace(acae, held_out=held_out), "coco_17")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(acae.joints.formats[0].names)
    (found,) = drawn(panels(figure)["front"], "errors")
    assert len(found.get_offsets()) == 17
    every = plot.plot_acae_errors(replace(acae, held_out=held_out))
    assert [label.get_text() for label in every.axes[0].get_yticklabels()] == ["body_25", "coco_17"]


def test_errors_that_are_not_there(acae):
    with pytest.raises(InputError, match="held_out"):
        plot.plot_acae_errors(replace(acae, held_out={}))
    with pytest.raises(InputError, match="smpl_24"):
        plot.plot_acae_errors(acae, "smpl_24")


# -- the trade-off ---------------------------------------------------------------------------------------------


def row(l1, latents, error, **more):
    return {"l1": l1, "latents": latents, "error_mm": error, "negative_encoder": 0.1} | {
        "negative_decoder": 0.0, "floor_mm": 2.0, **more,
    }  # fmt: skip


def test_the_tradeoff_shows_every_fit_and_rings_the_chosen_one():
    table = [row(0.0, 24, 9.0), row(0.6, (20, 4), 10.0, chosen=True), row(0.6, 48, 6.0), row((2.0, 1.0), 48, 7.0)]
    figure = plot.plot_tradeoff(table)
    price, number = figure.axes[0], figure.axes[1]
    full = {line.get_label(): line.get_xydata().tolist() for line in price.lines if line.get_linestyle() == "-"}
    assert full == {"24 latents": [[0.0, 9.0], [0.6, 10.0]], "48 latents": [[0.6, 6.0], [2.0, 7.0]]}
    full = {line.get_label(): line.get_xydata().tolist() for line in number.lines if line.get_linestyle() == "-"}
    assert full["price 0.6"] == [[24.0, 10.0], [48.0, 6.0]]
    (ring,) = drawn(price, "chosen")
    np.testing.assert_allclose(ring.get_offsets(), [[0.6, 10.0]])


@pytest.mark.parametrize("table", [[], [{"l1": 0.6, "latents": 24}]])
def test_a_table_without_what_is_needed(table):
    with pytest.raises(InputError, match="error_mm"):
        plot.plot_tradeoff(table)
