"""Small texts, settings and models that the tests of the language model share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from deep.lstm.experiment import LSTMConfig, build_tuner, space_of_config
from deep.lstm.presets import PRESETS
from hyperopt_hn.data.text import Text

WORDS = 23


def text(train=400, valid=203, test=151, words=WORDS, seed=0) -> Text:
    """A text with frequent words and rare ones, half of them followed by the next one: soon learnt, and overfitted."""
    rng = np.random.default_rng(seed)

    def stream(length):
        drawn = np.minimum(rng.geometric(0.3, length) - 1, words - 1)
        after = np.roll(drawn, 1) + 1
        return np.where(rng.random(length) < 0.5, after % words, drawn).astype(np.int32)

    names = ("<unk>", *(f"w{i}" for i in range(1, words)))
    return Text("small", stream(train), stream(valid), stream(test), names, (0, 0), "0" * 64, "made up")


def config(**choice) -> LSTMConfig:
    """The smoke preset on the whole of a small text; `choice` are Choice's fields."""
    smoke: LSTMConfig = PRESETS["lstm"]["smoke"]  # type: ignore[assignment]
    net = replace(smoke.network, hidden=8, bptt=7, eval_batch=3, train_tokens=0, valid_tokens=0, test_tokens=0)
    return replace(smoke, network=net, choice=replace(smoke.choice, **choice))


def tuner(given: LSTMConfig, source: Text | None = None, course=None):
    """Its tuner."""
    return build_tuner(given, source or text(), space_of_config(given), course)


def lively(model, size=0.3):
    """Give a model's gains, which a Δ-STN starts at zero, values that matter."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "response_scale" in name or "response_shift" in name:
                parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    return model
