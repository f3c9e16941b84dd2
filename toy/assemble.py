"""From a configuration, an arm's name and data to what `alternate` runs: a tuner and its schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.cli.launch import Context
from hyperopt_hn.data.catalogue import Images, flat_rows, one_hot
from hyperopt_hn.errors import UserError, unknown
from hyperopt_hn.schedule import Alternation
from toy.baselines.search import SearchTuner
from toy.baselines.surrogates import Surrogates
from toy.baselines.unrolled import Unrolled
from toy.experiments import Compared, HyperTraining, Model, Seeded, Sizes, Truth, WeightsOrLoss
from toy.manifold import ClosedForm
from toy.problems import DecayProblem, RowSplit, curve, decay_space
from toy.responses import FactorisedResponse, LinearResponse, MLPResponse, WeightResponse
from toy.truth.crossval import Crossval
from toy.truth.true_losses import TrueLosses
from toy.tuner import HyperTuner, HyperTunerConfig

Built = tuple[Tuner, Alternation]
RESPONSES = ("linear", "mlp", "factorised")
CLASSES = 10
AXIS, POINTS = (-2.0, 4.0), 200  # the raw lambda axis of the published figures
UNBOUNDED = 50.0  # a bound of the draws as far out as this is none


def fit_sizes(sizes: Sizes, data: Images) -> Sizes:
    """The sizes for a data set that may be smaller than MNIST: few training images stay, else both shrink alike."""
    there = len(data.train_images)
    train, valid = sizes.n_train, sizes.n_valid
    if train + valid > there:
        if 2 * train > there:
            train = there * train // (train + valid)
        valid = min(valid, there - train)
    return Sizes(train, valid, min(sizes.n_test, len(data.test_images)))


def fit(config: Any, data: Images) -> Any:
    """Any of the configurations with the sizes, and minibatches no larger, that the data can fill."""
    sizes = fit_sizes(config.sizes, data)
    if isinstance(config, (HyperTraining, Compared)):
        tuner = config.tuner
        if sizes.n_train < config.sizes.n_train:
            tuner = replace(tuner, train_rows=min(tuner.train_rows, sizes.n_train))
        if sizes.n_valid < config.sizes.n_valid:
            tuner = replace(tuner, valid_rows=min(tuner.valid_rows, sizes.n_valid))
        return replace(config, sizes=sizes, tuner=tuner)
    return replace(config, sizes=sizes)


def splits(sizes: Sizes, data: Images) -> dict[str, RowSplit]:
    """Rows in [0, 1] and one-hot targets of "train", "valid" and "test"."""
    train, stop = sizes.n_train, sizes.n_train + sizes.n_valid
    x, t = flat_rows(data.train_images[:stop], data.scale), one_hot(data.train_labels[:stop], CLASSES)
    test = flat_rows(data.test_images[: sizes.n_test], data.scale), one_hot(data.test_labels[: sizes.n_test], CLASSES)
    return {
        "train": RowSplit.of(x[:train], t[:train]),
        "valid": RowSplit.of(x[train:], t[train:]),
        "test": RowSplit.of(*test),
    }


def decay_problem(sizes: Sizes, model: Model, data: Images) -> DecayProblem:
    """The network and penalty of `model` on `data`."""
    parts = splits(sizes, data)
    layers = (parts["train"].rows.shape[1] - 1, *model.hidden, CLASSES)
    space = decay_space(model.penalty, layers, model.init_lambda)
    return DecayProblem(parts["train"], parts["valid"], parts["test"], layers, model.penalty, space)


def response(model: Model, problem: DecayProblem) -> WeightResponse:
    """The hypernetwork of `model`. Raises UserError for an unknown one."""
    n, weights = problem.space.n, problem.weights
    if model.response == "mlp":
        return MLPResponse(n, weights, model.width, model.init_scale)
    if model.response == "factorised":
        return FactorisedResponse(n, weights, model.width, model.init_scale, model.init_weights or None)
    if model.response == "linear":
        return LinearResponse(n, weights, model.init_scale)
    raise UserError(unknown("response", model.response, RESPONSES))


def hypernetwork(config: HyperTraining | Compared, arm: str, context: Context) -> Built:
    """Algorithms 2, 3 and 4: which one is a matter of the schedule and of the tuner's settings."""
    problem = decay_problem(config.sizes, config.model, context.data)
    return HyperTuner(problem, response(config.model, problem), config.tuner, also), config.schedule


def also(tuner: HyperTuner) -> dict[str, np.ndarray]:
    """For the figures: the network's layer sizes, and of a single hyperparameter the losses over its axis."""
    problem = tuner.problem
    assert isinstance(problem, DecayProblem)
    arrays = {"layers": np.array(problem.sizes)}
    if tuner.lam.size == 1:
        arrays |= curve(problem, tuner.response, tuner.phi, np.linspace(*axis(tuner.config), POINTS))
    return arrays


def axis(config: HyperTunerConfig) -> tuple[float, float]:
    """The range of a curve over raw lambda: `--low` to `--high`, or the published axis where these are far out."""
    low = config.low if config.low > -UNBOUNDED else AXIS[0]
    high = config.high if config.high < UNBOUNDED else AXIS[1]
    width = AXIS[1] - AXIS[0]
    if low < high:
        return low, high
    return (low, low + width) if config.low > -UNBOUNDED else (high - width, high)


def compared(config: Compared, arm: str, context: Context) -> Built:
    """The hypernetwork, or a search by the method that the arm names, until the same seconds are over."""
    if arm == "hypernet":
        return hypernetwork(config, arm, context)
    problem = decay_problem(config.sizes, config.model, context.data)
    if arm == "unrolled":
        unrolled = Unrolled(problem, config.unrolled, config.tuner.seed)
        return unrolled, replace(config.schedule, warmup=1, steps=1, tune_after=config.schedule.steps, evaluate_every=1)
    tuner = SearchTuner(problem, arm, config.search, config.tuner.seed)
    return tuner, replace(config.schedule, tune_per_cycle=0, warmup=0, tune_after=0, evaluate_every=1)


def deeper(hidden: dict[str, tuple[int, ...]]) -> Callable[[HyperTraining, str, Context], Built]:
    """The arms of `depth`: the same experiment with these hidden layers."""

    def build(config: HyperTraining, arm: str, context: Context) -> Built:
        return hypernetwork(replace(config, model=replace(config.model, hidden=hidden[arm])), arm, context)

    return build


def truth(config: Truth, arm: str, context: Context) -> Built:
    """Networks trained to convergence at given lambda."""
    tuner = Crossval(decay_problem(config.sizes, config.model, context.data), config.crossval)
    return tuner, Alternation(steps=tuner.units, tune_per_cycle=0, evaluate_every=10)


def weights_or_loss(config: WeightsOrLoss, arm: str, context: Context) -> Built:
    """ "truth": networks at random hyperparameters; "surrogates": three predictors of their losses."""
    problem = decay_problem(config.sizes, config.model, context.data)
    if arm == "truth":
        true = TrueLosses(problem, config.shared, config.true)
        return true, Alternation(steps=true.units, tune_per_cycle=0, evaluate_every=1)
    known = context.run("weights-vs-loss/truth").arrays
    surrogates = Surrogates(problem, config.shared, config.surrogates, known["lam"], known["true"])
    return surrogates, Alternation(steps=surrogates.units, tune_per_cycle=0, evaluate_every=100)


def closed_form(config: Seeded, arm: str, context: Context) -> Built:
    """The loss manifolds."""
    return ClosedForm(), Alternation(steps=1)
