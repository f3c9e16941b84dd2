"""Hyper and HyperSpace: what is asked for is what one gets; Optuna's words both ways; bad spaces get one line."""

import math

import autograd.numpy as anp
import numpy as np
import optuna
import pytest
from autograd import grad
from hypothesis import assume, given
from hypothesis import strategies as st

from hyperopt_hn import Hyper, HyperSpace, UserError

optuna.logging.set_verbosity(optuna.logging.WARNING)


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 5), st.data())
def test_every_integer_of_a_grid_is_given_back_exactly(low, width, step, data):
    high = low + width
    choices = list(range(low, high + 1, step))
    value = data.draw(st.sampled_from(choices))
    hyper = Hyper("k", value, low, high, step=float(step), discrete=True)
    assert hyper.value(hyper.raw(float(value))) == value
    assert hyper.top == choices[-1]
    assert hyper.value(np.array([-1e3, 1e3])).tolist() == [choices[0], choices[-1]]


def test_cutout_length_starts_at_four_and_reaches_twenty_four():
    """The published code started at 3.84, floored to 3, and never gave 24."""
    length = Hyper("cutlength", 4, 0, 24, discrete=True)
    assert length.value(length.raw(4.0)) == 4.0
    assert length.value(np.float64(50.0)) == 24.0


@given(st.floats(-8, 8), st.floats(1e-3, 20), st.floats(0.001, 0.999), st.booleans())
def test_continuous_values_come_back(low, width, where, log):
    low = math.exp(low) if log else low
    init = low + width * where
    assume(low < init < low + width)
    hyper = Hyper("x", init, low, low + width, log=log)
    assert hyper.value(hyper.raw(init)) == pytest.approx(init, rel=1e-9, abs=1e-12)


def test_integer_bins_have_equal_room():
    hyper = Hyper("k", 0, 0, 3, discrete=True)
    inner = np.linspace(0.001, 0.999, 4000)
    counts = np.unique(hyper.value(np.log(inner / (1 - inner))), return_counts=True)[1]
    assert counts.tolist() == pytest.approx([1000] * 4, abs=8)


def test_flooring_is_outside_the_gradient_path():
    hyper = Hyper("k", 4, 0, 24, discrete=True)
    assert grad(lambda u: hyper.value(u, anp) + 2.0 * u)(hyper.raw(4.0)) == 2.0


def test_unbounded_log_is_exp():
    hyper = Hyper("weight_decay", 1.0, 0.0, log=True)
    assert hyper.value(np.array([-3.5, 0.0])) == pytest.approx(np.exp([-3.5, 0.0]))


SPACE = HyperSpace(
    [
        Hyper("dropout", 0.05, 0.0, 0.9),
        Hyper("holes", 1, 0, 4, discrete=True, spread=1.0),
        Hyper("decay", 1e-4, 0.0, log=True, shared=True, size=3),
        Hyper("untouched", 0.3, 0.0, 1.0),
    ],
    tuned=["decay", "dropout", "holes"],
)


def test_order_sizes_and_marks():
    assert SPACE.tuned == ("dropout", "holes", "decay") and SPACE.n == 5
    assert SPACE.spreads().tolist() == [0.5, 1.0, 0.5, 0.5, 0.5]
    assert SPACE.shared().tolist() == [False, False, True, True, True]


def test_values_of_one_lambda_and_of_a_batch():
    lam = SPACE.init()
    one, many = SPACE.values(lam), SPACE.values(np.stack([lam, lam]))
    assert one["dropout"].shape == () and many["dropout"].shape == (2,)
    assert one["decay"].shape == (3,) and many["decay"].shape == (2, 3)
    assert one["untouched"] == many["untouched"] == 0.3
    assert SPACE.plain(lam)["holes"] == 1 and isinstance(SPACE.plain(lam)["holes"], int)


def test_raw_and_values_are_inverse():
    lam = SPACE.init() + 0.1
    values = SPACE.values(lam)
    tuned = {name: values[name] for name in SPACE.tuned}
    assert SPACE.values(SPACE.raw(tuned))["dropout"] == pytest.approx(values["dropout"], rel=1e-12)
    assert SPACE.raw(tuned)[[0, 2, 3, 4]] == pytest.approx(lam[[0, 2, 3, 4]], rel=1e-12)


def test_nothing_tuned():
    fixed = SPACE.with_tuned([])
    assert fixed.n == 0 and fixed.init().shape == (0,)
    assert fixed.values(fixed.init())["holes"] == 1


def test_with_init():
    assert SPACE.with_init({"dropout": 0.5}).values(SPACE.with_init({"dropout": 0.5}).init())["dropout"] == 0.5
    with pytest.raises(UserError, match="did you mean 'dropout'"):
        SPACE.with_init({"dropuot": 0.5})


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: Hyper("x", 0.0, 0.0, 1.0), "strictly between"),
        (lambda: Hyper("x", 1.0, 0.0, 1.0), "strictly between"),
        (lambda: Hyper("x", 2.0, 0.0, 1.0), "strictly between"),
        (lambda: Hyper("x", math.nan), "NaN"),
        (lambda: Hyper("x", "relu"), "categories"),
        (lambda: Hyper("x", True), "categories"),
        (lambda: Hyper("x", ["a", "b"]), "categories"),
        (lambda: Hyper("x", 0.5, 1.0, 0.0), "below"),
        (lambda: Hyper("x", 0.5, -1.0, 1.0, log=True), "log=True"),
        (lambda: Hyper("x", 0.5, 0.1, 1.0, log=True, step=0.1), "exclude"),
        (lambda: Hyper("x", 0.55, 0.0, 1.0, step=0.1), "grid"),
        (lambda: Hyper("x", 3, 0, 2, discrete=True), "not between"),
        (lambda: Hyper("x", 0.5, step=0.1), "finite low"),
        (lambda: Hyper("x", 1, 0.5, 2.5, discrete=True), "whole"),
        (lambda: Hyper("x", 0.5, 0, 1, spread=-1.0), "spread"),
        (lambda: Hyper("x", 0.5, 0, 1, size=0), "size"),
        (lambda: Hyper("", 0.5), "name"),
        (lambda: HyperSpace([Hyper("x", 0.5), Hyper("x", 0.6)]), "twice"),
        (lambda: HyperSpace([Hyper("x", 0.5)], tuned=["y"]), "no hyperparameter 'y'"),
        (lambda: HyperSpace([Hyper("x", 0.5)]).raw({}), "no value"),
        (lambda: HyperSpace([Hyper("x", 0.5, 0, 1)]).raw({"x": 1.0}), "strictly between"),
        (lambda: HyperSpace([Hyper("x", 0.5)]).sample(np.random.default_rng(0)), "finite bounds"),
    ],
)
def test_bad_spaces_get_one_line(bad, words):
    with pytest.raises(UserError, match=words) as caught:
        bad()
    assert "\n" not in str(caught.value)


def test_optuna_both_ways():
    given_ = {
        "rate": optuna.distributions.FloatDistribution(0.0, 0.9),
        "decay": optuna.distributions.FloatDistribution(1e-6, 1e-1, log=True),
        "grid": optuna.distributions.FloatDistribution(0.0, 1.0, step=0.25),
        "holes": optuna.distributions.IntDistribution(0, 4),
        "even": optuna.distributions.IntDistribution(2, 10, step=2),
    }
    space = HyperSpace.from_optuna(given_, init={"rate": 0.05})
    assert space["rate"].init == 0.05 and space["decay"].init == pytest.approx(10**-3.5)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    values = space.to_optuna(trial)
    assert trial.distributions == given_
    assert space.values(space.raw(values)) == pytest.approx(values)


def test_optuna_vectors_and_categories():
    space = HyperSpace([Hyper("decay", 1e-3, 1e-6, 1.0, log=True, size=3)])
    assert space.to_optuna(optuna.create_study().ask())["decay"].shape == (3,)
    with pytest.raises(UserError, match="cannot be tuned through a learned response"):
        HyperSpace.from_optuna({"act": optuna.distributions.CategoricalDistribution(["relu", "tanh"])})


@given(st.integers(0, 2**31))
def test_samples_lie_inside(seed):
    space = HyperSpace(
        [Hyper("a", 0.5, 0, 1), Hyper("b", 2, 0, 4, discrete=True), Hyper("c", 0.1, 1e-3, 1, log=True, size=4)]
    )
    values = space.sample(np.random.default_rng(seed))
    assert np.isfinite(space.raw(values)).all() and values["b"] in range(5)


def test_a_spread_reaches_a_decade_at_most_where_a_range_has_many():
    """Measured: the values one spread above and below the middle of a range, in decades."""
    wide = Hyper("decay", 1e-3, 1e-8, 1e2, log=True)
    space = HyperSpace([wide, Hyper("narrow", 0.3, 0.1, 1.0, log=True), Hyper("rate", 0.1, 0.0, 0.9)])
    spreads = space.spreads(2.0, 1.0)
    assert spreads[1:].tolist() == [2.0, 2.0], (
        "a range below two decades and one that is not on a log scale keep theirs"
    )
    middle, h = 0.0, 1e-4
    slope = (math.log10(wide.value(np.array(middle + h))) - math.log10(wide.value(np.array(middle - h)))) / (2 * h)
    assert spreads[0] * slope == pytest.approx(1.0, rel=1e-6)
    assert HyperSpace([wide]).spreads(2.0).tolist() == [2.0]
    own = Hyper("decay", 1e-3, 1e-8, 1e2, log=True, spread=1.5)
    assert HyperSpace([own]).spreads(2.0, 1.0).tolist() == [1.5]
    open_above = Hyper("alpha", 1.0, 0.0, log=True)
    assert HyperSpace([open_above]).spreads(2.0, 1.0).tolist() == [2.0]
