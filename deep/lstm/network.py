"""The papers' word-level language model as a plain module; `hyperopt_hn.nn` makes a self-tuning one of it.

    T time   B batch   D hidden units, as many as an embedding has   V words

Modules bear the published hyperparameters' names and drop nothing until a rate is set: dropouti behind the embedding,
dropouth between the layers, dropouto behind the last one, each with one mask for all time steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import LockedDropout

State = tuple[tuple[Tensor, Tensor], ...]
"""Hidden and cell state of every layer, (1, B, D) each."""

EMBEDDING_RANGE = 0.1
"""Embeddings start at U(±0.1), as in the published code (and in AWD-LSTM, on which that is built)."""

RATES = {
    "encoder": "dropoute",
    "dropouti": "dropouti",
    "dropouth": "dropouth",
    "dropouto": "dropouto",
    "rnn*.weight_hh": "wdrop",
}
"""What drops at which hyperparameter's rate: whole word types, activations, single hidden-to-hidden weights."""


@dataclass(frozen=True)
class LSTMShape:
    """How many words a language model knows, and how large it is."""

    words: int
    hidden: int = 650
    layers: int = 2


class LanguageModel(nn.Module):
    """Embedding, LSTM layers, and a linear decoder with the embedding's weight (Press & Wolf 2017).

    The decoder is a part of the model that `forward` does not call: losses take it in chunks (`chunked_loss`). It stays
    plain and tied to the elementary embedding alone, as published.
    """

    def __init__(self, shape: LSTMShape) -> None:
        super().__init__()
        if min(shape.words, shape.hidden, shape.layers) < 1:
            raise UserError(f"a language model cannot be made for {shape}: each must be at least 1")
        self.layers = shape.layers
        self.encoder = nn.Embedding(shape.words, shape.hidden)
        nn.init.uniform_(self.encoder.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
        for k in range(shape.layers):
            self.add_module(f"rnn{k}", nn.LSTM(shape.hidden, shape.hidden))
        self.dropouti, self.dropouth, self.dropouto = (LockedDropout(0.0) for _ in range(3))
        self.decoder = nn.Linear(shape.hidden, shape.words)
        nn.init.zeros_(self.decoder.bias)
        self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """(T, B) and the state before it -> output behind its dropout (T, B, D), the raw one, the state after it."""
        x = self.dropouti(self.encoder(tokens))
        after = []
        for k in range(self.layers):
            x, last = self.get_submodule(f"rnn{k}")(x, None if state is None else state[k])
            after.append(last)
            if k + 1 < self.layers:
                x = self.dropouth(x)
        return self.dropouto(x), x, tuple(after)


def rates(layers: int, names: tuple[str, ...]) -> dict[str, str]:
    """What `convert` wants to know of the dropouts among `names`: module or weight -> hyperparameter."""
    found = {}
    for place, name in RATES.items():
        if name in names:
            found.update({place.replace("*", str(k)): name for k in range(layers)} if "*" in place else {place: name})
    return found
