"""Pictures of trainings: learning rates as they are, every seed's number, and predictions where they were made."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the pictures need matplotlib: pip install skelbridge[plot]")

from skelbridge.errors import InputError
from skelbridge.plot import plot_networks, plot_predictions, plot_schedule
from skelbridge.skeletons import skeleton
from skelbridge.train.schedule import Schedule

MEASURES = {"mpjpe": "MPJPE, mm", "inconsistency": "inconsistency, mm"}


def named(axes, gid):
    """What of that name is drawn in some axes."""
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def words(figure):
    return [text.get_text() for text in figure.texts]


# -- learning rates ---------------------------------------------------------------------------------------------------


def test_the_curves_are_the_schedules():
    schedule = Schedule(base=1e-3, drop_at=0.5, head_drop_at=0.25)
    left, right = plot_schedule(schedule, 1000, fine_steps=200).axes
    (both,), (head, backbone) = left.get_lines(), right.get_lines()
    for line, rate in (
        (both, lambda t: schedule.initial(t, 1000).head),
        (head, lambda t: schedule.fine_tuning(t, 200).head),
        (backbone, lambda t: schedule.fine_tuning(t, 200).backbone),
    ):
        steps, rates = line.get_data()
        np.testing.assert_allclose(rates, [rate(t) for t in steps])
    assert (left.get_xlim()[1], right.get_xlim()[1]) == (1000, 200)
    assert left.get_yscale() == right.get_yscale() == "log"
    assert [text.get_text() for text in named(left, "value")] == ["1.00e-3", "3.33e-4", "3.33e-5", "1.00e-5"]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["head", "backbone"]


def test_fine_tuning_may_have_its_own_schedule():
    _, right = plot_schedule(Schedule(), fine=Schedule(base=1e-2)).axes
    assert right.get_lines()[0].get_ydata()[0] == pytest.approx(1e-2)


def test_the_command_writes_the_picture(tmp_path):
    path = tmp_path / "schedule.png"
    run = [sys.executable, "-m", "skelbridge.plot", "schedule", str(path)]
    subprocess.run(run, check=True)
    assert path.read_bytes()[:4] == b"\x89PNG"


# -- what was measured ------------------------------------------------------------------------------------------------


def results():
    return {
        "initial": {"mpjpe": [60.0, 62.0, 64.0], "inconsistency": [30.0, 31.0, 33.0]},
        "hybrid": {"mpjpe": [50.0, 55.0, 57.0]},
    }


def test_every_number_is_a_dot_on_its_networks_line():
    left, right = plot_networks(results(), MEASURES).axes
    dots = [np.asarray(each.get_offsets()) for each in named(left, "seeds")]
    np.testing.assert_array_equal(dots[0], [[60, 0], [62, 0], [64, 0]])
    np.testing.assert_array_equal(dots[1], [[50, 1], [55, 1], [57, 1]])
    assert [len(each.get_offsets()) for each in named(right, "seeds")] == [3, 0]
    assert [label.get_text() for label in left.get_yticklabels()] == ["initial", "hybrid"]
    assert (left.get_xlabel(), right.get_xlabel()) == tuple(MEASURES.values())
    assert left.yaxis_inverted()


def test_the_bar_is_mean_and_standard_deviation():
    axes = plot_networks(results(), MEASURES).axes[0]
    bar = axes.containers[0]
    assert bar.lines[0].get_xdata() == pytest.approx([62])
    assert bar.lines[2][0].get_segments()[0][:, 0] == pytest.approx([60, 64])


def test_one_training_has_no_bar():
    figure = plot_networks({"initial": {"mpjpe": [60.0]}}, MEASURES)
    (axes,) = figure.axes
    assert not axes.containers
    assert any("one training" in text for text in words(figure))


def test_the_floor_is_drawn_where_it_is_known():
    left, right = plot_networks(results(), MEASURES, floors={"inconsistency": 7.0}).axes
    assert not named(left, "floor")
    assert named(right, "floor")[0].get_xdata()[0] == 7


def test_without_measures_all_are_drawn_and_the_command_draws_those_of_a_file(tmp_path):
    assert [axes.get_xlabel() for axes in plot_networks(results()).axes] == ["mpjpe", "inconsistency"]
    source, picture = tmp_path / "results.json", tmp_path / "networks.png"
    source.write_text(json.dumps(results()), encoding="utf-8")
    run = [sys.executable, "-m", "skelbridge.plot", "networks", str(source), str(picture), "--measures", "mpjpe"]
    subprocess.run(run, check=True)
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="a measure"):
        plot_networks({})
    with pytest.raises(InputError, match="mpjpe"):
        plot_networks({"initial": {"other": [1.0]}}, MEASURES)


# -- predictions ------------------------------------------------------------------------------------------------------

CAMERA = np.array([[400.0, 0, 127.5], [0, 400, 127.5], [0, 0, 1]])


def predictions(count=2):
    """Points of two formats in front of a camera."""
    rng = np.random.default_rng(0)
    cards = [skeleton("coco_17"), skeleton("h36m_17")]
    return {str(card): rng.normal(0, 300, (count, len(card), 3)) + np.array([0, 0, 4000]) for card in cards}


def drawn(count, networks):
    return plot_predictions(np.full((count, 256, 256, 3), 128, np.uint8), np.stack([CAMERA] * count), networks)


def dots(axes):
    return [np.asarray(each.get_offsets()) for each in named(axes, "joints")]


def seen(points):
    """Sets of places, whatever the order of drawing."""
    return {tuple(np.round(place, 6)) for place in points}


def test_points_are_drawn_where_the_camera_sees_them_and_at_their_depth():
    points = predictions()
    axes = drawn(2, {"initial": points}).axes
    assert len(axes) == 4
    for column in range(2):
        crop, side = axes[2 * column], axes[2 * column + 1]
        for place, P in enumerate(points.values()):
            pixels = P[column, :, :2] / P[column, :, 2:] * 400 + 127.5
            assert seen(dots(crop)[place]) == seen(pixels)
            assert seen(dots(side)[place]) == seen(np.stack([P[column, :, 2], -P[column, :, 1]], axis=1))
        assert crop.get_ylim() == (255.5, -0.5)


def test_networks_share_the_scale_of_a_crop():
    points = predictions()
    spread = {name: (P - 4000) * 1.7 + 4000 for name, P in points.items()}
    figure = drawn(2, {"initial": points, "tuned": spread})
    widths = [np.ptp(axes.get_xlim()) for axes in figure.axes[1::2]]
    assert widths[0] == pytest.approx(widths[2])
    assert widths[1] == pytest.approx(widths[3])
    assert {"initial", "tuned", "● coco_17", "● h36m_17"} <= set(words(figure))


def test_missing_points_and_those_behind_the_camera_are_not_in_the_picture():
    points = predictions(1)
    points["coco_17"][0, 3] = np.nan
    points["coco_17"][0, 5, 2] = -100
    crop, side = drawn(1, {"": points}).axes
    assert len(dots(crop)[0]) == 15
    assert len(dots(side)[0]) == 16
    drawn(1, {"": {"coco_17": np.full((1, 17, 3), np.nan)}}).savefig(io.BytesIO())


@pytest.mark.parametrize(
    "networks", [{}, {"initial": {}}, {"initial": {"coco_17": np.zeros((1, 17, 3))}}, {"a": {"coco_17": np.zeros(3)}}]
)
def test_predictions_that_do_not_fit_are_refused(networks):
    with pytest.raises(InputError):
        drawn(2, networks)
