"""torchvision's classification networks beside the papers': `--model torchvision:NAME`, untrained.

    B batch   C channels   S side of the square images    forward: (B, C, S, S) -> logits (B, classes)

Their dropouts are named in order, dropout0, dropout1, ..., and drop nothing until a rate is set. Stochastic depth stays
as torchvision has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from deep.cnn.networks import ImageShape, dropout_names
from hyperopt_hn.config import unknown
from hyperopt_hn.errors import UserError

PREFIX = "torchvision:"
WITHOUT_AUXILIARIES = ("googlenet", "inception_v3")
"""Networks with further outputs in training, which are left out."""


class LibraryNetwork(nn.Module):
    """A network that reads images of 1 or 3 channels; gray ones are given to it as three equal colours."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, classes)."""
        logits: Tensor = self.network(x.expand(-1, 3, -1, -1))
        return logits


def check_library_name(model: str) -> None:
    """Raise UserError for a name behind "torchvision:" that torchvision does not have, naming the nearest."""
    name, known = model.removeprefix(PREFIX), _models().list_models(module=_models())
    if name not in known:
        raise UserError(unknown("torchvision network", name, known))


def library_network(model: str, shape: ImageShape) -> nn.Module:
    """The network of that name, its dropouts at 0. Raises UserError for images that it cannot read."""
    name = model.removeprefix(PREFIX)
    given: dict[str, Any] = {"num_classes": shape.classes}
    if name in WITHOUT_AUXILIARIES:
        given |= {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        given["image_size"] = shape.side
    if name == "maxvit_t":
        given["input_size"] = (shape.side, shape.side)
    if shape.channels not in (1, 3):
        raise UserError(f"{model} reads gray images or images in colour, not {shape.channels} channels")
    try:
        sample = torch.empty(1, shape.channels, shape.side, shape.side, device="meta")
        _built(name, given, torch.device("meta")).eval()(sample)  # whether images so small get through
        network = _built(name, given, torch.get_default_device())
    except (RuntimeError, ValueError, AssertionError) as error:
        what = str(error).splitlines()[0]
        raise UserError(
            f"{model} cannot read images of {shape.side} x {shape.side} pixels ({what}); choose another --model"
        ) from None
    for path in dropout_names(network):
        network.get_submodule(path).p = 0.0  # type: ignore[assignment]
    return network


def _built(name: str, given: Mapping[str, Any], device: torch.device) -> nn.Module:
    """The network on a device; RegNets compute their widths with tensors, so they are made on the processor."""
    with torch.device("cpu" if name.startswith("regnet") else device):
        return LibraryNetwork(_models().get_model(name, **given)).to(device)


def _models() -> Any:
    try:
        import torchvision.models  # type: ignore[import-untyped]
    except ImportError:
        raise UserError("--model torchvision:NAME needs torchvision; pip install torchvision") from None
    return torchvision.models
