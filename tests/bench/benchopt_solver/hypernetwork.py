"""The benchopt solver: hyper-training (toy.tuner) on the oracles of benchmark_bilevel; the README has how to run it."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from benchopt import BaseSolver
from benchopt.stopping_criterion import SufficientProgressCriterion

from hyperopt_hn import Alternation
from tests.bench.benchopt_solver.oracle_problem import CarriedResponse, OracleProblem
from toy.responses import FactorisedResponse, LinearResponse
from toy.tuner import HyperTuner, HyperTunerConfig

PATIENCE = 12_800  # evaluations without progress before benchopt stops a solver; the benchmark's own number


class Solver(BaseSolver):
    """Stochastic hyperparameter optimization through a linear hypernetwork (Lorraine & Duvenaud 2018, Alg. 2 and 3)."""

    name = "hypernetwork"
    requirements = ("jax", "pip:autograd")
    stopping_criterion = SufficientProgressCriterion(patience=PATIENCE, strategy="callback")
    parameters = {  # noqa: RUF012, benchopt reads a plain dict
        "rank": ["full"],  # of the linear response; "full": no factors
        "optimizer": ["sgd"],  # of the response: sgd or adam
        "lr_phi": [0.3],
        "lr_lam": [0.1],  # Adam, on the outer variable
        "sigma": [1.0],  # sd of the draws of the outer variable
        "samples": [128],  # draws of a training step
        "batch_size": ["full"],  # samples of the inner and the outer objective
        "train_per_cycle": [1],  # training steps for each tuning step
        "warmup": [0],  # training steps before the first
        "centre": ["initial"],  # the draws are around the initial outer variable (Alg. 2), or the current one (Alg. 3)
        "eval_freq": [16],  # cycles between two looks of benchopt
        "random_state": [1],
    }

    @staticmethod
    def get_next(stop_val):
        return stop_val + 1

    def set_objective(self, f_inner, f_outer, n_inner_samples, n_outer_samples, inner_var0, outer_var0,
                      f_inner_fb, f_outer_fb):  # fmt: skip
        """Take the benchmark's functions f(inner_var, outer_var, start, batch_size) and compile them over rows."""
        self.inner_var0, self.outer_var0 = inner_var0, outer_var0
        rows = 0 if self.batch_size == "full" else int(self.batch_size)
        inner = _rows_oracle(f_inner, f_inner_fb, inner_var0, outer_var0, argnums=(0,))
        outer = _rows_oracle(f_outer, f_outer_fb, inner_var0, outer_var0, argnums=(0, 1))
        n, weights = outer_var0.size, inner_var0.size
        counts = {"train": int(n_inner_samples), "valid": int(n_outer_samples)}
        self.problem = OracleProblem(inner, outer, n, counts)
        linear = (LinearResponse(n, weights, scale=0.0) if self.rank == "full"
                  else FactorisedResponse(n, weights, int(self.rank), start=0.0))  # fmt: skip
        self.response = CarriedResponse(linear)
        self.config = HyperTunerConfig(
            seed=self.random_state, optimizer=self.optimizer, lr_phi=self.lr_phi, lr_lam=self.lr_lam,
            samples=self.samples, sigma=self.sigma, centre=self.centre, low=-100.0, high=100.0,
            train_rows=rows, valid_rows=rows,
        )  # fmt: skip
        self.alternation = Alternation(
            steps=10**9, warmup=self.warmup, train_per_cycle=self.train_per_cycle, tune_per_cycle=1
        )
        self.start()
        for _ in range(2):  # compiles before the clock runs
            self.tuner.train_step()
            self.tuner.tune_step()

    def start(self):
        """Fresh φ and λ = 0: the benchmark's start."""
        self.tuner = HyperTuner(self.problem, self.response, self.config)

    def run(self, callback):
        """Follow the schedule until benchopt says stop."""
        self.start()
        done = 0
        while callback():
            for _ in range(self.eval_freq * (self.train_per_cycle + 1)):
                step = self.tuner.train_step if self.alternation.kind(done) == "train" else self.tuner.tune_step
                step()
                done += 1

    def get_result(self):
        """The outer variable, and the response's answer to it."""
        row = self.response(self.tuner.phi, self.tuner.lam[None])[0]
        inner, outer = row[: self.inner_var0.size], row[self.inner_var0.size :]
        return {"inner_var": self.inner_var0 + jnp.asarray(inner, self.inner_var0.dtype),
                "outer_var": self.outer_var0 + jnp.asarray(outer, self.outer_var0.dtype)}  # fmt: skip


def _rows_oracle(f, full, inner_var0, outer_var0, argnums):
    """One function of the benchmark as a RowsOracle; `full` is it on all samples. Gradients in λ if argnums has 1."""

    @partial(jax.jit, static_argnums=(0, 3))
    def compiled(g, w, lam, size, start):
        def one(w, lam):
            if size is None:
                return g(inner_var0 + w, outer_var0 + lam)
            return g(inner_var0 + w, outer_var0 + lam, start=start, batch_size=size)

        return jax.vmap(jax.value_and_grad(one, argnums=argnums))(w, lam)

    def oracle(w, lam, batch):
        chosen = (full, None, 0) if batch is None else (f, batch.stop - (batch.start or 0), batch.start or 0)
        g, size, start = chosen
        value, grads = compiled(g, np.float32(w), np.float32(lam), size, start)
        in_w, in_lam = np.float64(grads[0]), np.float64(grads[1]) if len(grads) > 1 else None
        return np.float64(value), in_w, in_lam

    return oracle
