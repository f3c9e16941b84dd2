"""The torch Tuner: φ learns best responses on L_T around λ̂, λ̂ descends L_V through them.

Works with any model that reads λ from the context (see `convert`), any torch optimizers and schedulers, one process
or several. λ, spreads and entropy stay in λ̂'s own float32 or float64, whatever precision the model runs in.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hyperopt_hn.errors import Exhausted, UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.context import hyper_layers
from hyperopt_hn.nn.conversion.collapsing import collapse
from hyperopt_hn.nn.diagnosis.gain import ResponseGain
from hyperopt_hn.nn.diagnosis.not_finite import located
from hyperopt_hn.nn.diagnosis.overtuning import OverTuning
from hyperopt_hn.nn.diagnosis.trust import Trust, judged
from hyperopt_hn.nn.responses import Implicit, Losses, Response
from hyperopt_hn.nn.responses.base import means, told, training
from hyperopt_hn.nn.responses.names import ResponseName, named
from hyperopt_hn.nn.setup.batches import Batch, Source
from hyperopt_hn.nn.setup.hypers import Hypers, Noise
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem, TunerConfig
from hyperopt_hn.nn.tuning.checks import autocast_dtype, check_course, check_fit, unwrap, with_response
from hyperopt_hn.nn.tuning.first_looks import FirstLooks
from hyperopt_hn.nn.tuning.graphs import graphs_of, slope
from hyperopt_hn.nn.tuning.guard import Gradient, look, reached
from hyperopt_hn.nn.tuning.history import Trace
from hyperopt_hn.nn.tuning.phases import Perturbations, Trainer
from hyperopt_hn.nn.tuning.whole_state import WholeState


class TorchTuner:
    """A `Tuner` of a converted model: call `train_step`, `tune_step` and `evaluate`, or let `alternate` do it.

    `response` is a name or an instance with its settings. The model may be wrapped in DistributedDataParallel or by
    torch.compile; with several processes the tuner itself averages gradients. Raises UserError at construction for
    what does not fit together: devices, optimizers that lack a parameter, a model without a response.
    """

    def __init__(
        self,
        model: nn.Module,
        hypers: Hypers,
        problem: TorchProblem,
        optimizers: Optimizers,
        response: ResponseName | Response = "stn",
        config: TunerConfig | None = None,
    ) -> None:
        self.config = config or TunerConfig()
        self.response = named(response)
        self.problem, self._hypers = problem, hypers
        self.optimizers = with_response(optimizers, unwrap(model), self.response)
        check_fit(model, hypers, self.optimizers, self.response)
        check_course(self.config, hypers)
        bare = unwrap(model)
        calls = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
        self.losses = Losses(calls, bare, hypers, problem, autocast_dtype(self.config.autocast))
        noise = Noise(hypers.space.n, self.config.seed, distributed.rank(), distributed.world())
        self.steps = {"train": 0, "tune": 0}
        self._trace = Trace(self.config.course_rows)
        self._over, self._looks = OverTuning(), FirstLooks()
        self._gain = ResponseGain(hypers.space.tuned, self.config.gain, self.config.seed)
        self._draws = Perturbations(hypers, noise)
        told(bare, self.response)
        self._graphs = graphs_of(self.config, self.losses, self.response)
        self._trainer = Trainer(
            bare, self._draws, self.optimizers, self.config.clip,
            lambda loss, grads: self._look("train_loss", loss, "train", grads), self._graphs,
        )  # fmt: skip
        self._answers, self._start = next(hyper_layers(bare), None) is not None, 0
        self._norms = [m for m in bare.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
        self._follow(0)
        distributed.broadcast_([*bare.state_dict().values(), *hypers.state_dict().values()])

    @property
    def noise(self) -> Noise:
        """The stream of perturbations."""
        return self._draws.noise

    @noise.setter
    def noise(self, noise: Noise) -> None:
        self._draws.noise = noise

    def train_step(self, batch: Batch | None = None) -> dict[str, float]:
        """One step on φ, at λ drawn around λ̂; λ̂, ρ stay. Without `batch`: the problem's next ones, accumulated.

        A model in evaluation mode is in training mode meanwhile.
        Raises Exhausted once φ's learning rates have decayed below TunerConfig.least_lr.
        """
        if self.optimizers.spent(self.config.least_lr):
            raise Exhausted(f"the learning rate of φ is below {self.config.least_lr:g}")
        self._follow(self.steps["train"])
        count = self.config.accumulate if batch is None else 1
        batches = [batch] if batch is not None else [self.problem.train.next() for _ in range(count)]
        due = [phase for phase in self.response.phases if phase.due(self.steps["train"])]
        first = self._answers and self.steps["train"] == self._start and not isinstance(self.response, Implicit)
        with self._looks.training(self.losses, batches[0], first) as losses, training(self.losses.bare):
            reports = self._trainer.run(due, losses, self._view, batches)
        self._average_norms()
        self.steps["train"] += 1
        self.optimizers.schedulers.trained()
        return reports[0] if reports else {}

    def tune_step(self, batch: Batch | None = None) -> dict[str, float]:
        """One step on λ̂, and on ρ if it has an optimizer; φ stays, evaluation mode throughout."""
        opt = self.optimizers
        if opt.lam is None:
            raise UserError("there is nothing to tune: give Optimizers a `lam`, or alternate with tune_per_cycle=0")
        batches = [self.problem.valid.next() if batch is None else batch]
        if self.response.needs_train_batch:
            batches.append(self.problem.train.next())
        perturbed = opt.rho is not None
        lam = self._draws.live(self.problem.rows(batches[0])) if perturbed else self._hypers.lam
        with self._looks.tuning(self.losses, batches[0], perturbed):
            loss, grad = slope(self._graphs, self.response, self.losses, (lam, perturbed, batches))
        grad = reached(grad, first=self.steps["tune"] == 0)
        objective = loss - self.config.tau * self._hypers.entropy().detach() if perturbed else loss
        with located(self.losses, lambda: self.response.tune(self.losses, lam, perturbed, batches)):
            report = self._look("tune_loss", objective, "tune", grad)
        self._step_lam(lam, grad, perturbed)
        self.steps["tune"] += 1
        self._trace.add(sum(self.steps.values()), self._hypers.lam, self.steps["train"])
        opt.schedulers.tuned()
        return report

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """At λ̂, in evaluation mode: valid_loss and test_loss on the whole splits, and `metrics`.

        Beside them "train_steps", by which a recorded course is replayed, and "gain", name -> t (TunerConfig.gain).
        Warns (OverTuningWarning) when the test loss keeps rising while the validation loss falls.
        """
        twin = self._answers and self.steps["train"] > 0 and not isinstance(self.response, Implicit)
        with self._looks.evaluation(self.losses, self.response, twin):
            found: dict[str, Any] = dict(self._means(self.problem.valid, "valid"))
        if self.problem.test is not None:
            found |= self._means(self.problem.test, "test")
            self._over.update(sum(self.steps.values()), found["valid_loss"], found["test_loss"])
        self.optimizers.schedulers.evaluated(found["valid_loss"])
        self._gain.measure(self.losses, self.response, self.problem.train, self.steps["train"])
        gain = {"gain": t} if (t := self._gain.t()) else {}
        return {**found, "train_steps": self.steps["train"], **gain}

    def hypers(self) -> dict[str, float | int | list[float]]:
        """The present hyperparameters in natural units, tuned or not: numbers, lists for vectors."""
        return {**self._hypers.plain(), **self.losses.fixed}

    def collapsed(self, values: Mapping[str, Any] | None = None) -> nn.Module:
        """The ordinary model with the weights at λ̂, or at natural `values`, dropout rates included."""
        lam = self._hypers.raw(values or {})
        return collapse(self.losses.bare, lam, h=self.response.input(self.losses, lam))

    def trust(self) -> Trust:
        """Which tuned values can be believed, and why the others cannot."""
        space = self._hypers.space
        edge, course = self._hypers.at_the_edge(), self._trace.table()[1].numpy().reshape(-1, space.n)
        return judged(space.tuned, space.places, self._gain.t(), edge, course)

    def course(self) -> dict[str, Any]:
        """The course of every tuned hyperparameter, natural units: "step" (S,), name -> (S,) or (S, size), numpy.

        One row per tune step, thinned evenly in long runs (TunerConfig.course_rows).
        """
        return self._trace.natural(self._hypers.space)

    def write_course(self, path: Path | str) -> None:
        """The course as CSV: step (in total), train_steps, a column per hyperparameter (vectors: name[0], …)."""
        self._trace.write(path, self._hypers.space)

    def arrays(self) -> dict[str, Any]:
        """For arrays.npz: lambda_hat (n,), sigma (n,), course_step (S,), course_lambda (S, n), raw, numpy."""
        steps, lams = self._trace.table()
        now = {"lambda_hat": self._hypers.lam, "sigma": self._hypers.sigma()}
        out = {name: value.detach().double().cpu().numpy() for name, value in now.items()}
        return out | {"course_step": torch.tensor(steps).numpy(), "course_lambda": lams.numpy()}

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, copied to the processor; all ranks must call it together."""
        return self._whole().take(self.steps)

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state()` was taken; UserError if it belongs to another model, space or optimizers."""
        self.steps = self._whole().put(state)
        self._start = self.steps["train"]
        self._follow(max(self.steps["train"] - 1, 0))

    def _whole(self) -> WholeState:
        return WholeState(
            self.losses, self.problem, self.optimizers, self.response, self.noise, self._trace, self._over, self._gain
        )

    def _view(self, lam: Tensor, perturbed: bool) -> AbstractContextManager[object]:
        if self._answers:
            return self.response.view(self.losses, lam, perturbed)
        return nullcontext()

    def _follow(self, step: int) -> None:
        """Take the untuned hyperparameters' values of a training step from the course."""
        if self.config.course is not None:
            self.losses = replace(self.losses, fixed=dict(self.config.course.at(step)))

    def _step_lam(self, lam: Tensor, grad: Tensor, perturbed: bool) -> None:
        moving = [(self.optimizers.lam, self._hypers.lam), (self.optimizers.rho, self._hypers.rho)]
        for optimizer, parameter in moving:
            if optimizer is not None:
                optimizer.zero_grad(set_to_none=True)
            parameter.grad = None
        torch.autograd.backward(lam, grad)
        if perturbed and self.config.tau:
            (-self.config.tau * self._hypers.entropy()).backward()
        present = [p for o, p in moving if o is not None and p.grad is not None]
        distributed.average_([p.grad for p in present])  # type: ignore[misc]
        if self.config.gate and self._hypers.lam.grad is not None:
            for name, t in self._gain.t().items():
                if t < 1.0:
                    self._hypers.lam.grad[self._hypers.space.places[name]] = 0.0
        if self.config.clip_lam:
            nn.utils.clip_grad_norm_(present, self.config.clip_lam)
        for optimizer, parameter in moving:
            if optimizer is not None:
                optimizer.step()
            parameter.grad = None
        self._hypers.keep_inside()

    def _look(self, name: str, loss: Tensor, kind: str, grad: Gradient = None) -> dict[str, float]:
        """{name: loss}, or nothing where this step does not wait for a GPU."""
        every = self.config.report_every or (20 if loss.device.type == "cuda" else 1)
        if self.steps[kind] % every:
            return {}
        return {name: look(name, f"{kind} step {self.steps[kind] + 1}", loss, grad, self.hypers)}

    def _means(self, source: Source, prefix: str) -> dict[str, float]:
        lam = self._hypers.lam.detach()
        with self._view(lam, False):
            found = means(self.losses, source)
        return {f"{prefix}_{name}": value for name, value in found.items()}

    def _average_norms(self) -> None:
        """Batch-norm statistics are the same on all ranks: their mean."""
        distributed.average_([t for m in self._norms for t in (m.running_mean, m.running_var) if t is not None])
