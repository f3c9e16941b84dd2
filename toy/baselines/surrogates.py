"""Which predictor of the validation loss deserves trust: Gaussian processes against hyper-training.

"gp" is the published Gaussian process on the known losses, "gp_fair" one with amplitude, noise and normalisation;
"fixed" is a linear hypernetwork trained at the known lam alone, "stochastic" one trained at fresh lam every time.
Source: Lorraine & Duvenaud 2018, sec. 4.5, with the settings of their code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from hyperopt_hn.config import check, option
from hyperopt_hn.errors import UserError
from toy.baselines.predictors import LinearHypernet, gaussian_process, gp_predict
from toy.problems import DecayProblem
from toy.responses import LinearResponse
from toy.truth.linear_nets import Windows
from toy.truth.true_losses import SharedSettings, rng_state, set_rng_state

GPS = ("gp", "gp_fair")
HYPERNETS = ("stochastic", "fixed")  # in the published order: both draw from one stream
PREDICTORS = (*GPS, *HYPERNETS)
CALLBACK = 10  # the published progress line, every so many iterations, evaluates its objective on fresh draws


@dataclass(frozen=True)
class SurrogatesConfig:
    """Both hypernetworks take equally many iterations; the published code gives 600 to one and 500 to the other."""

    known: int = option(25, "true losses that the predictors may see, and lam per iteration", least=2)
    table: tuple[int, ...] = option((10, 25, 100, 250), "numbers of known losses of the table", least=2)
    stochastic_steps: int = option(600, "iterations of the stochastic hypernetwork", least=1)
    fixed_steps: int = option(600, "iterations of the fixed hypernetwork", least=1)

    def __post_init__(self) -> None:
        check(self)

    def steps(self, arm: str) -> int:
        """Iterations of one of HYPERNETS."""
        return {"stochastic": self.stochastic_steps, "fixed": self.fixed_steps}[arm]


@dataclass(frozen=True)
class SurrogateArm:
    """One hypernetwork to train: which of HYPERNETS, on how many known losses."""

    name: str
    known: int


class Surrogates:
    """A Tuner whose train step is one iteration of the present hypernetwork; the arms follow one another.

    lam (M, n) and true (M,) come from `TrueLosses.arrays()`: the first `known` of them are given to the predictors,
    the others are to be predicted. Raises UserError where nothing is left to predict.
    """

    def __init__(self, problem: DecayProblem, shared: SharedSettings, config: SurrogatesConfig,
                 lam: np.ndarray, true: np.ndarray) -> None:  # fmt: skip
        if len(lam) < config.known + 2:
            raise UserError(f"--known {config.known} of {len(lam)} true losses leaves too few to predict: train more")
        shared.starts(problem.rows("train"))
        self.problem, self.shared, self.config, self.lam, self.true = problem, shared, config, lam, true
        self.data = Windows.of(problem.train, shared.window)
        sizes = [config.known, *(n for n in config.table if n != config.known and n <= len(lam) // 2)]
        self.arms = [SurrogateArm(name, known) for known in sizes for name in HYPERNETS]
        self.predicted: list[np.ndarray] = []  # of the arms that are done
        self.step = 0
        self.rng = np.random.RandomState(shared.seed)
        self.net = self._fresh()
        self._blas = ThreadpoolController()

    @property
    def units(self) -> int:
        """Train steps until every arm is done."""
        return sum(self.config.steps(arm.name) for arm in self.arms)

    @property
    def arm(self) -> SurrogateArm:
        """The hypernetwork in training, the last one when all are done."""
        return self.arms[min(len(self.predicted), len(self.arms) - 1)]

    def train_step(self) -> dict[str, float]:
        """One iteration: as many lam as there are known losses, each with its own window of rows."""
        if self.step == self.config.steps(self.arm.name):
            self._next_arm()
        with self._blas.limit(limits=1):
            self.net.step(*self._draw())
        if self.shared.streams == "published" and self.step % CALLBACK == 0:
            self._draw()
        self.step += 1
        if self.step == self.config.steps(self.arm.name) and self.arm == self.arms[-1]:
            self.predicted.append(self._predict())
        return {}

    def tune_step(self) -> dict[str, float]:
        """Nothing is tuned."""
        return {}

    def evaluate(self) -> dict[str, float]:
        """Of the present hypernetwork: the true loss where it predicts the lowest, its bias and its error."""
        predicted, true = self._predict(), self.true[self.arm.known :]
        error = predicted - true
        return {"valid_loss": float(true[np.argmin(predicted)]), "bias": float(error.mean()),
                "rmse": float(np.sqrt(np.mean(error**2))), "known": self.arm.known}  # fmt: skip

    def hypers(self) -> dict[str, float | list[float]]:
        """The weight decays where the present hypernetwork predicts the lowest loss."""
        return {"weight_decay": np.exp(self.lam[self.arm.known :][np.argmin(self._predict())]).tolist()}

    def state(self) -> dict[str, Any]:
        """The present arm's network, the stream's position and the predictions of the arms that are done."""
        return {"step": self.step, "rng": rng_state(self.rng), "net": self.net.state(),
                "predicted": [values.copy() for values in self.predicted]}  # fmt: skip

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the next iteration, bit for bit."""
        self.step = int(state["step"])
        set_rng_state(self.rng, state["rng"])
        self.net.load_state(state["net"])
        self.predicted = [np.array(values) for values in state["predicted"]]

    def arrays(self) -> dict[str, np.ndarray]:
        """true and one prediction per predictor (M - known,), train_true (known,), metrics and the table.

        Metrics are named "gp_bias" and so on; the table's columns table_evaluations, table_best and table_gp and so
        on (T,): the true loss at the best-predicted lam after so many known losses.
        """
        known = self.config.known
        true = self.true[known:]
        arrays = {"true": true, "train_true": self.true[:known]}
        found = self._all_predictions()
        if known not in found:  # stopped before both hypernetworks were trained
            return arrays
        arrays |= found[known]
        for name in PREDICTORS:
            arrays |= {f"{name}_{key}": np.asarray(x) for key, x in metrics(found[known][name], true).items()}
        sizes = sorted(found)
        arrays["table_evaluations"] = np.array(sizes)
        arrays["table_best"] = np.array([self.true[size:].min() for size in sizes])
        for name in PREDICTORS:
            arrays[f"table_{name}"] = np.array([self.true[n:][np.argmin(found[n][name])] for n in sizes])
        return arrays

    def _all_predictions(self) -> dict[int, dict[str, np.ndarray]]:
        """Known losses -> predictor -> predictions, and how often a Gaussian process' fit complained."""
        rows: dict[int, dict[str, np.ndarray]] = {}
        for arm, values in zip(self.arms, self.predicted, strict=False):
            rows.setdefault(arm.known, {})[arm.name] = values
        found = {known: row for known, row in rows.items() if len(row) == len(HYPERNETS)}
        for known, row in found.items():
            for kind in GPS:
                model = gaussian_process(kind, self.lam.shape[1], self.shared.seed)
                row[kind], complaints = gp_predict(model, self.lam[:known], self.true[:known], self.lam[known:])
                row[f"{kind}_complaints"] = np.array(complaints)
        return found

    def _next_arm(self) -> None:
        self.predicted.append(self._predict())
        self.step = 0
        self.net = self._fresh()
        if self.arm.name == HYPERNETS[0]:
            self.rng = np.random.RandomState(self.shared.seed)

    def _fresh(self) -> LinearHypernet:
        response = LinearResponse(self.lam.shape[1], self.problem.weights, self.shared.scale)
        return LinearHypernet(self.data, response, self.shared.lr, self.shared.seed)

    def _draw(self) -> tuple[np.ndarray, np.ndarray]:
        lam = self.lam[: self.arm.known]
        if self.arm.name == "stochastic":
            lam = self.shared.uniform(self.rng, *lam.shape)
        return lam, self.rng.randint(self.shared.starts(len(self.data.rows)), size=len(lam))

    def _predict(self) -> np.ndarray:
        return self.net.predict(self.lam[self.arm.known :], self.problem)


def metrics(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """How predictions (M,) miss the truth: bias, sd and RMSE of the error, Pearson's and Spearman's correlation.

    A correlation is NaN where one of the two is constant.
    """
    from scipy.stats import pearsonr, spearmanr  # half a second, which only this experiment should pay

    error = predicted - true
    constant = np.ptp(predicted) == 0.0 or np.ptp(true) == 0.0
    pearson, spearman = (np.nan if constant else found(predicted, true).statistic for found in (pearsonr, spearmanr))
    return {"bias": float(error.mean()), "sd": float(error.std()), "rmse": float(np.sqrt(np.mean(error**2))),
            "pearson": float(pearson), "spearman": float(spearman)}  # fmt: skip
