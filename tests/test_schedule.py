"""Learning rates: the values of the paper at the corners of its Fig. S1."""

from itertools import pairwise

import pytest

from skelbridge.errors import InputError
from skelbridge.train.schedule import Schedule

B = 2.121e-4
T = 400_000


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, B),
        (184_000, B * 3**-0.5),  # the middle of the first part
        (367_999.999, B / 3),
        (368_000, B / 30),
        (384_000, B / 30 * 0.3**0.5),
        (T, B / 100),
    ],
)
def test_initial_training(step, rate):
    rates = Schedule().initial(step, T)
    assert rates.head == rates.backbone == pytest.approx(rate, rel=1e-6)


def test_the_corners_in_absolute_numbers():
    at = [Schedule().initial(step, T).head for step in (0, 367_999, 368_000, T)]
    assert at == pytest.approx([2.121e-4, 7.07e-5, 7.07e-6, 2.121e-6], rel=1e-5)


@pytest.mark.parametrize(
    ("step", "head", "backbone"),
    [
        (0, B, B / 30),
        (19_999.999, B / 3, B / 30 * 0.3**0.5),
        (20_000, B / 30, B / 30 * 0.3**0.5),
        (30_000, B / 30 * 0.3**0.5, B / 30 * 0.3**0.75),
        (40_000, B / 100, B / 100),
    ],
)
def test_fine_tuning(step, head, backbone):
    assert Schedule().fine_tuning(step, 40_000) == pytest.approx((head, backbone), rel=1e-6)


def test_the_backbone_repeats_the_last_part_of_initial_training():
    schedule = Schedule()
    for done in (0, 0.25, 0.7, 1):
        again = schedule.fine_tuning(done * 500, 500).backbone
        assert again == pytest.approx(schedule.initial(920 + done * 80, 1000).backbone)


def test_the_last_factor_of_the_paper():
    assert Schedule(last=1 / 3).initial(T, T).head == pytest.approx(B / 90)


def test_rates_only_fall_without_warm_up():
    schedule = Schedule()
    for rate in (lambda t: schedule.initial(t, 1000).head, lambda t: schedule.fine_tuning(t, 1000).head):
        rates = [rate(t) for t in range(1001)]
        assert all(after < before for before, after in pairwise(rates))


def test_warm_up_grows_linearly_and_then_changes_nothing():
    warm, cold = Schedule(warm_up=10), Schedule()
    for step in (0, 4, 9, 10, 600):
        factor = min(1, (step + 1) / 10)
        for now, then in ((warm.initial, cold.initial), (warm.fine_tuning, cold.fine_tuning)):
            assert now(step, 1000) == pytest.approx([factor * rate for rate in then(step, 1000)])


def test_one_step_alone_has_the_base_rate():
    assert Schedule().initial(0, 1).head == B


def test_a_drop_at_the_end_is_at_the_end():
    schedule = Schedule(drop_at=1)
    assert schedule.initial(999, 1000).head == pytest.approx(B * 3**-0.999)
    assert schedule.initial(1000, 1000).head == pytest.approx(B / 30)


@pytest.mark.parametrize(("step", "steps"), [(-1, 10), (11, 10), (0, 0)])
def test_steps_outside_are_refused(step, steps):
    with pytest.raises(InputError, match="step"):
        Schedule().initial(step, steps)
    with pytest.raises(InputError, match="step"):
        Schedule().fine_tuning(step, steps)


@pytest.mark.parametrize("wrong", [{"base": 0}, {"drop_at": 1.5}, {"decay": 0.5}, {"last": 2}, {"steps": 3}])
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Schedule(**wrong)
