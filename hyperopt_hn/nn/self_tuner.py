"""SelfTuner: any network tunes its own regularisation while it trains; one class over the parts of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from hyperopt_hn.errors import UserError
from hyperopt_hn.hyper import Hyper
from hyperopt_hn.nn.responses import Response
from hyperopt_hn.nn.self_tuning import anew, running, words
from hyperopt_hn.nn.self_tuning.assembly import Metrics, Specification, assemble, copied, space_of_hypers
from hyperopt_hn.nn.self_tuning.data import Data, NoData, as_source, placed
from hyperopt_hn.nn.self_tuning.defaults import OPTIMIZER, Tuning
from hyperopt_hn.nn.self_tuning.result import TuningResult
from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.problem import TrainLoss, ValidLoss, rows_of
from hyperopt_hn.nn.tuning.axes import response_axes, write_axes
from hyperopt_hn.nn.tuning.response_check import Grid, ResponseCheck, Retraining, check_response
from hyperopt_hn.runs.sinks import Sink
from hyperopt_hn.space import HyperSpace

WARMUP = 100
"""Training steps before the first tuning step in a loop of one's own, unless Tuning.warmup says otherwise."""


class SelfTuner:
    """A network that tunes its own hyperparameters while it trains: `fit` it, or step it in a loop of your own.

    `net` stays as it is (a copy is converted) unless `inplace`. `hypers` are what is tuned and what
    `train_loss(model, batch, h)` may use by name: h["decay"] is one number (a tensor) where the hyperparameter is
    `shared`, else one per example, (B,). `dropout` maps names or patterns of dropout modules to hyperparameters.
    Losses are means over a batch, or one number per example. `optimizer` makes the network's optimizer from its
    parameters (default: Adam, rate 1e-3). `response` says how the response is learned, `tuning` everything else;
    `metrics(model, batch)` gives more means to log and `rows(batch)` the number of examples, where it is not the
    length of dimension 0. `seed` makes the run repeatable, given the same network. Raises UserError at once for what
    does not fit together.
    """

    def __init__(
        self,
        net: nn.Module,
        hypers: HyperSpace | Sequence[Hyper],
        *,
        train_loss: TrainLoss,
        valid_loss: ValidLoss,
        dropout: Mapping[str, str] | None = None,
        optimizer: Callable[[list[nn.Parameter]], Optimizer] = OPTIMIZER,
        response: str | Response | None = None,
        metrics: Metrics | None = None,
        rows: Callable[[Batch], int] = rows_of,
        tuning: Tuning | None = None,
        seed: int = 0,
        inplace: bool = False,
    ) -> None:
        how = tuning or Tuning()
        how = how if response is None else replace(how, response=response)
        space = space_of_hypers(hypers)
        self._given = Specification(
            net, space, train_loss, valid_loss, dict(dropout or {}), optimizer, metrics, rows, how, seed
        )
        self._first = None if inplace else net
        self.tuner, self._hypers = assemble(replace(self._given, net=net if inplace else copied(net)))
        self._plan: running.FitPlan | None = None
        self._records: Sequence[Mapping[str, Any]] = ()

    @property
    def model(self) -> nn.Module:
        """The converted network that is trained."""
        return self.tuner.losses.bare

    @property
    def optimizer(self) -> Optimizer:
        """The network's optimizer, for a scheduler in a loop of your own."""
        return self.tuner.optimizers.phis()[0]

    def fit(
        self,
        train: Data,
        valid: Data,
        test: Data = None,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int = 64,
        out: Path | str | None = None,
        resume: bool = False,
        overwrite: bool = False,
        sinks: Sequence[Sink] = (),
        quiet: bool = False,
    ) -> TuningResult:
        """Train and tune for `epochs` over the training data (or so many `steps`); ends with the network at its best.

        Each split: tensors or numpy arrays (x, y), a Dataset, a DataLoader or a Source; the validation data choose
        the hyperparameters, the test data are only looked at. `out` is the run's folder. Where it holds a run
        already, the new one goes to out-2, out-3, … and a line says so; `overwrite` replaces it, `resume` goes on
        with it (a finished one's result is given back). `sinks` get the records too: hyperopt_hn.runs.sinks has
        TensorBoard(), CSV() and Tracker("trackio", "project"). Called again, `fit` trains on. Raises UserError for bad
        input, NonFiniteError when a loss is no longer finite, Interrupted on Ctrl-C (`resume` goes on).
        """
        self._plan = running.FitPlan(
            train, valid, test, epochs, steps, batch_size, out, resume, overwrite, quiet, sinks
        )
        result = running.run(self.tuner, self._given, self._plan)
        self._records = result.records
        return result

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One training step on a batch of your own loop: {"train_loss": …} (empty where a GPU is not waited for)."""
        return self.tuner.train_step(placed(batch, self.model))

    @property
    def due(self) -> bool:
        """Whether a tuning step is due now in your own loop (Tuning.warmup and train_per_tune)."""
        how, steps = self._given.tuning, self.tuner.steps
        warmup = max(WARMUP if how.warmup is None else how.warmup, how.least_warmup())
        return bool(self._given.space.n) and steps["tune"] < (steps["train"] - warmup) // how.train_per_tune

    def tune_step(self, batch: Batch) -> dict[str, float]:
        """One step on the hyperparameters, on a validation batch: {"tune_loss": …}."""
        if self.tuner.response.needs_train_batch and isinstance(self.tuner.problem.train, NoData):
            raise UserError("this response needs a training batch in each tuning step; use fit(train, valid)")
        return self.tuner.tune_step(placed(batch, self.model))

    def evaluate(self, data: Data, batch_size: int = 256) -> dict[str, float]:
        """Means over `data` with the present weights and hyperparameters: "valid_loss", and "valid_…" of `metrics`."""
        kept = self.tuner.problem
        self.tuner.problem = replace(kept, valid=as_source(data, "data", self.model, batch_size, 0), test=None)
        try:
            return self.tuner.evaluate()
        finally:
            self.tuner.problem = kept

    def hypers(self) -> dict[str, Any]:
        """The present hyperparameters in natural units."""
        return self.tuner.hypers()

    def plain(self, values: Mapping[str, Any] | None = None) -> nn.Module:
        """The ordinary network, plain classes and keys: its weights at the present hyperparameters, or at `values`.

        After `fit` these are the best ones. Dropout rates are set, too.
        """
        return anew.plain(self.tuner, values)

    def check(self, grid: Grid, retraining: Retraining | None = None) -> ResponseCheck:
        """Retrain at a few settings and compare: may the tuned values be trusted? After `fit`; see check_response."""
        if isinstance(self.tuner.problem.train, NoData):
            raise UserError("there are no data to retrain on: call fit(train, valid) before check(...)")
        return check_response(self.tuner, self.tuner.problem, grid, retraining)

    def objective(
        self, train: Data = None, valid: Data = None, *, epochs: int | None = None, steps: int | None = None
    ) -> Callable[[Mapping[str, Any]], float]:
        """A function of natural values that trains the network at them, fixed, and returns its best validation loss.

        For a search of your own (Optuna, a grid). Each call starts from `net` as it was given; data and length are
        those of the last `fit` unless given. Names that a call leaves out stay where they start.
        """
        plan, start = anew.plan_like(self._plan, train, valid, epochs, steps), self._untouched()

        def trained_at(values: Mapping[str, Any]) -> float:
            return anew.trained(self._anew(values, start), plan)[1].best_loss

        return trained_at

    def retrain(self, values: Mapping[str, Any] | None = None) -> tuple[nn.Module, TuningResult]:
        """The untouched network trained at the values of the last `fit` (or at `values`), fixed, as long as that was.

        Returns the plain network at its best and the result. The weights of a self-tuning run lag behind λ̂, which
        moved while they were trained; these do not.
        """
        return self._again(self._anew(self.hypers() if values is None else values, self._untouched()))

    def replay(self) -> tuple[nn.Module, TuningResult]:
        """The same along the course of the last `fit`: each hyperparameter at its value of the same training step."""
        space = self._given.space
        course = anew.course_of(self._records, space)
        return self._again(replace(self._given, net=self._untouched(), space=space.with_tuned([]), course=course))

    def response_axes(self, points: int = 9, out: Path | str | None = None) -> dict[str, dict[str, Any]]:
        """What the response says of the validation loss along each hyperparameter's axis through λ̂.

        Name -> "values" (points,) natural, "valid_loss" (points,), "here". `out`: a run's folder (result.path), which
        gets it as axes.json for `python -m deep explore`. Costs `points` passes over the validation data a name.
        """
        if out is not None:
            write_axes(self.tuner, out, points)
        return response_axes(self.tuner, points)

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step depends on: tensors and plain data, for torch.save and weights_only loading."""
        return self.tuner.state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state_dict()` was taken. Raises UserError if it belongs to another SelfTuner."""
        self.tuner.load_state(dict(state))

    def __repr__(self) -> str:
        return words.summary(*self._facts())

    def _repr_html_(self) -> str:
        return words.table(*self._facts())

    def _again(self, given: Specification) -> tuple[nn.Module, TuningResult]:
        tuner, result = anew.trained(given, anew.plan_like(self._plan))
        return anew.plain(tuner), result

    def _anew(self, values: Mapping[str, Any], start: nn.Module) -> Specification:
        return replace(self._given, net=copied(start), space=anew.fixed(self._given.space, values))

    def _untouched(self) -> nn.Module:
        if self._first is None:
            raise UserError("an inplace SelfTuner has no untouched network left to train; leave inplace out")
        return copied(self._first)

    def _facts(self) -> tuple[str, HyperSpace, Mapping[str, Any], nn.Module, str]:
        title = f"SelfTuner({type(self._given.net).__name__}, response {type(self.tuner.response).__name__})"
        done = f"steps: {self.tuner.steps['train']} of training, {self.tuner.steps['tune']} of tuning"
        return title, self._given.space, self.hypers(), self.model, done
