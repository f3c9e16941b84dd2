"""Reads past a layer that its parent's source shows: its parameters respond by themselves, and collapse is right."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, report  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9)])


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        nn.init.orthogonal_(self.a.weight)


class Passed(Base):
    """As torchvision's Swin: given to a function."""

    def forward(self, x):
        return self.out(self.b(F.linear(x, self.a.weight, bias=self.a.bias)))


class Deeper(Base):
    """In a method that forward calls, through an operator and a view, of a child's child."""

    def __init__(self):
        super().__init__()
        self.block = nn.ModuleDict({"a": self.a})
        del self.a

    def forward(self, x):
        return self.out(self.b(self._product(x)))

    def _product(self, x):
        return x @ self.block.a.weight.T


class Kept(Base):
    """Put aside first, and called as well."""

    def forward(self, x):
        weight = self.a.weight
        return self.out(self.b(F.linear(self.a(x), weight)))


class Asking(Base):
    """Reads of type, device and shape, and whether there is one, are none; nor are those outside the forward pass."""

    def forward(self, x):
        x = x.to(self.a.weight).type_as(self.a.weight).to(self.a.weight.dtype)
        if self.a.bias is not None and isinstance(self.b.weight, torch.Tensor) and len(self.b.weight) == 4:
            x = x + x.new_zeros(self.a.weight.shape[1]) + self.a.weight.new_zeros(4)
        return self.out(self.b(self.a(x)))

    def reset(self):
        nn.init.zeros_(self.b.weight)
        return F.linear(self.b.weight, self.a.weight)


@pytest.mark.parametrize(("kind", "left"), [(Passed, "a"), (Deeper, "block.a"), (Kept, "a"), (Asking, None)])
def test_layers_whose_weights_are_read_past_them(kind, left):
    torch.manual_seed(0)
    model = convert(kind(), SPACE, gain="stn")
    assert not report(model).left and len(report(model).converted) == 3
    alone = [name for name, what in report(model).converted.items() if what.endswith("by parameter")]
    assert alone == ([] if left is None else [left])
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "response_" in name and p.shape[-1] == 1:
                p.normal_()
    x, lam = torch.randn(5, 4), torch.tensor([1.3])
    with at(model, lam):
        inside = model(x)
    inside.square().sum().backward()
    assert torch.allclose(inside, collapse(model, lam)(x), atol=1e-5)
    assert all(
        p.grad is not None
        for name, p in model.named_parameters()
        if "response_" in name and not (left == "block.a" and name.endswith("of_bias"))
    )


def test_torchvisions_swin_agrees_with_its_collapsed_model():
    swin = pytest.importorskip("torchvision.models.swin_transformer")
    torch.manual_seed(0)
    sizes = {"patch_size": [4, 4], "embed_dim": 12, "depths": [1, 1], "num_heads": [2, 2], "window_size": [4, 4]}
    model = convert(swin.SwinTransformer(**sizes, num_classes=5), SPACE, gain="stn").eval()
    x, lam = torch.randn(2, 3, 32, 32), torch.tensor([2.0])
    with at(model, lam):
        inside = model(x)
    inside.square().sum().backward()
    assert torch.allclose(inside, collapse(model, lam)(x), atol=1e-5)
    assert all(p.grad is not None for name, p in model.named_parameters() if "response_" in name)
    alone = [n.rpartition(".")[2] for n, what in report(model).converted.items() if what == "Linear, by parameter"]
    assert sorted(alone) == ["proj", "proj", "qkv", "qkv"] and report(model).share == 1
