"""The networks of the papers as plain modules; `hyperopt_hn.nn` makes self-tuning networks of them.

    B batch   C channels   S side of the square images    forward: (B, C, S, S) -> logits (B, classes)

Dropout modules bear the published hyperparameters' names and drop nothing until a rate is set: dropout0, dropout1, ...
drop whole channels behind the convolutions, fcdropout0, ... single units at the linear layers. Pooling comes before
the ReLU that the papers put first: the same values and gradients from a quarter of the comparisons.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor, nn

from hyperopt_hn.errors import UserError


@dataclass(frozen=True)
class ImageShape:
    """What a network reads, and how many classes it distinguishes."""

    classes: int = 10
    channels: int = 3
    side: int = 32


CIFAR10 = ImageShape()


class SmallCNN(nn.Module):
    """Three convolutions of 10, 20, 40 channels and a linear layer (MacKay et al. 2019's code); side 8 or more."""

    def __init__(self, shape: ImageShape = CIFAR10) -> None:
        super().__init__()
        side = _fits("SmallCNN", shape, pools=3)
        self.conv0 = nn.Conv2d(shape.channels, 10, 3, padding=1)
        self.conv1 = nn.Conv2d(10, 20, 3, padding=1)
        self.conv2 = nn.Conv2d(20, 40, 3, padding=1)
        self.dropout0, self.dropout1, self.dropout2 = (nn.Dropout2d(0.0) for _ in range(3))
        self.fc = nn.Linear(40 * side * side, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, classes)."""
        x = self.dropout0(F.relu(F.max_pool2d(self.conv0(x), 2)))
        x = self.dropout1(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = self.dropout2(F.relu(F.max_pool2d(self.conv2(x), 2)))
        return self.fc(x.flatten(1))


class AlexNet(nn.Module):
    """Five convolutions and three linear layers, the papers' AlexNet for CIFAR; side 15 or more.

    dropout0..4 follow the convolutions, fcdropout0 and fcdropout1 before the first two linear layers. With
    `input_dropout` (Bae & Grosse 2020's numbering) dropout0 drops colours of the input, and the convolutions' are
    dropout1..5.
    """

    def __init__(self, shape: ImageShape = CIFAR10, input_dropout: bool = False) -> None:
        super().__init__()
        side = _fits("AlexNet", replace(shape, side=(shape.side + 1) // 2), pools=3)  # the first convolution strides
        widths = (shape.channels, 64, 192, 384, 256, 256)
        for i, (before, after) in enumerate(itertools.pairwise(widths)):
            self.add_module(f"conv{i}", nn.Conv2d(before, after, 3, stride=2 if i == 0 else 1, padding=1))
        self.first = int(input_dropout)
        _dropouts(self, 5 + self.first)
        self.fcdropout0, self.fcdropout1 = nn.Dropout(0.0), nn.Dropout(0.0)
        self.fc0 = nn.Linear(256 * side * side, 4096)
        self.fc1 = nn.Linear(4096, 4096)
        self.fc2 = nn.Linear(4096, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, classes)."""
        if self.first:
            x = self.get_submodule("dropout0")(x)
        for i in range(5):
            x = self.get_submodule(f"conv{i}")(x)
            x = F.relu(F.max_pool2d(x, 2) if i in (0, 1, 4) else x)
            x = self.get_submodule(f"dropout{i + self.first}")(x)
        x = F.relu(self.fc0(self.fcdropout0(x.flatten(1))))
        x = F.relu(self.fc1(self.fcdropout1(x)))
        return self.fc2(x)


class VGG16(nn.Module):
    """Thirteen convolutions without normalisation and linear layers 512-512 (Bae & Grosse 2020); side 32 or more.

    dropout0 drops colours of the input, dropout1..13 follow the convolutions, fcdropout0 and fcdropout1
    the first two linear layers. Convolutions start at N(0, 2 / (9 out)), as published: PyTorch's start is 2.4 times as
    narrow, a factor that thirteen layers without normalisation would take to the thirteenth power.
    """

    WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
    POOLED = (1, 3, 6, 9, 12)  # convolutions that a pooling follows

    def __init__(self, shape: ImageShape = CIFAR10) -> None:
        super().__init__()
        side = _fits("VGG16", shape, pools=5)
        before = shape.channels
        for i, after in enumerate(self.WIDTHS):
            conv = nn.Conv2d(before, after, 3, padding=1)
            nn.init.normal_(conv.weight, 0.0, math.sqrt(2.0 / (9 * after)))
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.add_module(f"conv{i}", conv)
            before = after
        _dropouts(self, 1 + len(self.WIDTHS))
        self.fc0 = nn.Linear(512 * side * side, 512)
        self.fc1 = nn.Linear(512, 512)
        self.fc2 = nn.Linear(512, shape.classes)
        self.fcdropout0, self.fcdropout1 = nn.Dropout(0.0), nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, classes)."""
        x = self.get_submodule("dropout0")(x)
        for i in range(len(self.WIDTHS)):
            x = self.get_submodule(f"conv{i}")(x)
            x = F.relu(F.max_pool2d(x, 2) if i in self.POOLED else x)
            x = self.get_submodule(f"dropout{i + 1}")(x)
        x = self.fcdropout0(F.relu(self.fc0(x.flatten(1))))
        x = self.fcdropout1(F.relu(self.fc1(x)))
        return self.fc2(x)


class Residual(nn.Module):
    """Two normalised 3 x 3 convolutions beside a shortcut, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm0 = nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            conv = nn.Conv2d(before, after, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, S, S) -> (B, after, S / stride, S / stride)."""
        inner = self.norm1(self.conv1(F.relu(self.norm0(self.conv0(x)))))
        return F.relu(inner + self.shortcut(x))


class ResNet18(nn.Module):
    """He et al. 2016's eighteen layers with a 3 x 3 stem and no first pooling, as usual for CIFAR; any side.

    dropout0 follows the stem, dropout1..4 the four stages, fcdropout0 before the linear layer.
    """

    def __init__(self, shape: ImageShape = CIFAR10) -> None:
        super().__init__()
        _fits("ResNet18", shape, pools=0)
        self.conv = nn.Conv2d(shape.channels, 64, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(64)
        before = 64
        for i, after in enumerate((64, 128, 256, 512)):
            stride = 1 if i == 0 else 2
            self.add_module(f"stage{i}", nn.Sequential(Residual(before, after, stride), Residual(after, after, 1)))
            before = after
        _dropouts(self, 5)
        self.fcdropout0 = nn.Dropout(0.0)
        self.fc = nn.Linear(512, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, classes)."""
        x = self.get_submodule("dropout0")(F.relu(self.norm(self.conv(x))))
        for i in range(4):
            x = self.get_submodule(f"dropout{i + 1}")(self.get_submodule(f"stage{i}")(x))
        return self.fc(self.fcdropout0(x.mean((-2, -1))))


NETWORKS: dict[str, Callable[[ImageShape], nn.Module]] = {
    "small": SmallCNN,
    "alexnet": AlexNet,
    "vgg16": VGG16,
    "resnet18": ResNet18,
}


def dropout_names(network: nn.Module) -> tuple[str, ...]:
    """The names of a network's dropout modules, in the order in which they were made."""
    kinds = (nn.Dropout, nn.Dropout2d)
    return tuple(name for name, module in network.named_modules() if isinstance(module, kinds))


def _dropouts(network: nn.Module, count: int) -> None:
    for i in range(count):
        network.add_module(f"dropout{i}", nn.Dropout2d(0.0))


def _fits(name: str, shape: ImageShape, pools: int) -> int:
    """The side that is left when the image was halved `pools` times. Raises UserError if nothing is."""
    if min(shape.classes, shape.channels, shape.side) < 1:
        raise UserError(f"{name} cannot be made for {shape}: each must be at least 1")
    if shape.side >> pools == 0:
        small = "small" if name != "SmallCNN" else "resnet18"
        raise UserError(f"{name} cannot halve images so small {pools} times: choose --model {small} or larger images")
    return shape.side >> pools
