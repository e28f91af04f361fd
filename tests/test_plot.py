"""Pictures: the right joints, at the right places, in the right colours, and nothing that is missing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the pictures need matplotlib: pip install skelbridge[plot]")

from matplotlib.colors import to_hex

from skelbridge import plot
from skelbridge.bridge import rest_body
from skelbridge.convert import Converter
from skelbridge.errors import InputError, MissingExtraError, UnknownNameError
from skelbridge.plot.places import MAIN_FORMATS, MAIN_WORDS
from skelbridge.poses import Poses
from skelbridge.skeletons import Joint, Skeleton, formats, skeleton


def drawn(axes, gid):
    """The collection of that name in some axes."""
    found = [collection for collection in axes.collections if collection.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} collections {gid!r}"
    return found[0]


def joints(axes):
    """Places (joints, 2) and colours of the joints drawn, in the order of drawing."""
    dots = drawn(axes, "joints")
    return np.asarray(dots.get_offsets()), [to_hex(colour).upper() for colour in dots.get_facecolors()]


def segments(axes):
    return [np.asarray(segment) for segment in drawn(axes, "edges").get_segments()]


def same_points(found, expected, tolerance=1e-6):
    """Whether two sets of points (N, 2) are the same, in any order."""
    if len(found) != len(expected):
        return False
    distance = np.linalg.norm(found[:, None] - expected[None], axis=-1)
    return distance.min(axis=0).max() < tolerance and distance.min(axis=1).max() < tolerance


def rest_points(name):
    return skeleton(name).placement @ rest_body().landmarks


def rest_poses(name, turn=None, **options):
    points = rest_points(name)[None]
    return Poses(points if turn is None else points @ turn.T, skeleton(name), **options)


def texts(figure):
    return [text.get_text() for holder in (figure, *figure.axes) for text in holder.texts]


# -- formats -----------------------------------------------------------------------------------------------


def panels(name):
    """The panels of a format's sheet by their titles."""
    return {axes.get_title(loc="left"): axes for axes in plot.plot_skeleton(name).axes}


HEAD, HAND = ["head, front", "head, left side"], ["left hand, palm", "left hand, thumb side"]
BODY_VIEWS = {"front": ([0, 1], [1, 1]), "left side": ([2, 1], [-1, 1]), "from above": ([0, 2], [1, -1])}


@pytest.mark.parametrize("name", ["coco_17", "smpl_24", "body_25", "plug_in_gait_39", "coco_wholebody_133"])
def test_a_format_is_drawn_where_its_placements_lie(name):
    views, points = panels(name), rest_points(name)
    for title, (columns, signs) in BODY_VIEWS.items():
        assert same_points(joints(views[title])[0], points[:, columns] * signs)
        assert len(segments(views[title])) == len(skeleton(name).edges)


@pytest.mark.parametrize(
    ("name", "close_ups"),
    [
        ("lsp_14", []),
        ("coco_17", HEAD),
        ("plug_in_gait_39", HEAD),
        ("smplh_52", HAND),
        ("coco_wholebody_133", [*HEAD, *HAND, "left foot, outer side", "left foot, from above"]),
    ],
)
def test_a_sheet_has_the_close_ups_that_its_joints_ask_for(name, close_ups):
    views = panels(name)
    assert set(views) >= {*BODY_VIEWS, *close_ups}
    assert len(views) == 3 + len(close_ups)


def test_a_users_card_of_a_crowded_nose_is_drawn():
    joints_of_nose = tuple(
        Joint(name=f"nose{i}", at={"nose_tip": 1 - i / 500, "nose_base": i / 500}) for i in range(120)
    )
    views = {
        axes.get_title(loc="left"): axes for axes in plot.plot_skeleton(Skeleton(id="n", joints=joints_of_nose)).axes
    }
    assert set(views) == {*HEAD, "nose"}
    assert len(joints(views["nose"])[0]) == 120


def test_rings_are_as_wide_as_the_places_are_uncertain():
    card = skeleton("body_25")
    rings = drawn(panels("body_25")["front"], "rings")
    np.testing.assert_allclose(rings.get_widths(), 2 * card.placement_uncertainty)
    np.testing.assert_allclose(np.asarray(rings.get_offsets()), rest_points("body_25")[:, :2])


def test_every_joint_of_a_large_format_has_its_number_in_some_panel():
    numbers = {text.get_text() for axes in panels("sapiens_goliath_308").values() for text in axes.texts}
    card = skeleton("sapiens_goliath_308")
    mirrored = {i for left, right in card.mirror for i in (card.index(right),)}
    assert {str(i) for i in range(308) if i not in mirrored} <= numbers


def test_sheets_are_written_small_and_a_hand_as_a_left_one(tmp_path):
    from matplotlib.image import imread

    written = plot.save_sheets(tmp_path / "sheets", [skeleton("coco_17"), skeleton("mano_21")])
    assert [path.name for path in written] == ["coco_17.png", "mano_21.png"]
    for path in written:
        assert path.stat().st_size < 70_000
        assert min(imread(path).shape[:2]) > 500


def test_the_command_writes_sheets_and_places(tmp_path):
    for arguments in (["sheets", tmp_path, "lsp"], ["places", tmp_path / "places.png", "--words", "hip"]):
        subprocess.run([sys.executable, "-W", "error", "-m", "skelbridge.plot", *map(str, arguments)], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"lsp_14.png", "places.png"}


def test_the_catalogue_has_every_format_and_its_sheet():
    docs = Path(__file__).parents[1] / "docs"
    page = (docs / "formats.md").read_text(encoding="utf-8")
    for card in formats():
        assert f"\n## {card.id}\n" in page
        assert f"](images/formats/{card.id}.png)" in page
        assert (docs / "images" / "formats" / f"{card.id}.png").is_file()


def test_an_unknown_format_is_one_error_with_the_nearest_names():
    with pytest.raises(UnknownNameError, match="coco_17"):
        plot.plot_skeleton("cocoo_17")
    with pytest.raises(UnknownNameError):
        plot.plot_namesakes("hip", ["cocoo_17"])


def test_left_is_blue_right_is_orange_and_the_body_faces_the_viewer():
    places, colours = joints(plot.plot_skeleton("smpl_24").axes[0])
    by_colour = {colour: places[[c == colour for c in colours]] for colour in set(colours)}
    assert set(by_colour) == {plot.COLOURS[side].upper() for side in ("left", "right", "centre")}
    assert (by_colour[plot.COLOURS["left"].upper()][:, 0] > 0).all()  # its left is on the viewer's right
    assert (by_colour[plot.COLOURS["right"].upper()][:, 0] < 0).all()


def test_edges_take_the_side_of_their_joints_and_bridges_between_the_sides_are_central():
    card = skeleton("coco_17")
    sides = dict(zip(card.edges, plot.edge_sides(card), strict=True))
    assert sides["left_knee", "left_hip"] == "left"
    assert sides["left_hip", "right_hip"] == "centre"
    assert sides["nose", "right_eye"] == "right"


def test_the_list_of_names_has_every_joint_of_a_middling_format_and_counts_those_of_a_large_one():
    named = texts(plot.plot_skeleton("coco_17"))
    assert {"nose", "eye", "shoulder", "ankle"} <= set(named)
    assert {str(i) for i in range(17)} <= set(named)
    counted = texts(plot.plot_skeleton("coco_wholebody_133"))
    assert "in the left hand" in counted
    assert "nose" not in counted


def test_a_hand_is_drawn_alone_and_in_the_colour_of_its_side():
    views = panels("mediapipe_hand_21:right")
    assert set(views) == {"right hand, palm", "right hand, thumb side"}
    places, colours = joints(views["right hand, palm"])
    assert len(places) == 21
    assert set(colours) == {plot.COLOURS["right"].upper()}
    hand = rest_points("mediapipe_hand_21:right")
    size = np.linalg.norm(hand[[8, 12, 16]] - hand[0], axis=1).max()
    assert np.ptp(places[:, 1]) > 0.85 * size  # fingers up, seen flat
    assert np.ptp(joints(views["right hand, thumb side"])[0][:, 0]) < np.ptp(places[:, 0])
    with pytest.raises(InputError, match="side"):
        plot.plot_skeleton("mediapipe_hand_21")


def test_the_thumb_is_on_the_left_of_a_left_palm():
    for side, sign in (("left", -1), ("right", 1)):
        axes = panels(f"openpose_hand_21:{side}")[f"{side} hand, palm"]
        numbers = {text.get_text(): text.get_position() for text in axes.texts}
        assert sign * numbers["4"][0] > sign * numbers["20"][0]


def test_close_ups_hold_the_joints_of_their_region_alone():
    views, card = panels("coco_wholebody_133"), skeleton("coco_wholebody_133")
    points = rest_points("coco_wholebody_133")
    head = points[:, 1] > points[card.index("left_shoulder"), 1] + 50
    assert len(joints(views["head, front"])[0]) == head.sum()
    assert len(joints(views["head, left side"])[0]) == (head & (points[:, 0] > -1)).sum()
    assert len(joints(views["left hand, palm"])[0]) == 22


def test_namesakes_are_grouped_by_place_with_their_widths():
    figure = plot.plot_namesakes("hip", ["h36m_17", "h36m_25", "smpl_24", "mediapipe_hand_21"])
    card, points = skeleton("h36m_17"), rest_points("h36m_17")
    width = np.linalg.norm(points[card.index("left_hip")] - points[card.index("right_hip")])
    written = texts(figure)
    assert f"{width:.0f} mm" in written
    assert "h36m_17, h36m_25" in written
    assert len(figure.axes[0].collections) == 3  # the body and two places
    with pytest.raises(InputError, match="tail"):
        plot.plot_namesakes("tail", ["coco_17"])


def test_the_figure_of_places_names_every_format_in_every_block():
    figure = plot.plot_namesakes()
    assert len(figure.axes) == 2 * len(MAIN_WORDS)
    words = " ".join(texts(figure)).replace(",", "").split()
    for name in MAIN_FORMATS:
        known = set(skeleton(name).names)
        blocks = sum(word in known or f"left_{word}" in known for word in MAIN_WORDS)
        assert words.count(name) == blocks > 0


# -- poses -------------------------------------------------------------------------------------------------


def test_missing_joints_and_their_edges_are_absent():
    poses, card = rest_poses("coco_17"), skeleton("coco_17")
    points = poses.points.copy()
    points[0, [card.index("left_wrist"), card.index("nose")]] = np.nan
    axes = plot.plot_poses(Poses(points, card), frame=0).axes[0]
    assert len(joints(axes)[0]) == 15
    gone = {"left_wrist", "nose"}
    assert len(segments(axes)) == sum(not gone & set(edge) for edge in card.edges)


@pytest.mark.parametrize(
    "turn",
    [
        np.eye(3),  # y up
        np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),  # z up
        np.array([[-1.0, 0, 0], [0, -1, 0], [0, 0, 1]]),  # y down, a camera's axes
        np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),  # y up, looking along x
    ],
)
def test_whatever_the_axes_of_the_data_the_picture_is_the_same(turn):
    figure = plot.plot_poses(rest_poses("smpl_24", turn), frame=0)
    points = rest_points("smpl_24")
    front, side = (joints(axes)[0] for axes in figure.axes)
    assert same_points(front, points[:, [0, 1]], 1e-3)
    assert same_points(side, points[:, [2, 1]] * [-1, 1], 1e-3)


def test_up_can_be_said_and_a_wrong_word_is_one_error():
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    said, found = (plot.plot_poses(rest_poses("smpl_24", turn), frame=0, up=up) for up in ("z", None))
    assert same_points(joints(said.axes[0])[0], joints(found.axes[0])[0])
    with pytest.raises(InputError, match="up"):
        plot.plot_poses(rest_poses("smpl_24"), frame=0, up="skywards")


def test_a_files_own_names_tell_what_is_up():
    own = Skeleton(id="own", joints=tuple(Joint(name=name.title()) for name in skeleton("h36m_17").names))
    axes = plot.plot_poses(Poses(rest_points("h36m_17")[None], own), frame=0, view="side").axes[0]
    heights = joints(axes)[0][:, 1]
    assert same_points(np.sort(heights)[:, None], np.sort(rest_points("h36m_17")[:, 1])[:, None])


def test_image_points_are_drawn_head_up():
    card, points = skeleton("coco_17"), rest_points("coco_17")
    image = Poses(points[None, :, :2] * [1, -1] + 2000, card, units="px")
    axes = plot.plot_poses(image).axes[0]
    places = joints(axes)[0]
    assert places[0, 1] != places[-1, 1]
    assert same_points(places - places.mean(0), points[:, :2] - points[:, :2].mean(0))


def test_several_frames_are_drawn_side_by_side_at_one_scale():
    card, points = skeleton("h36m_17"), rest_points("h36m_17")
    motion = Poses(points + np.arange(60)[:, None, None] * [0.0, 0, 30], card)
    figure = plot.plot_poses(motion)
    assert 1 < len(figure.axes) <= 8
    scales = {round(float(np.ptp(axes.get_xlim()) / axes.get_position().width), 3) for axes in figure.axes}
    assert len(scales) == 1


def test_rows_share_frames_viewer_and_scale():
    points = rest_body().landmarks
    rows = {
        name: Poses((skeleton(name).placement @ points)[None].repeat(3, 0), skeleton(name))
        for name in ("coco_17", "smpl_24")
    }
    figure = plot.plot_rows(rows, frames=[0, 2], body=np.stack([points] * 3))
    assert len(figure.axes) == 4
    assert all(drawn(axes, "body") is not None for axes in figure.axes)
    upper, lower = figure.axes[0], figure.axes[2]
    np.testing.assert_allclose(upper.get_xlim(), lower.get_xlim())
    assert set(rows) <= set(texts(figure))


def test_axes_of_the_user_are_drawn_into():
    from matplotlib.figure import Figure

    mine = Figure()
    axes = mine.subplots()
    assert plot.plot_poses(rest_poses("coco_17"), axes=axes) is mine
    assert len(joints(axes)[0]) == 17


def test_nothing_to_draw_and_no_such_frame_are_one_error_each():
    card = skeleton("coco_17")
    with pytest.raises(InputError, match="only missing"):
        plot.plot_poses(Poses(np.full((2, 17, 3), np.nan), card))
    with pytest.raises(InputError, match="frame"):
        plot.plot_poses(rest_poses("coco_17"), frame=1)


def test_the_body_follows_its_landmarks():
    rest = rest_body()
    np.testing.assert_allclose(plot.posed_body(rest.landmarks), rest.vertices, atol=1e-6)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = plot.posed_body(rest.landmarks @ turn.T + [100.0, -50, 20])
    np.testing.assert_allclose(moved, rest.vertices @ turn.T + [100.0, -50, 20], atol=1e-6)


def test_poses_on_a_picture_are_in_its_pixels():
    card = skeleton("coco_17")
    pixels = rest_points("coco_17")[:, :2] * [0.1, -0.1] + [100, 120]
    figure = plot.plot_on_image(np.zeros((240, 200, 3), np.uint8), {"one": (pixels, card), "two": (pixels, card)})
    assert len(figure.axes) == 2
    for axes in figure.axes:
        assert same_points(joints(axes)[0], pixels)
        assert axes.get_ylim() == (240, 0)


# -- conversions -------------------------------------------------------------------------------------------


def test_the_matrix_shows_the_weights_and_leaves_zeros_blank():
    converter = Converter("coco_17", "smpl_24")
    figure = converter.plot()
    weights = converter.weights.toarray()
    matrix = figure.axes[0].collections[0].get_array().reshape(weights.shape)
    np.testing.assert_array_equal(np.ma.filled(matrix, 0), weights)
    np.testing.assert_array_equal(np.ma.getmaskarray(matrix), weights == 0)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list(converter.source.names)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(converter.target.names)
    assert figure.axes[0].get_ylim() == (24, 0)  # the first target on top
    for axes, name in zip(figure.axes[1:], ("coco_17", "smpl_24"), strict=True):
        assert same_points(joints(axes)[0], rest_points(name)[:, :2])


def test_the_limits_of_the_colours_are_symmetric():
    image = Converter("coco_17", "h36m_17").plot().axes[0].collections[0]
    assert image.norm.vmin == -image.norm.vmax


@pytest.mark.parametrize(("source", "target"), [("coco_wholebody_133", "sapiens_goliath_308"), ("smplx_144", "lsp_14")])
def test_large_matrices_fit_on_the_page(source, target):
    figure = Converter(source, target).plot()
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 1 and box.y1 <= 1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert max(figure.get_size_inches()) < 24


def test_an_error_bar_is_as_long_as_the_total_and_divided_by_the_squares_of_its_parts():
    converter = Converter("coco_17", "smpl_24")
    axes = plot.plot_errors(converter).axes[0]
    bars = {bars.get_label(): np.array([bar.get_width() for bar in bars]) for bars in axes.containers}
    np.testing.assert_allclose(sum(bars.values()), converter.expected_error, rtol=1e-6)
    shares = bars["bridge"] / converter.expected_error
    np.testing.assert_allclose(shares, (converter.bridge_error / converter.expected_error) ** 2, atol=1e-9)


def test_methods_are_compared_side_by_side_and_gaps_are_said():
    figure = plot.plot_comparison(["a", "b"], {"renaming": [30, np.nan], "ours": [10, 12]}, "test", expected=[9, 13])
    axes = figure.axes[0]
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    assert widths == {"renaming": [30, 0], "ours": [10, 12]}
    assert any("renaming: none" in text for text in texts(figure))
    (marks,) = axes.lines
    np.testing.assert_array_equal(marks.get_xdata(), [9, 13])


# -- manners -----------------------------------------------------------------------------------------------


def test_pictures_leave_pyplot_and_the_settings_alone():
    code = (
        "import sys, matplotlib; before = dict(matplotlib.rcParams.copy())\n"
        "from skelbridge.plot import plot_skeleton\n"
        "plot_skeleton('coco_17')\n"
        "print('matplotlib.pyplot' in sys.modules, before == dict(matplotlib.rcParams.copy()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_without_matplotlib_the_mend_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"skelbridge\[plot\]\""):
        plot.plot_skeleton("coco_17")
