"""Metrics against exact values: by hand, in closed form, or by brute force."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import norm

from skbayes.metrics import (
    crps,
    expected_calibration_error,
    interval_coverage,
    interval_score,
    interval_width,
)

RNG = np.random.default_rng(0)
SCORE = partial(interval_score, coverage=0.9)


def test_calibration_error_by_hand():
    # Bins by confidence: {.1, .2} with no positive, {.6, .8} with one of two.
    error = expected_calibration_error([0, 0, 1, 0], [0.1, 0.2, 0.6, 0.8], n_bins=2)
    assert error == pytest.approx(0.5 * 0.15 + 0.5 * 0.2)


def test_calibration_error_puts_tied_rows_where_the_middle_of_their_mass_lies():
    # Middles of mass .125, .5, .875: the tied rows share the upper of two bins.
    error = expected_calibration_error([0, 1, 1, 1], [0.1, 0.5, 0.5, 0.9], n_bins=2)
    assert error == pytest.approx(0.25 * 0.1 + 0.25 * (0.5 + 0.5 + 0.1))


def test_calibration_error_is_top_label_for_several_classes():
    y_prob = [[0.7, 0.2, 0.1], [0.1, 0.9, 0.0], [0.3, 0.3, 0.4]]
    error = expected_calibration_error(["a", "c", "c"], y_prob, labels=["a", "b", "c"], n_bins=3)
    assert error == pytest.approx((0.3 + 0.9 + 0.6) / 3)


def test_calibration_error_of_one_bin_is_confidence_minus_accuracy():
    y_prob = RNG.dirichlet(np.ones(4), size=200)
    y = RNG.integers(4, size=200)
    gap = abs(y_prob.max(1).mean() - (y_prob.argmax(1) == y).mean())
    assert expected_calibration_error(y, y_prob, n_bins=1) == pytest.approx(gap)


def test_calibration_error_falls_to_zero_for_calibrated_probabilities():
    p = RNG.uniform(size=200_000)
    y = RNG.uniform(size=p.size) < p
    # A gap of a bin of m rows has standard error sqrt(p (1 - p) / m), at most 0.5 / sqrt(m).
    assert expected_calibration_error(y, p) < 3 * 0.5 / np.sqrt(p.size / 10)
    assert expected_calibration_error(y, p**2) > 0.1


def test_calibration_error_does_not_depend_on_the_order_of_tied_rows():
    p = RNG.choice([0.2, 0.5, 0.9], size=300)
    y = RNG.integers(2, size=300)
    order = RNG.permutation(300)
    error = expected_calibration_error(y, p, n_bins=7)
    assert expected_calibration_error(y[order], p[order], n_bins=7) == pytest.approx(error)


def test_calibration_error_weights_count_as_repeated_rows():
    p, y = RNG.uniform(size=50), RNG.integers(2, size=50)
    weight = RNG.integers(1, 4, size=50)
    repeated = expected_calibration_error(np.repeat(y, weight), np.repeat(p, weight), n_bins=5)
    weighted = expected_calibration_error(y, p, n_bins=5, sample_weight=weight)
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize(
    ("y_prob", "options", "message"),
    [
        ([0.1, 0.2], {"n_bins": 0}, "n_bins must be a positive integer, got 0"),
        ([-3.0, 0.5], {}, "not logits"),
        ([[0.2, 0.3, 0.5]] * 2, {}, "labels=classifier.classes_"),
        ([[0.2, 0.8]] * 3, {}, "y_true has 2 rows but y_prob has 3"),
    ],
)
def test_calibration_error_refuses(y_prob, options, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error([0, 1], y_prob, **options)


def test_interval_metrics_by_hand():
    y, interval = [1.0, 5.0, -1.0, 2.0], [[0, 2], [0, 4], [0, 1], [2, 2]]
    assert interval_coverage(y, interval) == 0.5
    assert interval_width(interval) == pytest.approx(7 / 4)
    assert interval_score(y, interval, coverage=0.8) == pytest.approx((7 + 10 * (1 + 1)) / 4)


def test_interval_metrics_with_several_targets_average_over_them():
    y = RNG.normal(size=(20, 3))
    interval = np.stack([y - RNG.uniform(-0.5, 1, (20, 3)), y + 1], axis=-1)
    for metric in (interval_coverage, SCORE):
        each = [metric(y[:, t], interval[:, t]) for t in range(3)]
        assert metric(y, interval) == pytest.approx(np.mean(each))
    each = [interval_width(interval[:, t]) for t in range(3)]
    assert interval_width(interval) == pytest.approx(np.mean(each))


def test_interval_metrics_weights_count_as_repeated_rows():
    y, low = RNG.normal(size=(2, 20))
    interval, weight = np.column_stack([low, low + 1]), RNG.integers(1, 4, size=20)
    many = np.repeat(np.arange(20), weight)
    for metric in (interval_coverage, SCORE):
        weighted = metric(y, interval, sample_weight=weight)
        assert weighted == pytest.approx(metric(y[many], interval[many]))


def test_interval_score_is_least_at_the_true_quantiles():
    y = norm.ppf((np.arange(20_000) + 0.5) / 20_000)  # a normal, without sampling error
    half = norm.ppf(0.95)
    score = [SCORE(y, np.tile([-half * c, half * c], (y.size, 1))) for c in (0.9, 1.0, 1.1)]
    assert score[1] == min(score)
    # Closed form at the optimum: 4 phi(z) / alpha.
    assert score[1] == pytest.approx(4 * norm.pdf(half) / 0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("y", "interval", "message"),
    [
        ([1.0], [[2, 1]], "lower bound above its upper bound in row 0"),
        ([1.0, 2.0], [[0, 1, 2]] * 2, "axis of length 2"),
        ([[1.0], [2.0]], [[0, 1]] * 2, r"y_true has shape \(2, 1\)"),
    ],
)
def test_interval_metrics_refuse(y, interval, message):
    with pytest.raises(ValueError, match=message):
        interval_coverage(y, interval)


def test_interval_score_asks_for_the_coverage_that_intervals_were_made_for():
    """Scored at the .9 that was a default, intervals of .5 looked three times as bad."""
    with pytest.raises(TypeError, match="'coverage'"):
        interval_score([1.0], [[0, 1]])


def test_the_whole_line_covers_everything():
    line = np.tile([-np.inf, np.inf], (2, 1))
    assert interval_coverage([0.0, 1e300], line) == 1
    assert interval_width(line) == SCORE([0.0, 1.0], line) == np.inf


def test_interval_score_refuses_a_coverage_in_percent():
    with pytest.raises(ValueError, match="coverage must lie between 0 and 1, got 90"):
        interval_score([1.0], [[0, 1]], coverage=90)


def test_crps_equals_brute_force_over_pairs():
    y, draws = RNG.normal(size=5), RNG.normal(size=(11, 5))
    pairs = np.abs(draws[:, None] - draws).sum((0, 1))
    error = np.abs(draws - y).mean(0)
    assert crps(y, draws) == pytest.approx((error - pairs / (2 * 11 * 10)).mean())
    assert crps(y, draws, fair=False) == pytest.approx((error - pairs / (2 * 11**2)).mean())


def test_crps_of_a_normal_matches_its_closed_form():
    z = 0.7
    exact = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)
    values = [crps([z], RNG.normal(size=(500, 1))) for _ in range(200)]
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert abs(np.mean(values) - exact) < 4 * error


def test_crps_of_one_draw_is_the_absolute_error():
    assert crps([[1.0, 2.0]], [[[3.0, 2.5]]]) == pytest.approx((2 + 0.5) / 2)


def test_crps_weights_count_as_repeated_rows():
    y, draws, weight = RNG.normal(size=9), RNG.normal(size=(4, 9)), RNG.integers(1, 4, size=9)
    many = np.repeat(np.arange(9), weight)
    assert crps(y, draws, sample_weight=weight) == pytest.approx(crps(y[many], draws[:, many]))


def test_crps_refuses_draws_on_the_wrong_axis():
    with pytest.raises(ValueError, match="the draws stand on the first axis"):
        crps(np.zeros(5), np.zeros((5, 7)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("metric", [crps, interval_coverage, SCORE])
def test_missing_targets_are_refused(metric, bad):
    with pytest.raises(ValueError, match="y_true contains"):
        metric([1.0, bad], [[0.0, 2.0], [0.0, 2.0]])
