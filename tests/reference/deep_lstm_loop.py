"""The self-tuning language model written out: a loop over time, both products of both halves at every step.

Written from MacKay et al. 2019, sec. 3.2, and the description of its language model, to be read rather than to be
fast: input products inside the loop, elementary and response products apart, dropped embeddings built for the whole
vocabulary, all logits at once, autograd for every backward, and no thought for gradients that are thrown away.

T time, B batch, D hidden units, V words, n hyperparameters; λ is raw, (B, n).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

State = list[tuple[Tensor, Tensor]]


class Loop:
    """Train, tune and evaluate a converted `LanguageModel` (all seven hyperparameters tuned) by the book."""

    def __init__(self, model: Any, hypers: Any, lr: float, clip: float, lr_lam: float) -> None:
        self.model, self.hypers, self.clip = model, hypers, clip
        self.phi = torch.optim.SGD(model.parameters(), lr)
        self.lam = torch.optim.Adam([hypers.lam], lr_lam)

    def train_step(self, window: tuple[Tensor, Tensor], state: State | None, lam: Tensor) -> tuple[Tensor, State]:
        """One step on φ at λ (B, n)."""
        h = self.hypers.values(lam)
        self.phi.zero_grad()
        loss, out, raw, state = self.forward(window, state, lam, h)
        loss = loss + h["alpha"].detach() * out.square().mean()
        loss = loss + h["beta"].detach() * (raw[1:] - raw[:-1]).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.phi.step()
        return loss.detach(), state

    def tune_step(self, window: tuple[Tensor, Tensor], state: State | None) -> tuple[Tensor, State]:
        """One step on λ̂, the same λ in every row."""
        rows = window[0].shape[1]
        self.lam.zero_grad()
        self.phi.zero_grad()
        loss, _, _, state = self.forward(window, state, self.hypers.lam.expand(rows, -1), None)
        loss.backward()
        self.lam.step()
        return loss.detach(), state

    @torch.no_grad()
    def evaluate(self, windows: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Mean loss of a word over consecutive windows."""
        state, total, count = None, 0.0, 0
        for window in windows:
            rows = window[0].shape[1]
            loss, _, _, state = self.forward(window, state, self.hypers.lam.expand(rows, -1), None)
            total, count = total + loss * window[1].numel(), count + window[1].numel()
        return total / count

    def forward(self, window: Any, state: State | None, lam: Tensor, h: Any) -> tuple[Tensor, Tensor, Tensor, State]:
        """Cross entropy, the output behind its dropout, the raw output, the last states; `h` None: no dropout."""
        tokens, targets = window
        model, rows = self.model, window[0].shape[1]
        x = self._embed(tokens, lam, h)
        x = _locked(x, h["dropouti"]) if h else x
        state = state or [(x.new_zeros(rows, x.shape[2]), x.new_zeros(rows, x.shape[2])) for _ in range(2)]
        last = []
        for k in range(2):
            x, end = _layer(model.get_submodule(f"rnn{k}"), x, state[k], lam, h and h["wdrop"])
            last.append((end[0].detach(), end[1].detach()))
            if h and k == 0:
                x = _locked(x, h["dropouth"])
        out = _locked(x, h["dropouto"]) if h else x
        logits = F.linear(out.flatten(0, 1), model.decoder.weight, model.decoder.bias)
        loss = F.nll_loss(F.log_softmax(logits, 1), targets.flatten())
        return loss, out, x, last

    def _embed(self, tokens: Tensor, lam: Tensor, h: Any) -> Tensor:
        encoder = self.model.encoder
        table, response = encoder.weight, encoder.response_weight
        if h:
            mask = _keep((len(table), 1), h["dropoute"])
            table, response = table * mask, response * mask
        scale = lam @ encoder.response_scale.t()
        return F.embedding(tokens, table) + scale * F.embedding(tokens, response)


def _layer(layer: Any, x: Tensor, state: tuple[Tensor, Tensor], lam: Tensor, rate: Any) -> tuple[Tensor, Any]:
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    own = {name: getattr(layer, name) for name in names}
    response = {name: getattr(layer, "response_" + name) for name in names}
    if rate is not None:
        mask = _keep(tuple(own["weight_hh_l0"].shape), rate)
        own["weight_hh_l0"] = own["weight_hh_l0"] * mask
        response["weight_hh_l0"] = response["weight_hh_l0"] * mask
    h, c = state
    outputs = []
    for step in x:
        gates = torch.zeros(())
        for side, into in (("ih", step), ("hh", h)):
            scale = lam @ getattr(layer, f"response_scale_{side}_l0").t()
            shift = lam @ getattr(layer, f"response_shift_{side}_l0").t()
            gates = gates + F.linear(into, own[f"weight_{side}_l0"], own[f"bias_{side}_l0"])
            gates = gates + scale * F.linear(into, response[f"weight_{side}_l0"])
            gates = gates + shift * response[f"bias_{side}_l0"]
        i, f, g, o = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), (h, c)


def _locked(x: Tensor, rate: Tensor) -> Tensor:
    return x * _keep((1, *x.shape[1:]), rate.unsqueeze(1))


def _keep(shape: tuple[int, ...], rate: Tensor) -> Tensor:
    rate = rate.detach()
    return (torch.rand(shape) >= rate) / (1.0 - rate)
