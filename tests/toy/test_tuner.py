"""The toy tuner: closed forms, what each step leaves alone, exact resumption, and the published faults it lacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.test_util import check_grads

from hyperopt_hn import Hyper, HyperSpace, UserError
from hyperopt_hn.files import states
from toy.assemble import also
from toy.problems import DecayProblem, RowSplit, decay_space
from toy.responses import FactorisedResponse, LinearResponse, MLPResponse
from toy.tuner import HyperTuner, HyperTunerConfig

SIZES = (6, 4)
LOCAL = HyperTunerConfig(centre="current", sigma=0.1, high=100.0)


@dataclass
class ClosedForm:
    """Any train and valid loss of w (B, P) and lam (B, n); remembers the lam and batches that it is shown."""

    train: object
    valid: object
    space: HyperSpace
    n_rows: int = 5
    lams: list = field(default_factory=list)
    batches: dict = field(default_factory=lambda: {"train": [], "valid": []})

    def rows(self, split):
        return self.n_rows

    def train_loss(self, w, lam, batch):
        self.lams.append(lam)
        self.batches["train"].append(batch)
        return self.train(w, lam)

    def valid_loss(self, w, batch):
        self.batches["valid"].append(batch)
        return self.valid(w)

    def evaluate(self, w, split):
        return {"nll": self.valid(w)}

    def evaluate_span(self, coefficients, basis, split):
        return self.evaluate(coefficients @ basis, split)


def raw_space(*init):
    return HyperSpace([Hyper(f"l{i}", value) for i, value in enumerate(init)])


def one_weight(valid=lambda w: w[:, 0], lam=0.0):
    """f = (w - 1)^2 / 2 + e^l w^2 / 2, so w*(l) = 1 / (1 + e^l)."""
    return ClosedForm(lambda w, lam: 0.5 * (w[:, 0] - 1.0) ** 2 + 0.5 * anp.exp(lam[:, 0]) * w[:, 0] ** 2,
                      valid, raw_space(lam))  # fmt: skip


def decay(penalty="norm", sizes=SIZES, lam=0.5):
    rng = np.random.default_rng(3)
    splits = [RowSplit.of(rng.random((n, 6)), np.eye(4)[rng.integers(0, 4, n)]) for n in (8, 40, 20)]
    return DecayProblem(*splits, sizes, penalty, decay_space(penalty, sizes, lam))


def tuners():
    norm, classes, deep = decay(), decay("class_norms"), decay("weights", (6, 5, 4))
    return {
        "global": HyperTuner(norm, MLPResponse(1, norm.weights, 5), HyperTunerConfig()),
        "published": HyperTuner(norm, MLPResponse(1, norm.weights, 5), HyperTunerConfig(streams="published")),
        "local": HyperTuner(norm, LinearResponse(1, norm.weights), replace(LOCAL, optimizer="sgd")),
        "per class": HyperTuner(classes, LinearResponse(10 - 6, 28), replace(LOCAL, train_rows=3, valid_rows=7)),
        "per weight": HyperTuner(deep, FactorisedResponse(deep.weights, deep.weights, 3), replace(LOCAL, train_rows=3)),
    }


NAMES = list(tuners())


def bits(tree):
    """A state as comparable bytes."""
    if isinstance(tree, dict):
        return {key: bits(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [bits(value) for value in tree]
    return (tree.shape, tree.tobytes()) if isinstance(tree, np.ndarray) else tree


# closed forms


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_a_quadratic_objective_has_the_exact_affine_response_at_every_sigma(sigma):
    a, b = np.array([[2.0, 0.3], [0.3, 1.0]]), np.array([[1.0, -0.5], [0.2, 0.7]])
    problem = ClosedForm(lambda w, lam: 0.5 * anp.sum(w @ a * w, axis=1) + anp.sum(w @ b * lam, axis=1),
                         lambda w: w[:, 0], raw_space(0.3, -0.4))  # fmt: skip
    config = HyperTunerConfig(optimizer="sgd", lr_phi=0.5 if sigma < 1.0 else 0.1, sigma=sigma, samples=20, high=100.0)
    tuner = HyperTuner(problem, LinearResponse(2, 2), config)
    for _ in range(600):
        tuner.train_step()
    best = -np.linalg.solve(a, b)
    np.testing.assert_allclose(tuner.phi[0].T, best, atol=1e-5)
    np.testing.assert_allclose(tuner.phi[1], 0.0, atol=1e-5)


@pytest.mark.parametrize(("sigma", "w0", "slope"), [(0.5, 0.49992, -0.23443), (1.0, 0.49599, -0.19029)])
def test_the_response_to_weight_decay_is_the_one_that_noise_makes_best(sigma, w0, slope):
    e, m, s2 = 1.0, np.exp(sigma**2 / 2), sigma**2  # normal equations of E f(w0 + T eps, eps)
    form = [[1 + e * m, e * s2 * m], [e * s2 * m, s2 + e * (s2 + s2**2) * m]]
    np.testing.assert_allclose(np.linalg.solve(form, [1.0, 0.0]), [w0, slope], atol=6e-6)
    settings = HyperTunerConfig(optimizer="sgd", lr_phi=0.2, sigma=sigma, samples=4_000, high=100.0)
    tuner = HyperTuner(one_weight(), LinearResponse(1, 1), settings)
    seen = []
    for _ in range(400):
        tuner.train_step()
        seen.append([tuner.phi[1][0], tuner.phi[0][0, 0]])
    np.testing.assert_allclose(np.mean(seen[200:], axis=0), [w0, slope], atol=2e-3)


def test_local_tuning_reaches_the_known_optimum():
    problem = one_weight(valid=lambda w: (w[:, 0] - 0.4) ** 2, lam=-1.0)
    tuner = HyperTuner(problem, LinearResponse(1, 1), replace(LOCAL, lr_phi=0.02, lr_lam=0.01, samples=40))
    for _ in range(1_200):
        tuner.train_step()
        tuner.tune_step()
    assert tuner.lam[0] == pytest.approx(np.log(1.5), abs=0.02)
    assert tuner.evaluate()["valid_loss"] < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_tuning_descends_the_validation_loss_through_the_response(name):
    tuner = tuners()[name]
    for _ in range(3):
        tuner.train_step()
    at = tuner.lam.copy()

    def loss(lam):
        return tuner.problem.valid_loss(tuner.response(tuner.phi, lam[None]), None)[0]

    check_grads(loss, modes=["rev"], order=1)(at)
    if not tuner.config.valid_rows:
        assert tuner.tune_step()["valid_loss"] == pytest.approx(loss(at), rel=1e-12)
        assert loss(tuner.lam) < loss(at)


# what a step leaves alone, and exact resumption


@pytest.mark.parametrize("name", NAMES)
def test_a_train_step_leaves_lam_and_a_tune_step_leaves_phi(name):
    tuner = tuners()[name]
    for step, same, moved in ((tuner.train_step, "lam", "phi"), (tuner.tune_step, "phi", "lam")):
        before = bits(tuner.state())
        step()
        after = bits(tuner.state())
        assert after[same] == before[same]
        assert after[f"{same}_state"] == before[f"{same}_state"]
        assert after[moved] != before[moved]


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_changes_nothing(name):
    """The published scatter drew its progress prints from the training stream, so printing changed results."""
    tuner = tuners()[name]
    tuner.train_step()
    before = bits(tuner.state())
    for look in (tuner.evaluate, tuner.hypers, tuner.arrays, tuner.state):
        look()
    assert bits(tuner.state()) == before


@pytest.mark.parametrize("name", NAMES)
def test_the_next_step_after_a_checkpoint_is_bit_identical(name, tmp_path):
    """Also after every single step: an optimizer restarted at each step must equal one that never stopped."""
    steady, restarted = tuners()[name], tuners()[name]
    for _ in range(3):
        for step in ("train_step", "tune_step"):
            with open(tmp_path / "state.npz", "wb") as file:
                states.save_state(file, restarted.state())
            restarted = tuners()[name]
            restarted.load_state(states.load_state(tmp_path / "state.npz"))
            assert getattr(restarted, step)() == getattr(steady, step)()
            assert bits(restarted.state()) == bits(steady.state())
    assert bits(dict(restarted.arrays())) == bits(dict(steady.arrays()))
    assert restarted.evaluate() == steady.evaluate()


def test_a_state_is_a_copy():
    tuner = tuners()["global"]
    state = tuner.state()
    before = bits(state)
    tuner.load_state(state)
    tuner.train_step()
    tuner.tune_step()
    assert bits(state) == before


def test_a_foreign_checkpoint_is_refused():
    with pytest.raises(UserError, match="another model"):
        tuners()["global"].load_state(tuners()["local"].state())


# draws and batches


def shown(config, steps, lam=1.0, **kwargs):
    problem = ClosedForm(lambda w, lam: w[:, 0] ** 2, lambda w: w[:, 0] ** 2, raw_space(lam), **kwargs)
    tuner = HyperTuner(problem, LinearResponse(1, 1, scale=1.0), config)
    problem.lams.clear()  # of the trial at construction
    problem.batches = {"train": [], "valid": []}
    for _ in range(steps):
        tuner.train_step()
        tuner.tune_step()
    return problem, tuner


def test_published_draws_are_those_of_a_fresh_stream_each_step():
    problem, _ = shown(HyperTunerConfig(streams="published"), 3)
    for step, lam in enumerate(problem.lams):
        rng = np.random.RandomState(step)
        np.testing.assert_array_equal(lam[:, 0], [np.clip(rng.randn() * 3.0 + 1.0, -100.0, 4.0) for _ in range(10)])


@pytest.mark.parametrize("centre", ["initial", "current"])
def test_draws_have_the_stated_spread_around_the_stated_centre(centre):
    problem, tuner = shown(HyperTunerConfig(centre=centre, samples=20_000, lr_lam=2.0, sigma=3.0, high=4.0), 2)
    second = problem.lams[1][:, 0]
    where = 1.0 if centre == "initial" else tuner.arrays()["path"][1, 1]
    assert where == 1.0 or abs(where - 1.0) > 1.0
    assert np.median(second) == pytest.approx(where, abs=0.1)
    assert where - np.quantile(second, 0.158655) == pytest.approx(3.0, abs=0.1)
    assert second.max() == 4.0


def test_equal_draws_are_computed_once():
    problem, tuner = shown(replace(LOCAL, sigma=0.0), 3)
    np.testing.assert_array_equal(np.ravel(problem.lams), tuner.arrays()["path"][:3, 1])
    assert tuner.arrays()["sigma"] == 0.0


@pytest.mark.parametrize("split", ["train", "valid"])
def test_every_window_of_rows_is_reachable(split):
    """The published minibatches never began at the last possible row."""
    problem, _ = shown(replace(LOCAL, train_rows=3, valid_rows=3), 60, n_rows=6)
    assert {(b.start, b.stop) for b in problem.batches[split]} == {(i, i + 3) for i in range(4)}
    problem, _ = shown(replace(LOCAL, train_rows=6), 2, n_rows=6)
    assert problem.batches["train"] == [slice(0, 6)] * 2
    assert problem.batches["valid"] == [None] * 2


@pytest.mark.parametrize(("streams", "tenth", "all_of_them"), [("published", 0.0206, 13.24), ("default", 0.01, 30.0)])
def test_only_the_published_streams_keep_the_stuck_adam_counter(streams, tenth, all_of_them):
    problem = ClosedForm(lambda w, lam: w[:, 0], lambda w: w[:, 0], raw_space(0.0))
    tuner = HyperTuner(problem, LinearResponse(1, 1, scale=1.0), replace(LOCAL, streams=streams))
    for _ in range(3_000):
        tuner.tune_step()
    path = np.abs(tuner.arrays()["path"][:, 1])
    assert path[10] - path[9] == pytest.approx(tenth, abs=5e-5)
    assert path[-1] == pytest.approx(all_of_them, abs=6e-3)


# what a run leaves, and mistakes


def test_arrays_hold_what_the_figures_read():
    made = tuners()
    assert set(made["global"].arrays()) == {"tuned_lambda", "tuned_path"}
    assert set(made["local"].arrays()) == {"lambda_hat", "sigma", "path"}
    assert made["per class"].arrays()["lambda_hat"].shape == (4,)
    curves = set(also(made["global"]))
    assert curves == {"layers", "curve_lambda", "curve_train", "curve_valid", "curve_test"}
    assert all(a.shape == (200,) for name, a in also(made["local"]).items() if "curve" in name)
    assert also(made["per class"])["layers"].tolist() == list(made["per class"].problem.sizes)


@pytest.mark.parametrize(
    ("bounds", "ends"),
    [((-100.0, 4.0), (-2.0, 4.0)), ((-100.0, 100.0), (-2.0, 4.0)), ((0.0, 2.0), (0.0, 2.0)),
     ((-100.0, 8.0), (-2.0, 8.0)), ((5.0, 100.0), (5.0, 11.0)), ((-100.0, -3.0), (-9.0, -3.0))],
)  # fmt: skip
def test_the_curves_range_follows_the_bounds_of_the_draws(bounds, ends):
    low, high = bounds
    problem = decay()
    tuner = HyperTuner(problem, LinearResponse(1, problem.weights), replace(LOCAL, low=low, high=high))
    lam = also(tuner)["curve_lambda"]
    assert (lam[0], lam[-1], len(lam)) == (*ends, 200)


def test_hypers_are_in_natural_units_and_short():
    assert tuners()["local"].hypers() == {"weight_decay": pytest.approx(np.exp(0.5))}
    assert tuners()["per class"].hypers() == {"weight_decay": [pytest.approx(np.exp(0.5))] * 4}
    assert set(tuners()["per weight"].hypers()) == {f"weight_decay_{name}" for name in ("median", "min", "max")}


@pytest.mark.parametrize(
    "wrong",
    [{"streams": "publshed"}, {"optimizer": "rmsprop"}, {"centre": "x"}, {"samples": 0}, {"sigma": -1.0},
     {"lr_phi": 0.0}, {"lr_lam": float("nan")}, {"low": 4.0}, {"train_rows": -1}],
)  # fmt: skip
def test_wrong_settings_are_refused_at_once(wrong):
    with pytest.raises(UserError, match=next(iter(wrong)).replace("_", "[-_]")):
        HyperTunerConfig(**wrong)


def test_what_does_not_fit_together_is_refused_at_once():
    problem = decay()
    with pytest.raises(UserError, match="train_rows is 9"):
        HyperTuner(problem, LinearResponse(1, 28), HyperTunerConfig(train_rows=9))
    with pytest.raises(UserError, match="no penalty 'nrom'"):
        decay("nrom")
    with pytest.raises(UserError, match="without hidden units"):
        decay("class_norms", (6, 5, 4))
    with pytest.raises(UserError, match="weight_decay"):
        replace(problem, penalty="class_norms")
    with pytest.raises(UserError, match="does not fit"):
        replace(problem, sizes=(5, 4))
    with pytest.raises(UserError, match="do not pair"):
        RowSplit.of(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(UserError, match="NaN"):
        RowSplit.of(np.full((3, 2), np.nan), np.zeros((3, 2)))
