"""`python -m toy`: the hypernetwork paper's experiments on MNIST, or on scikit-learn's digits."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hyperopt_hn.cli import launch
from hyperopt_hn.cli.launch import Experiment, Program
from hyperopt_hn.cli.page_command import explored
from toy import assemble
from toy.experiments import HIDDEN, PRESETS

PROGRAM = Program(
    "toy",
    "Hypernetworks on MNIST with autograd: the experiments of Lorraine & Duvenaud 2018.\n"
    "A finished run as a page to play with: python -m toy explore RUN",
    (
        Experiment(
            "crossval", "ground truth: networks trained to convergence at given weight decays",
            PRESETS["crossval"], ("truth",), assemble.truth, assemble.fit,
        ),
        Experiment(
            "global-small", "Algorithm 2: one hypernetwork learns the whole response, then lambda is tuned (fig. exp1)",
            PRESETS["global-small"], ("hypernet",), assemble.hypernetwork, assemble.fit,
        ),
        Experiment(
            "local-small", "Algorithms 3 and 4: a linear hypernetwork follows lambda to the optimum (fig. exp2)",
            PRESETS["local-small"], ("hypernet",), assemble.hypernetwork, assemble.fit,
        ),
        Experiment(
            "loss-manifold", "exact and linear best response of a two-dimensional problem (fig. theory1)",
            PRESETS["loss-manifold"], ("closed-form",), assemble.closed_form, needs_data=False,
        ),
        Experiment(
            "weights-vs-loss", "learn weights or learn losses: two hypernetworks and a Gaussian process (fig. exp5)",
            PRESETS["weights-vs-loss"], ("truth", "surrogates"), assemble.weights_or_loss, assemble.fit,
        ),
        Experiment(
            "local-medium", "10 hyperparameters against random search and TPE on the same clock",
            PRESETS["local-medium"], ("hypernet", "random", "tpe"), assemble.compared, assemble.fit,
        ),
        Experiment(
            "local-large", "7,850 hyperparameters, one per weight, against random search and unrolling (fig. exp3)",
            PRESETS["local-large"], ("hypernet", "random", "unrolled"), assemble.compared, assemble.fit,
        ),
        Experiment(
            "depth", "one hyperparameter per weight of deeper networks (fig. exp3)",
            PRESETS["depth"], tuple(HIDDEN), assemble.deeper(HIDDEN), assemble.fit,
        ),
    ),
    ("numpy", "scipy", "autograd", "scikit-learn", "optuna"),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an experiment, or write the page of a run; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return explored("toy.explore.command", words[1:]) if words[:1] == ["explore"] else launch.main(PROGRAM, words)


if __name__ == "__main__":
    raise SystemExit(main())
