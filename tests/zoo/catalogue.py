"""The models of models.json, by library, with small configurations and random weights; nothing is downloaded."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.zoo.trial import ROWS, Make

Models = Iterator[tuple[str, Make]]
LISTED: dict[str, Any] = json.loads((Path(__file__).parent / "models.json").read_text())


def models_of(library: str) -> Models:
    """Name and maker of each model of one library; ImportError where that is not installed."""
    return _FAMILIES[library]()


def _image(size: int = 64, channels: int = 3) -> Tensor:
    return torch.randn(ROWS, channels, size, size)


def _first(model: nn.Module) -> str:
    """The name of a model's first argument."""
    return next(iter(inspect.signature(model.forward).parameters))


def _fed(model: nn.Module, x: Any) -> tuple[nn.Module, dict[str, Any]]:
    return model, {_first(model): x}


def _timm() -> Models:
    library = importlib.import_module("timm")

    def make(name: str, size: int) -> tuple[nn.Module, dict[str, Any]]:
        return _fed(library.create_model(name, num_classes=10), _image(size))

    return ((name, partial(make, name, int(size))) for size, names in LISTED["timm"].items() for name in names)


def _torchvision() -> Models:
    listed = LISTED["torchvision"]
    library = importlib.import_module("torchvision.models")

    def classes(name: str, size: int) -> tuple[nn.Module, dict[str, Any]]:
        extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        return _fed(getattr(library, name)(num_classes=10, **extra), _image(size))

    def film(name: str) -> tuple[nn.Module, dict[str, Any]]:
        return _fed(getattr(library.video, name)(num_classes=5), torch.randn(ROWS, 3, 4, 32, 32))

    def mask(name: str) -> tuple[nn.Module, dict[str, Any]]:
        model = getattr(library.segmentation, name)(weights=None, weights_backbone=None, num_classes=4)
        return _fed(model, _image(64))

    yield from ((name, partial(classes, name, int(size))) for size in ("96", "224") for name in listed[size])
    yield from ((name, partial(film, name)) for name in listed["video"])
    yield from ((name, partial(mask, name)) for name in listed["segmentation"])


def _transformers() -> Models:
    library = importlib.import_module("transformers")
    library.logging.set_verbosity_error()

    def make(name: str, settings: dict[str, Any], text: bool) -> tuple[nn.Module, dict[str, Any]]:
        model = getattr(library, f"{name}Model")(getattr(library, f"{name}Config")(**settings))
        if text:
            return model, {"input_ids": torch.randint(3, 60, (ROWS, 8))}
        return model, {"pixel_values": _image(settings.get("image_size", 64))}

    for kind, listed in LISTED["transformers"].items():
        yield from ((name, partial(make, name, settings, kind == "text")) for name, settings in listed.items())


def _x_transformers() -> Models:
    library = importlib.import_module("x_transformers")

    def make(settings: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
        layers = library.Decoder(dim=32, depth=2, heads=4, **settings)
        model = library.TransformerWrapper(num_tokens=64, max_seq_len=32, attn_layers=layers)
        return model, {"x": torch.randint(0, 60, (ROWS, 8))}

    return ((name, partial(make, settings)) for name, settings in LISTED["x_transformers"].items())


def _segmentation() -> Models:
    library = importlib.import_module("segmentation_models_pytorch")

    def make(name: str) -> tuple[nn.Module, dict[str, Any]]:
        return _fed(getattr(library, name)("resnet18", encoder_weights=None, classes=2), _image(64))

    return ((name, partial(make, name)) for name in LISTED["segmentation_models_pytorch"])


def _monai() -> Models:
    library = importlib.import_module("monai.networks.nets")

    def make(name: str, given: list[Any]) -> tuple[nn.Module, dict[str, Any]]:
        return _fed(getattr(library, name)(*given), _image(32, 1))

    return ((name, partial(make, name, given)) for name, given in LISTED["monai"].items())


def _geometric() -> Models:
    library = importlib.import_module("torch_geometric.nn")
    edges = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 0]])

    def make(name: str) -> tuple[nn.Module, dict[str, Any]]:
        return getattr(library, name)(6, 16, 2, 4), {"x": torch.randn(ROWS, 6), "edge_index": edges}

    return ((name, partial(make, name)) for name in LISTED["torch_geometric"])


def _diffusers() -> Models:
    library = importlib.import_module("diffusers")

    def unet() -> tuple[nn.Module, dict[str, Any]]:
        model = library.UNet2DModel(
            sample_size=16, layers_per_block=1, block_out_channels=(16, 32), norm_num_groups=8,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        return model, {"sample": _image(16), "timestep": 3}

    def coder() -> tuple[nn.Module, dict[str, Any]]:
        model = library.AutoencoderKL(block_out_channels=(16,), norm_num_groups=8)
        return model, {"sample": _image(16)}

    yield "UNet2DModel", unet
    yield "AutoencoderKL", coder


_FAMILIES = {
    "timm": _timm,
    "torchvision": _torchvision,
    "transformers": _transformers,
    "x_transformers": _x_transformers,
    "segmentation_models_pytorch": _segmentation,
    "monai": _monai,
    "torch_geometric": _geometric,
    "diffusers": _diffusers,
}
