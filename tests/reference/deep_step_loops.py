"""A train step of the self-tuning SmallCNN with the structure of the published code: image by image, layer by layer.

Each image is augmented by itself through PIL or torchvision (see `deep_augment_loops`), then the batch is stacked; each
layer computes its elementary and its response convolution apart, with one linear map for both of its gains. Draws, λ
and batches are handed in, so that both sides compute the same numbers. The scalar by which the published layers
multiply their elementary part gets its gradient as there, but is held at its start of 1: the house's layers have none.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tests.reference import deep_augment_loops

DROPOUTS = ("dropout0", "dropout1", "dropout2")


@dataclass(frozen=True)
class Outside:
    """What a step is handed: which images, their λ (B, n) and natural values, and augmentation's draws."""

    index: torch.Tensor
    lam: torch.Tensor
    h: dict
    draws: object


class Layer(torch.nn.Module):
    """y = a (W x + b) + s (R x) + c b_R with (s, c) = (V; C) λ, a = 1; the rest copied from a converted convolution."""

    def __init__(self, conv):
        super().__init__()
        self.elementary = torch.nn.Conv2d(conv.in_channels, conv.out_channels, 3, padding=1)
        self.response = torch.nn.Conv2d(conv.in_channels, conv.out_channels, 3, padding=1, bias=False)
        self.gains = torch.nn.Linear(conv.num_hyper, 2 * conv.out_channels, bias=False)
        self.scalar = torch.nn.Parameter(torch.ones(1))
        self.response_bias = torch.nn.Parameter(conv.response_bias.detach().clone())
        with torch.no_grad():
            self.elementary.weight.copy_(conv.weight)
            self.elementary.bias.copy_(conv.bias)
            self.response.weight.copy_(conv.response_weight)
            self.gains.weight.copy_(torch.cat((conv.response_scale, conv.response_shift)))

    def forward(self, x, lam):
        scale, shift = self.gains(lam).chunk(2, 1)
        out = self.elementary(x) * self.scalar
        out = out + self.response(x) * scale[:, :, None, None]
        return out + (shift * self.response_bias)[:, :, None, None]


class Step:
    """SGD with momentum on one batch after another; `pil` as in `deep_augment_loops.augment`."""

    def __init__(self, model, images, labels, normal, descent, pil):
        self.layers = torch.nn.ModuleList(Layer(getattr(model, f"conv{i}")) for i in range(3))
        self.last = torch.nn.Linear(model.fc.in_features, model.fc.out_features)
        self.last.load_state_dict(model.fc.state_dict())
        self.images, self.labels, self.normal, self.pil = images, labels, normal, pil
        moving = [p for name, p in self.layers.named_parameters() if not name.endswith("scalar")]
        self.sgd = torch.optim.SGD([*moving, *self.last.parameters()], descent.lr, descent.momentum)

    def __call__(self, outside):
        """The loss of the batch before the step."""
        x = deep_augment_loops.augment(self.images[outside.index.numpy()], outside.draws, self.normal, self.pil)
        for layer, name in zip(self.layers, DROPOUTS, strict=True):
            x = F.max_pool2d(F.relu(layer(x, outside.lam)), 2)
            rate = outside.h[name].view(-1, 1, 1, 1)
            x = x * (torch.rand(*x.shape[:2], 1, 1) >= rate).float() / (1.0 - rate)
        loss = F.cross_entropy(self.last(x.flatten(1)), self.labels[outside.index])
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return float(loss.detach())
