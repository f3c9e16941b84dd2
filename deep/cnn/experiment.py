"""Self-tuning CNNs on CIFAR-10 and its kind (MacKay et al. 2019, sec. 4.2; Bae & Grosse 2020, sec. 5).

A fixed-λ baseline is the same code with a space that tunes nothing: its layers are then the plain ones.

    B batch   C channels   S side   batches: images (B, C, S, S) uint8 and labels (B,) int64
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deep.augment.pipeline import apply
from deep.choice import TuningChoice, choose
from deep.cnn.hypers import Setting, check_cutout, check_words, cnn_hypers, groups, words
from deep.cnn.images import Pair, Parts, Pictures, Splits, View, counts, split
from deep.cnn.library_networks import PREFIX, check_library_name, library_network
from deep.cnn.networks import NETWORKS, AlexNet, ImageShape, dropout_names
from deep.machine import Machine, device_of
from deep.replay import ReplaySettings, replayed
from deep.training import Descent, Method, Recipe, Span, alternation, make_tuner
from hyperopt_hn import Alternation, HyperSpace
from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.cli.experiment import Context
from hyperopt_hn.config import check, option, unknown
from hyperopt_hn.course import Course
from hyperopt_hn.data.catalogue import Images
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import TorchProblem, TorchTuner, convert, distributed
from hyperopt_hn.nn.layers.affine_response import Gain
from hyperopt_hn.nn.layers.kinds import Form

PLAIN = {"small": ("fc",)}
"""Layers without a response, as published."""


@dataclass(frozen=True)
class CNNSettings:
    """Which network on which images."""

    model: str = option("small", f"network: {', '.join(NETWORKS)}, or torchvision:NAME")
    ranges: str = option(
        "stn", "whose ranges; delta also gives AlexNet its dropout of input colours", choices=("stn", "delta")
    )
    one_dropout: bool = option(False, "one rate, 'dropout', for all of the network's dropouts")
    percent_valid: float = option(20.0, "share of the training set, its end, that validates", "%", above=0, most=99)
    n_train: int = option(0, "training images; 0: all", unit="images", least=0)
    n_valid: int = option(0, "validation images; 0: all", unit="images", least=0)
    n_test: int = option(0, "test images; 0: all", unit="images", least=0)
    flip: bool = option(False, "mirror every second training image, tuned or not")
    crop: int = option(0, "move training images by up to so many pixels, tuned or not", unit="pixels", least=0)

    def __post_init__(self) -> None:
        check(self)
        if self.model.startswith(PREFIX):
            check_library_name(self.model)
        elif self.model not in NETWORKS:
            raise UserError(f"--model: {unknown('choice', self.model, [*NETWORKS, f'{PREFIX}NAME'])}")


@dataclass(frozen=True)
class CNNConfig:
    """A CNN, self-tuning or fixed."""

    network: CNNSettings = field(default_factory=CNNSettings)
    choice: TuningChoice = field(default_factory=TuningChoice)
    method: Method = field(default_factory=Method)
    descent: Descent = field(default_factory=Descent)
    span: Span = field(default_factory=Span)
    machine: Machine = field(default_factory=Machine)
    schedule: ReplaySettings = field(default_factory=ReplaySettings)
    seed: int = option(7, "seed of every random draw", least=0)


def fit(config: CNNConfig, data: Images) -> CNNConfig:
    """The configuration with the numbers of images that the data can fill."""
    train, valid, test = counts(_parts(config.network), data)
    return replace(config, network=replace(config.network, n_train=train, n_valid=valid, n_test=test))


def setting(config: CNNConfig, data: Images) -> Setting:
    """What decides which hyperparameters a network and images have."""
    network = config.network
    side, channels = data.train_images.shape[1], _channels(data)
    with torch.device("meta"):
        names = _rate_names(network, plain_network(network, ImageShape(2, channels, side)))
    dropouts = tuple(dict.fromkeys(names.values()))
    return Setting(network.model, dropouts, channels, side, network.ranges)


def cnn(config: CNNConfig, arm: str, context: Context) -> tuple[Tuner, Alternation]:
    """One CNN: what `--tune` names is tuned, what `--fix` names is held, or a recorded schedule is followed."""
    space, course = space_and_course(config, context.data)
    return build_tuner(config, context.data, space, course), plan(config, space)


def space_and_course(config: CNNConfig, data: Images) -> tuple[HyperSpace, Course | None]:
    """The space that the configuration chooses, and the course that its fixed values follow, if any."""
    whole = cnn_hypers(setting(config, data))
    return replayed(config.schedule, whole, config.choice, lambda choice: _chosen(choice, setting(config, data)))


def space_of_config(config: CNNConfig, data: Images) -> HyperSpace:
    """The space that `--tune`, `--fix` and `--init` choose. Raises UserError for what network or images lack."""
    return _chosen(config.choice, setting(config, data))


def _chosen(choice: TuningChoice, here: Setting) -> HyperSpace:
    check_words(words(choice.tune, choice.fix, choice.init), here)
    space = choose(cnn_hypers(here), groups(here), choice)
    check_cutout(space.names)
    return space


def plain_network(network: CNNSettings, shape: ImageShape) -> nn.Module:
    """The plain module that is converted."""
    if network.model == "alexnet":
        return AlexNet(shape, network.ranges == "delta")
    if network.model.startswith(PREFIX):
        return library_network(network.model, shape)
    return NETWORKS[network.model](shape)


def self_tuning(
    network: CNNSettings, shape: ImageShape, space: HyperSpace, response: str, form: Form = "full"
) -> nn.Module:
    """The network whose layers answer to the tuned hyperparameters, its dropouts at the rates that the space names."""
    model = plain_network(network, shape)
    rates = {module: name for module, name in _rate_names(network, model).items() if name in space.names}
    gain: Gain = "stn" if response == "stn" else "delta"
    return convert(model, space, exclude=PLAIN.get(network.model, ()), gain=gain, dropout=rates, form=form)


def build_tuner(config: CNNConfig, data: Images, space: HyperSpace, course: Course | None = None) -> TorchTuner:
    """The tuner of a configuration that `fit` has seen. Raises UserError for what does not fit together."""
    device, batch = device_of(config.machine), config.descent.batch
    network, parts = config.network, split(_parts(config.network), data)
    _check_batch(config)
    torch.manual_seed(config.seed)
    shape = ImageShape(parts.classes, parts.channels, parts.side)
    model = self_tuning(network, shape, space, config.method.response, config.method.form).to(device)
    torch.manual_seed((config.seed + 1) * 1_000_003 + distributed.rank())  # masks differ between ranks
    last = config.machine.channels_last
    train = Pictures(parts.train, batch, config.seed, device, last)
    valid = Pictures(parts.valid, batch, config.seed + 1, device, last)
    test = Pictures(parts.test, 1, config.seed + 2, device, last)
    losses = ImageLosses(_view(config, parts, train.generator))
    problem = TorchProblem(losses.train, losses.valid, train, valid, test, losses.judge)
    recipe = Recipe(config.method, config.descent, config.machine, config.seed, config.span.warmup_epochs, course)
    return make_tuner(model, space, problem, recipe, per_epoch(config))


def plan(config: CNNConfig, space: HyperSpace) -> Alternation:
    """The schedule of a configuration that `fit` has seen."""
    return alternation(config.span, per_epoch(config), bool(space.n))


def per_epoch(config: CNNConfig) -> int:
    """Training steps in an epoch."""
    return config.network.n_train // (config.descent.batch * distributed.world())


@dataclass(frozen=True, eq=False)
class ImageLosses:
    """Cross-entropy: on images changed at each example's own strengths to train, on clean ones to judge."""

    view: View

    def train(self, model: nn.Module, batch: Pair, h: Mapping[str, Any]) -> Tensor:
        """L_T, ()."""
        images, labels = batch
        return F.cross_entropy(model(self.view.augmented(images, h)), labels)

    def valid(self, model: nn.Module, batch: Pair) -> Tensor:
        """L_V, ()."""
        images, labels = batch
        return F.cross_entropy(model(self.view.clean(images)), labels)

    def judge(self, model: nn.Module, batch: Pair) -> dict[str, Tensor]:
        """Loss and accuracy of one pass, () each."""
        images, labels = batch
        logits = model(self.view.clean(images)).float()
        return {"loss": F.cross_entropy(logits, labels), "accuracy": (logits.argmax(1) == labels).float().mean()}


def _rate_names(network: CNNSettings, model: nn.Module) -> dict[str, str]:
    """Path of each dropout -> the hyperparameter that is its rate: its own name, or its number in torchvision's."""
    paths = dropout_names(model)
    if network.one_dropout:
        return dict.fromkeys(paths, "dropout")
    library = network.model.startswith(PREFIX)
    return {path: f"dropout{i}" if library else path for i, path in enumerate(paths)}


def _check_batch(config: CNNConfig) -> None:
    batch, world = config.descent.batch, distributed.world()
    beside = f" on each of {world} processes" if world > 1 else ""
    for name, there in (("training", config.network.n_train), ("validation", config.network.n_valid)):
        if batch * world > there:
            raise UserError(f"--batch {batch}{beside} does not fit {there} {name} images; give a smaller one")


def _view(config: CNNConfig, parts: Splits, generator: torch.Generator) -> View:
    network = config.network
    always = {"flip": 0.5} if network.flip else {}
    if network.crop:
        always["crop"] = float(network.crop)
    compiled = torch.compile(apply) if config.machine.compile else apply
    return View(parts.scale, parts.normal, generator, always, compiled, config.machine.channels_last)


def _parts(network: CNNSettings) -> Parts:
    return Parts(network.percent_valid, network.n_train, network.n_valid, network.n_test)


def _channels(data: Images) -> int:
    return int(data.train_images.shape[3]) if data.train_images.ndim == 4 else 1
