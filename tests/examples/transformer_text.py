"""A small character-level transformer on the text that ships with Python, tuning its dropout and weight decay.

python -m tests.examples.transformer_text DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn import Alternation, Hyper, HyperSpace, RunLog, alternate
from hyperopt_hn.nn import Batches, Hypers, Optimizers, TorchProblem, TorchTuner, TunerConfig, convert, squared_norm
from hyperopt_hn.nn.tuning.codec import TORCH
from hyperopt_hn.runs.display.progress import Progress

LENGTH = 32
SPACE = HyperSpace(
    [Hyper("dropout", 0.1, 0.0, 0.8), Hyper("decay", 1e-5, 1e-8, 1e-2, log=True, shared=True)],
)


class LanguageModel(nn.Module):
    """Characters (B, T) to logits (B, T, V); the embedding and the last layer share their weights."""

    def __init__(self, vocabulary: int, width: int = 48, layers: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.1, "gelu", batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)
        self.head.weight = self.embed.weight
        nn.init.normal_(self.embed.weight, 0.0, 0.1)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embed(tokens) + self.place[: tokens.shape[1]]
        return self.head(self.body(hidden, mask=self.mask, is_causal=True))


def valid_loss(model, batch):
    """Mean negative log probability of the next character."""
    return F.cross_entropy(model(batch[:, :-1]).transpose(1, 2), batch[:, 1:])


def train_loss(model, batch, h):
    """The same plus the penalty; dropout is inside the model."""
    return valid_loss(model, batch) + h["decay"] * squared_norm(model)


def text(size: int) -> tuple[Tensor, int]:
    """The first characters of Python's own documentation as numbers, and the size of the alphabet."""
    letters = "".join(topics[key] for key in sorted(topics))[:size]
    alphabet = sorted(set(letters))
    return torch.tensor([alphabet.index(c) for c in letters]), len(alphabet)


def windows(tokens: Tensor, size: int, seed: int) -> Batches:
    """Batches (B, T + 1) of windows at random places."""
    starts = torch.arange(0, len(tokens) - LENGTH - 1, LENGTH // 2)
    offsets = torch.arange(LENGTH + 1)
    return Batches(len(starts), lambda index: tokens[starts[index, None] + offsets], size, seed)


def main(folder: Path, plan: Alternation, size: int = 60_000, response: str = "stn") -> TorchTuner:
    """Train, tune and return the tuner; the run's record is in `folder`."""
    torch.manual_seed(0)
    tokens, vocabulary = text(size)
    cut = len(tokens) * 8 // 10, len(tokens) * 9 // 10
    model = convert(LanguageModel(vocabulary), SPACE, gain="stn", dropout={"*dropout*": "dropout"})
    hypers = Hypers(SPACE)
    parts = tokens[: cut[0]], tokens[cut[0] : cut[1]], tokens[cut[1] :]
    problem = TorchProblem(train_loss, valid_loss, *(windows(part, 32, seed) for seed, part in enumerate(parts)))
    phi = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.0)
    optimizers = Optimizers(phi, torch.optim.Adam([hypers.lam], 0.01), torch.optim.Adam([hypers.rho], 0.01))
    tuner = TorchTuner(model, hypers, problem, optimizers, response, TunerConfig(tau=1e-3, clip=1.0))
    log = RunLog(folder, {"experiment": "transformer-text"}, codec=TORCH)
    alternate(tuner, plan, log, Progress("transformer", plan.total))
    return tuner


if __name__ == "__main__":
    tuner = main(Path(sys.argv[1]), Alternation(steps=2000, warmup=200, train_per_cycle=2, evaluate_every=200), 200_000)
    print(tuner.hypers())
    torch.save(tuner.collapsed().state_dict(), Path(sys.argv[1]) / "transformer.pt")
