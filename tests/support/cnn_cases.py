"""Small CNNs that tests of deep share; see image_cases for their images."""

from __future__ import annotations

from deep.choice import TuningChoice
from deep.cnn import experiment
from deep.cnn.experiment import CNNConfig, CNNSettings
from deep.machine import Machine
from deep.training import Descent, Method, Span
from tests.support.image_cases import images


def count(network):
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


def made(data=None, network=None, course=None, **kind):
    """A configuration fitted to small images, its space and its tuner."""
    data = data or images()
    config = CNNConfig(
        network or CNNSettings(),
        kind.get("choice", TuningChoice(tune="stn")),
        kind.get("method", Method(lr_lam=0.05)),
        kind.get("descent", Descent(batch=8, lr=0.05, decay="none")),
        kind.get("span", Span(epochs=4, warmup_epochs=0.5)),
        kind.get("machine", Machine(device="cpu")),
    )
    config = experiment.fit(config, data)
    space = experiment.space_of_config(config, data)
    return config, space, experiment.build_tuner(config, data, space, course)
