"""The self-tuning LSTM on a text: seven hyperparameters, the losses, and the tuner (MacKay et al. 2019).

    T time   B batch   D hidden units

Three dropouts differ from example to example; what acts on a whole batch (weights, word types, penalties) is shared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deep.choice import TuningChoice, choose
from deep.lstm.averaging import Averaged
from deep.lstm.chunked_loss import cross_entropy
from deep.lstm.network import LanguageModel, LSTMShape, rates
from deep.lstm.streams import Streams, Window, rows_of, words
from deep.lstm.text import shortened
from deep.machine import Machine, device_of
from deep.replay import ReplaySettings, replayed
from deep.training import Descent, Method, Recipe, Span, alternation, make_tuner
from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.cli.experiment import Context
from hyperopt_hn.config import check, option
from hyperopt_hn.course import Course
from hyperopt_hn.data.text import Text
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import TorchProblem, TorchTuner, convert, distributed, set_batch_dim
from hyperopt_hn.schedule import Alternation
from hyperopt_hn.space import Hyper, HyperSpace

HYPERS = (
    Hyper("alpha", 0.05, low=0.0, shared=True),
    Hyper("beta", 0.05, low=0.0, shared=True),
    Hyper("dropouto", 0.05, low=0.0, high=1.0),
    Hyper("dropouti", 0.05, low=0.0, high=1.0),
    Hyper("dropouth", 0.05, low=0.0, high=1.0),
    Hyper("dropoute", 0.05, low=0.0, high=1.0, shared=True),
    Hyper("wdrop", 0.05, low=0.0, high=1.0, shared=True),
)
"""The published order, ranges and starts; `alpha` weighs AR, `beta` TAR (Merity et al. 2017)."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "dropouts": ("dropouto", "dropouti", "dropouth", "dropoute", "wdrop"),
    "penalties": ("alpha", "beta"),
}


@dataclass(frozen=True)
class LSTMSettings:
    """The language model, and how a text is read."""

    hidden: int = option(650, "hidden units of a layer, and length of an embedding", unit="units", least=1)
    layers: int = option(2, "LSTM layers", unit="layers", least=1)
    bptt: int = option(70, "words of a window, through which gradients go back", unit="words", least=1)
    eval_batch: int = option(
        10, "streams into which the validation text is cut for evaluation", unit="streams", least=1
    )
    test_batch: int = option(10, "the same of the test text (published: 1)", unit="streams", least=1)
    train_tokens: int = option(0, "first words of the training text that are used; 0: all", unit="words", least=0)
    valid_tokens: int = option(0, "first words of the validation text that are used; 0: all", unit="words", least=0)
    test_tokens: int = option(0, "first words of the test text that are used; 0: all", unit="words", least=0)

    def __post_init__(self) -> None:
        check(self)


CHOICE = TuningChoice(spread=1.0)
METHOD = Method(lr_lam=0.01)
DESCENT = Descent(batch=40, lr=30.0, momentum=0.0, clip=0.25, decay="nonmono", window=5, factor=0.25, least_lr=3e-4)
SPAN = Span(epochs=200, warmup_epochs=1.0, train_per_cycle=2, tune_per_cycle=1, patience=20)
MACHINE = Machine()
NO_REPLAY = ReplaySettings()


@dataclass(frozen=True)
class LSTMConfig:
    """A self-tuning LSTM, or with nothing tuned a plain one at fixed hyperparameters."""

    network: LSTMSettings = LSTMSettings()
    choice: TuningChoice = CHOICE
    method: Method = METHOD
    descent: Descent = DESCENT
    span: Span = SPAN
    machine: Machine = MACHINE
    schedule: ReplaySettings = NO_REPLAY
    average: int = option(
        0, "average the weights (ASGD) once the loss is above the best of all but this many evaluations; 0: never",
        unit="evaluations", least=0,
    )  # fmt: skip
    seed: int = option(7, "seed of every random draw", least=0)

    def __post_init__(self) -> None:
        check(self)
        if self.average and self.descent.decay == "nonmono":
            raise UserError("--average and --decay nonmono use the same trigger; add --decay none")
        if self.machine.compile:  # tracing unrolls the loop over time: 10 words took more than 5 minutes to compile
            raise UserError("--compile takes many minutes for a loop over time and gains nothing; leave it out")


def perplexities(record: Mapping[str, Any]) -> dict[str, float]:
    """Of the losses in a record, which are nats a word."""
    losses = {f"{split}_perplexity": record.get(f"{split}_loss") for split in ("valid", "test")}
    return {name: math.exp(min(loss, 700.0)) for name, loss in losses.items() if loss is not None}


def lstm(config: LSTMConfig, arm: str, context: Context) -> tuple[Tuner, Alternation]:
    """One LSTM: self-tuning, fixed, or along a recorded schedule (`--replay`), where nothing is tuned."""
    space, course = space_and_course(config)
    return build(config, space, course, context)


def build(config: LSTMConfig, space: HyperSpace, course: Course | None, context: Context) -> tuple[Tuner, Alternation]:
    """The tuner of `space` and its schedule."""
    tuner = build_tuner(config, context.data, space, course)
    return tuner, alternation(config.span, per_epoch(config, context.data), bool(space.n))


def space_and_course(config: LSTMConfig) -> tuple[HyperSpace, Course | None]:
    """The space that the configuration chooses, and the course that its fixed values follow, if any."""
    return replayed(config.schedule, HYPERS, config.choice, lambda choice: choose(HYPERS, GROUPS, choice))


def space_of_config(config: LSTMConfig) -> HyperSpace:
    """The hyperparameters that this configuration tunes or fixes."""
    return choose(HYPERS, GROUPS, config.choice)


def train_loss(model: Any, window: Window, h: Mapping[str, Any]) -> Tensor:
    """L_T, (): cross entropy + alpha AR + beta TAR, of the output behind its dropout and of the raw one.

    AR is the mean square of the former, TAR that of the latter's steps in time (Merity et al. 2017).
    """
    out, raw, state = model(window.tokens, window.begin())
    window.end(state)
    loss = _entropy(model, out, window)
    if "alpha" in h:
        loss = loss + h["alpha"] * out.float().square().mean()
    if "beta" in h and len(raw) > 1:
        loss = loss + h["beta"] * (raw[1:] - raw[:-1]).float().square().mean()
    return loss


def valid_loss(model: Any, window: Window) -> Tensor:
    """L_V, (): the cross entropy alone, in nats a word (the published code adds AR and TAR)."""
    out, _, state = model(window.tokens, window.begin())
    window.end(state)
    return _entropy(model, out, window)


def network_of(config: LSTMConfig, count: int, space: HyperSpace) -> nn.Module:
    """The model for `count` words, answering to the space's λ."""
    model = LanguageModel(LSTMShape(count, config.network.hidden, config.network.layers))
    named = rates(config.network.layers, space.names)
    made = convert(model, space, exclude=["decoder"], gain=config.method.gain, dropout=named, form=config.method.form)
    set_batch_dim(made, 1)
    return made


def problem_of(config: LSTMConfig, text: Text, device: torch.device) -> TorchProblem:
    """The three texts as streams, and the losses."""
    net, batch = config.network, config.descent.batch
    train = Streams(words(text.train, device), batch, net.bptt, "training")
    ids = words(text.valid, device)
    valid = TextSplit(Streams(ids, batch, net.bptt, "validation"), Streams(ids, net.eval_batch, net.bptt, "validation"))
    test = Streams(words(text.test, device), net.test_batch, net.bptt, "test")
    return TorchProblem(train_loss, valid_loss, train, valid, test, rows=rows_of)


class TextSplit:
    """A `Source` that tunes on some streams of a text and evaluates on others of the same text."""

    def __init__(self, tune: Streams, score: Streams) -> None:
        self._tune, self._score = tune, score
        self.next, self.state, self.load_state = tune.next, tune.state, tune.load_state
        self.once = score.once


def per_epoch(config: LSTMConfig, text: Text) -> int:
    """Training windows in one pass over the training text."""
    count = len(text.train[: config.network.train_tokens or None]) // (config.descent.batch * distributed.world())
    return max(1, math.ceil((count - 1) / config.network.bptt))


def build_tuner(
    config: LSTMConfig, text: Text, space: HyperSpace, course: Course | None = None
) -> TorchTuner | Averaged:
    """The tuner of `space` on a text: a space that tunes nothing gives the plain network at its fixed values.

    `course` moves fixed values step by step. Raises UserError for texts too short for the streams asked for.
    """
    net = config.network
    text = shortened(text, net.train_tokens, net.valid_tokens, net.test_tokens)
    torch.manual_seed(config.seed)
    device = device_of(config.machine)
    problem = problem_of(config, text, device)
    model = network_of(config, len(text.words), space).to(device)
    recipe = Recipe(config.method, config.descent, config.machine, config.seed, config.span.warmup_epochs, course)
    made = make_tuner(model, space, problem, recipe, per_epoch(config, text))
    return Averaged(made, config.average) if config.average else made


def _entropy(model: Any, out: Tensor, window: Window) -> Tensor:
    decoder = model.decoder
    return cross_entropy(out.flatten(0, 1), decoder.weight, decoder.bias, window.targets.flatten())
