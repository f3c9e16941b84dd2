"""A run's hypernetwork back in memory: the weights that the run itself had at its best state, at any λ."""

import numpy as np
import pytest

from hyperopt_hn import Alternation, RunLog, UserError, alternate
from tests.toy.test_tuner import tuners
from toy.baselines.search import SearchTuner, TrialConfig
from toy.responses import LinearResponse
from toy.saved import load_run

KINDS = {"global": "mlp", "local": "linear", "per weight": "factorised"}


def made(name, folder, settings=True):
    """A short run, and at every evaluation the validation loss, λ̂ and the weights at λ̂ and beside it."""
    tuner, seen = tuners()[name], []
    evaluate = tuner.evaluate

    def watched():
        found = evaluate()
        lams = np.stack([tuner.lam, tuner.lam + 0.3])
        seen.append((found["valid_loss"], tuner.lam.copy(), tuner.response(tuner.phi, lams)))
        return found

    tuner.evaluate = watched
    config = {"experiment": "own", "arm": "hypernet", **({"config": {"response": KINDS[name]}} if settings else {})}
    alternate(tuner, Alternation(steps=30, evaluate_every=7), RunLog(folder, config))
    return tuner, min(seen, key=lambda one: one[0])


@pytest.mark.parametrize("name", KINDS)
def test_the_best_state_comes_back_with_its_weights_at_any_lambda(name, tmp_path):
    tuner, (loss, lam, w) = made(name, tmp_path / "run")
    saved = load_run(tmp_path / "run")
    assert saved.response.__class__ is tuner.response.__class__
    assert saved.record["valid_loss"] == loss == np.min(saved.run.column("valid_loss"))
    np.testing.assert_array_equal(saved.lam, lam)
    np.testing.assert_allclose(saved.weights(), w[0], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(saved.weights(lam + 0.3), w[1], rtol=1e-13)
    assert saved.weights(np.stack([lam] * 4)).shape == (4, w.shape[1])
    with pytest.raises(UserError, match=rf"takes \({lam.size},\)"):
        saved.weights(np.zeros(lam.size + 1))


@pytest.mark.parametrize("name", KINDS)
def test_where_the_run_ended(name, tmp_path):
    tuner, _ = made(name, tmp_path / "run")
    saved = load_run(tmp_path / "run", end=True)
    np.testing.assert_array_equal(saved.lam, tuner.lam)
    np.testing.assert_array_equal(saved.weights(), tuner.response(tuner.phi, tuner.lam[None])[0])
    assert saved.record == saved.run.records[-1]


def test_a_number_will_do_for_a_single_hyperparameter(tmp_path):
    made("local", tmp_path / "run", settings=False)
    saved = load_run(tmp_path / "run")  # one layer is linear
    np.testing.assert_array_equal(saved.weights(0.25), saved.weights(np.array([0.25])))


def test_what_cannot_be_loaded_says_why(tmp_path):
    tuner, _ = made("global", tmp_path / "run", settings=False)
    with pytest.raises(UserError, match=r"does not say which response.*load_run\(path"):
        load_run(tmp_path / "run")
    assert load_run(tmp_path / "run", tuner.response).weights().shape == (tuner.problem.weights,)
    with pytest.raises(UserError, match="give the response it was made with"):
        load_run(tmp_path / "run", LinearResponse(1, tuner.problem.weights))
    search = SearchTuner(tuners()["per class"].problem, "random", TrialConfig(trial_steps=2), 0)
    alternate(
        search,
        Alternation(steps=1, tune_per_cycle=0),
        RunLog(tmp_path / "search", {"experiment": "x", "arm": "random"}),
    )
    with pytest.raises(UserError, match=r"x/random\) holds no hypernetwork"):
        load_run(tmp_path / "search")
    with pytest.raises(UserError, match="missing"):
        load_run(tmp_path / "nowhere")
