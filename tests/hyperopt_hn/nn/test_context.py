"""The context that carries λ: nested, in threads, through errors, under torch.compile; what it refuses."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import HyperDropout, HyperLinear, at, bind, convert, hyper_values, space_of  # noqa: E402
from tests.support.layer_cases import SPACE, N, randomised  # noqa: E402

B = 3


def small(seed: int = 0) -> Any:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    return randomised(convert(model, SPACE), seed)


def run(model: nn.Module, x: torch.Tensor, lam: torch.Tensor) -> torch.Tensor:
    with at(model, lam):
        out: torch.Tensor = model(x)
        return out


def test_forgetting_it_says_what_to_do_and_it_ends_with_its_block() -> None:
    model, x, lam = small(), torch.randn(B, 4), torch.randn(B, N)
    before = dict(model[0].__dict__)
    with pytest.raises(UserError, match="with at"):
        model(x)
    run(model, x, lam)
    with pytest.raises(UserError, match="with at"):
        model(x)
    assert model[0].__dict__ == before


def test_nested_blocks_restore_the_outer_one_even_after_an_error() -> None:
    model, x = small(), torch.randn(B, 4)
    first, second = torch.randn(N), torch.randn(B, N)
    expected = run(model, x, first)
    with at(model, first):
        with at(model, second):
            assert not torch.equal(model(x), expected)
        assert torch.equal(model(x), expected)
        with pytest.raises(RuntimeError), at(model, second):
            raise RuntimeError
        assert torch.equal(model(x), expected)


def test_models_in_one_block_keep_their_own_lambda() -> None:
    one, two, x = small(0), small(1), torch.randn(B, 4)
    a, b = torch.randn(N), torch.randn(B, N)
    twin = copy.deepcopy(one)
    with at(one, a), at(two, b), at(twin, b):
        got = one(x), two(x), twin(x)
    assert torch.equal(got[0], run(one, x, a)) and torch.equal(got[1], run(two, x, b))
    assert torch.equal(got[2], run(one, x, b))


def test_threads_do_not_see_each_other() -> None:
    model, x = small(), torch.randn(B, 4)
    lams = [torch.randn(N) for _ in range(4)]
    expected = [run(model, x, lam) for lam in lams]
    barrier, same, lost = threading.Barrier(len(lams)), [False] * len(lams), []

    def work(i: int) -> None:
        with at(model, lams[i]):
            barrier.wait()
            same[i] = all(torch.equal(model(x), expected[i]) for _ in range(20))

    def outside() -> None:
        try:
            model(x)
        except UserError:
            lost.append(True)

    with at(model, lams[0]):
        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(lams))]
        threads.append(threading.Thread(target=outside))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(same) and lost == [True]


def test_centred_input_is_zero_at_the_centre_and_its_gradient_lives() -> None:
    model, x = small().double(), torch.randn(B, 4, dtype=torch.float64)
    lam = torch.randn(N, dtype=torch.float64, requires_grad=True)
    with at(model, lam, lam):
        general = model(x)
    plain = nn.functional.linear(x, model[0].weight, model[0].bias).relu()
    assert torch.equal(general, nn.functional.linear(plain, model[2].weight, model[2].bias))
    with at(model, lam, lam.detach()):
        loss = model(x).square().sum()
    torch.testing.assert_close(loss, general.square().sum())
    (slope,) = torch.autograd.grad(loss, lam)
    for i in range(N):
        step = 1e-6 * torch.eye(N, dtype=torch.float64)[i]
        with torch.no_grad(), at(model, lam + step, lam):
            up = model(x).square().sum()
        with torch.no_grad(), at(model, lam - step, lam):
            down = model(x).square().sum()
        assert float((up - down) / 2e-6) == pytest.approx(float(slope[i]), rel=1e-6)


def test_natural_values_are_per_row_detached_and_may_be_overridden() -> None:
    space = HyperSpace([Hyper("p", 0.3, 0, 1), Hyper("holes", 2, 0, 4, discrete=True), Hyper("k", 0.5)], ["p", "holes"])
    model = convert(nn.Linear(2, 2), space)
    lam = torch.tensor([[0.0, 0.3], [1.0, -5.0]], requires_grad=True)
    with at(model, lam):
        h = hyper_values(model)
    torch.testing.assert_close(h["p"], lam[:, 0].detach().sigmoid())
    assert not h["p"].requires_grad and h["holes"].tolist() == [2.0, 0.0] and h["k"] == 0.5
    with at(model, lam[0], values={"k": 0.7}):
        assert hyper_values(model)["k"] == 0.7 and hyper_values(model)["p"].dim() == 0
    with pytest.raises(UserError, match="did you mean"), at(model, lam, values={"hole": 1}):
        pass
    assert space_of(model) is space


def test_what_it_refuses() -> None:
    model: Any = small()
    for lam, text in (
        (torch.zeros(N + 1), rf"\({N},\)"),
        (torch.zeros(2, 2, N), "shape"),
        (torch.zeros(N, dtype=torch.bfloat16), "float32"),
        (torch.zeros(N, device="meta"), "is on meta and the model on cpu"),
        ([0.0] * N, "torch tensor"),
    ):
        with pytest.raises(UserError, match=text), at(model, lam):  # type: ignore[arg-type]
            pass
    with pytest.raises(UserError, match="convert"), at(nn.Linear(2, 2), torch.zeros(N)):
        pass
    with pytest.raises(UserError, match="3 rows and a layer's input 5"):
        run(model, torch.randn(5, 4), torch.zeros(3, N))
    with pytest.raises(UserError, match="no hyper layer"):
        bind(nn.Linear(2, 2), SPACE)
    with pytest.raises(UserError, match="made for 3"):
        bind(HyperLinear(2, 2, 3), SPACE)
    with pytest.raises(UserError, match="no space"):
        space_of(HyperLinear(2, 2, N))
    with pytest.raises(UserError, match="no space"):
        hyper_values(HyperLinear(2, 2, N))
    lonely = HyperDropout("p")
    with pytest.raises(UserError, match="bind"):
        lonely(torch.ones(2))


def test_a_plain_model_with_nothing_tuned_needs_no_lambda() -> None:
    with at(nn.Linear(2, 2), torch.zeros(0)):
        pass


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_reads_it_without_compiling_again() -> None:
    model, x = small(), torch.randn(B, 4)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for _ in range(3):
        lam = torch.randn(B, N)
        torch.testing.assert_close(run(compiled, x, lam), run(model, x, lam))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_a_layer_that_sees_other_rows_than_the_batchs_is_named():
    class Routed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.expert = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2))

        def forward(self, x):
            return self.expert(self.body(x)[:3])

    model = convert(Routed(), SPACE)
    wanted = r"λ has 8 rows .* \(in 'expert.0': .*exclude=\['expert.0'\]"
    with pytest.raises(UserError, match=wanted), at(model, torch.zeros(8, SPACE.n)):
        model(torch.randn(8, 4))


def test_weights_swapped_inside_a_block_answer() -> None:
    """Averaged weights put in by `p.data.copy_` bump no version; the next call sees them all the same."""
    torch.manual_seed(0)
    model = convert(nn.Linear(4, 2), HyperSpace([Hyper("a", 0.1, 0.0, 0.9)]), gain="stn").eval()
    x, lam, other = (
        torch.randn(3, 4),
        torch.tensor([0.7]),
        {n: torch.randn_like(p) for n, p in model.named_parameters()},
    )
    weight = other["weight"] + (other["response_scale"] @ lam)[:, None] * other["response_weight"]
    bias = other["bias"] + (other["response_shift"] @ lam) * other["response_bias"]
    with torch.no_grad(), at(model, lam):
        before = model(x)
        for name, p in model.named_parameters():
            p.data.copy_(other[name])
        after = model(x)
    assert torch.allclose(after, x @ weight.T + bias, atol=1e-6) and not torch.allclose(before, after, atol=1e-2)
