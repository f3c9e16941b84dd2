"""The solver for benchmark_bilevel: the problem behind it against closed forms, and itself under a real benchopt."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from tests.bench.benchopt_solver.oracle_problem import CarriedResponse, OracleProblem
from tests.bench.benchopt_solver.summary import at_seconds
from tests.support.paths import ROOT
from toy.responses import LinearResponse
from toy.tuner import HyperTuner, HyperTunerConfig

SOLVER = ROOT / "tests" / "bench" / "benchopt_solver" / "hypernetwork.py"
A = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 1.5]])  # inner curvature, P = 3
C = np.array([[1.0, 0.0, 0.5], [0.0, -1.0, 0.3]])  # how the inner problem depends on the outer variable, n = 2
T = np.array([1.0, -1.0, 0.5])
D = np.array([0.3, -0.2])


def inner(w, lam, rows):
    """g = w A w / 2 + λ C w, whose minimiser is w*(λ) = -A⁻¹ Cᵀ λ."""
    return 0.5 * np.einsum("bi,ij,bj->b", w, A, w) + np.einsum("bn,np,bp->b", lam, C, w), w @ A + lam @ C, None


def outer(w, lam, rows):
    """f = |w - T|² / 2 + |λ - D|² / 2: it depends on the outer variable directly, too."""
    return 0.5 * np.sum((w - T) ** 2, 1) + 0.5 * np.sum((lam - D) ** 2, 1), w - T, lam - D


def tuner():
    problem = OracleProblem(inner, outer, 2, {"train": 1, "valid": 1})
    config = HyperTunerConfig(seed=1, lr_phi=0.01, lr_lam=0.01, samples=8, sigma=0.5, centre="current", high=100.0)
    return HyperTuner(problem, CarriedResponse(LinearResponse(2, 3)), config)


def test_the_hypergradient_has_both_parts():
    """dL_V/dλ = ∂f/∂λ + W ∂f/∂w, for a response W that is set by hand."""
    t = tuner()
    W, lam = np.array([[0.2, -0.4, 0.1], [0.3, 0.0, 0.6]]), np.array([0.7, -0.1])
    t.phi[0][:], t.phi[1][:], t.lam[:] = W, 0.25, lam
    value, gradient = t.hypergradient()
    w = lam @ W + 0.25
    assert value == pytest.approx(0.5 * np.sum((w - T) ** 2) + 0.5 * np.sum((lam - D) ** 2))
    np.testing.assert_allclose(gradient, lam - D + W @ (w - T), rtol=1e-12)


def test_it_reaches_the_outer_minimum():
    """With w* = λ J, J = -C A⁻¹: the outer minimum solves (1 + J Jᵀ) λ = D + J T."""
    t = tuner()
    for _ in range(4000):
        t.train_step()
        t.tune_step()
    J = -C @ np.linalg.inv(A)
    best = np.linalg.solve(np.eye(2) + J @ J.T, D + J @ T)
    np.testing.assert_allclose(t.lam, best, atol=5e-3)
    np.testing.assert_allclose(t.response(t.phi, t.lam[None])[0, :3], best @ J, atol=1e-2)
    assert t.evaluate()["valid_loss"] == pytest.approx(float(outer((best @ J)[None], best[None], None)[0][0]), abs=1e-3)


def test_the_summary_has_the_last_evaluation_up_to_each_time():
    run = {"dataset_name": "d", "solver_name": "s", "idx_rep": 0}
    rows = [run | {"time": t, "objective_value": v} for t, v in ((0.5, 4.0), (2.0, 1.23456), (4.0, 0.5))]
    found = [(line["up to s"], line["s"], line["metrics"]) for line in at_seconds(rows, (0.1, 1.0, 3.0))]
    assert found == [("1", "0.50", "value=4"), ("3", "2.00", "value=1.235")]


OBJECTIVE = """
import jax.numpy as jnp
from benchopt import BaseObjective

class Objective(BaseObjective):
    name = "bilevel"
    def set_data(self, curvature, target):
        self.curvature, self.target = jnp.array(curvature), jnp.array(target)
    def get_one_result(self):
        return dict(inner_var=jnp.zeros(3), outer_var=jnp.zeros(3))
    def evaluate_result(self, inner_var, outer_var):
        best = outer_var / self.curvature
        return dict(value=float(jnp.sum((best - self.target) ** 2)), away=float(jnp.sum((best - inner_var) ** 2)))
    def get_objective(self):
        def g(w, x, start=0, batch_size=1):
            return 0.5 * jnp.sum(self.curvature * w * w) - jnp.sum(x * w)
        def f(w, x, start=0, batch_size=1):
            return 0.5 * jnp.sum((w - self.target) ** 2)
        return dict(f_inner=g, f_outer=f, n_inner_samples=4, n_outer_samples=4, inner_var0=jnp.zeros(3),
                    outer_var0=jnp.ones(3), f_inner_fb=g, f_outer_fb=f)
"""
DATASET = """
from benchopt import BaseDataset

class Dataset(BaseDataset):
    name = "small"
    def get_data(self):
        return dict(curvature=[1.0, 2.0, 0.5], target=[1.0, -1.0, 2.0])
"""


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("benchopt", "jax")), reason="needs benchopt and jax installed"
)
@pytest.mark.parametrize("settings", ["", "rank=2,batch_size=2"])
def test_under_a_real_benchopt(tmp_path, settings):
    """A benchmark of our own with the functions' form of benchmark_bilevel: x* = curvature · target, f = 0 there."""
    for folder, name, text in (("", "objective.py", OBJECTIVE), ("datasets", "small.py", DATASET)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
    (tmp_path / "solvers").mkdir()
    (tmp_path / "solvers" / "hypernetwork.py").write_text(SOLVER.read_text())
    code = (
        "import json; from benchopt import run_benchmark; import pandas; "
        f"out = run_benchmark({str(tmp_path)!r}, solver_names=['hypernetwork[{settings}]'], "
        "max_runs=150, n_repetitions=1, timeout=60, plot_result=False, no_cache=True); "
        "last = pandas.read_parquet(out).iloc[-1]; "
        "print('LAST', json.dumps([last['objective_value'], last['objective_away']]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    lines = [line for line in done.stdout.splitlines() if line.startswith("LAST")]
    assert lines, done.stdout + done.stderr
    value, away = json.loads(lines[0][5:])
    if not settings:  # at the start it is 17.5
        assert value < 1e-2
        assert away < 1e-2
    assert np.isfinite([value, away]).all()
