"""Where no λ differs from the centre a layer runs what torch's own layer runs, operation for operation.

A count of operations is what a clock would show, and is the same every time: forward, and backward into all weights.
"""

from __future__ import annotations

from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from hyperopt_hn.nn import at  # noqa: E402
from tests.support.layer_cases import CASES, F64, B, N, made  # noqa: E402

FREE = (
    "view",
    "transpose",
    "detach",
    "alias",
    "permute",
    "expand",
    "unsqueeze",
    "squeeze",
    "select",
    "t",
    "_unsafe_view",
)


class Counted(TorchDispatchMode):
    """Names of the operations that touch numbers, with their counts."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__.partition(".")[0]
        if name not in FREE:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


def run(case, layer, inputs):
    with Counted() as counted:
        out = case.call(layer, inputs)
        out.sum().backward()
    return counted.found


@pytest.mark.parametrize("case", [c for c in CASES if "affineFalse" not in c.name], ids=lambda c: c.name)
@pytest.mark.parametrize("training", [True, False])
def test_at_the_centre_a_layer_runs_what_torchs_own_runs(case, training):
    layer, inputs, lam = made(case).train(training), case.inputs(B), torch.randn(N, **F64)
    plain = case.plain().train(training)
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if "response_" not in k})
    theirs = run(case, plain, inputs)
    with at(layer, lam, lam):
        ours = run(case, layer, inputs)
    more = ours - theirs
    more.subtract({"zeros": 2, "new_zeros": 2})  # an LSTM's first state
    assert not +more, f"more than torch's: {dict(+more)}"
    for name, p in plain.named_parameters():
        torch.testing.assert_close(layer.get_parameter(name).grad, p.grad, rtol=1e-12, atol=1e-12)
    assert all(p.grad is None for name, p in layer.named_parameters() if "response_" in name)
