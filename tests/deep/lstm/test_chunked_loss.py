"""The chunked cross entropy is F.cross_entropy: values, gradients, precisions, and a memory that does not grow."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from deep.lstm.chunked_loss import cross_entropy  # noqa: E402


def problem(rows=13, size=5, words=7, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, size, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(words, size, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    bias = torch.randn(words, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    return hidden, weight, bias, torch.randint(0, words, (rows,), generator=generator)


def obvious(hidden, weight, bias, targets):
    return F.cross_entropy(F.linear(hidden, weight, bias), targets)


def gradients(loss, *parts):
    return torch.autograd.grad(loss, [p for p in parts if p.requires_grad])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 300), st.integers(0, 1000))
def test_it_equals_the_obvious_one_whatever_the_chunk(rows, words, chunk, seed):
    *parts, targets = problem(rows, 4, words, seed=seed)
    mine, theirs = cross_entropy(*parts, targets, chunk), obvious(*parts, targets)
    assert torch.allclose(mine, theirs, rtol=1e-12, atol=1e-13)
    for a, b in zip(gradients(3.0 * mine, *parts), gradients(3.0 * theirs, *parts), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_gradcheck():
    *parts, targets = problem(6, 3, 4)
    assert torch.autograd.gradcheck(lambda *p: cross_entropy(*p, targets, 9), parts)


def test_in_single_precision():
    *parts, targets = problem(200, 30, 400, torch.float32)
    mine, theirs = cross_entropy(*parts, targets, 1000), obvious(*parts, targets)
    assert mine.dtype == torch.float32 and torch.allclose(mine, theirs, rtol=1e-6)
    for a, b in zip(gradients(mine, *parts), gradients(theirs, *parts), strict=True):
        assert torch.allclose(a, b, atol=1e-7)


@pytest.mark.parametrize("frozen", [(), (1, 2), (0,), (0, 1, 2)])
def test_what_wants_no_gradient_gets_none(frozen):
    *parts, targets = problem()
    for k in frozen:
        parts[k].requires_grad_(False)
    loss = cross_entropy(*parts, targets, 20)
    assert loss.requires_grad == (len(frozen) < 3)
    if loss.requires_grad:
        want = gradients(obvious(*parts, targets), *parts)
        for a, b in zip(gradients(loss, *parts), want, strict=True):
            assert torch.allclose(a, b)
    with torch.no_grad():
        assert torch.equal(cross_entropy(*parts, targets, 20), loss)


def test_under_autocast_products_are_bf16_and_sums_are_not():
    """Its error against double precision is no larger than that of the obvious one under autocast."""
    *parts, targets = problem(300, 64, 500, torch.float32)
    exact = [p.detach().double().requires_grad_() for p in parts]
    truth = obvious(*exact, targets)
    wanted = gradients(truth, *exact)
    with torch.autocast("cpu", torch.bfloat16):
        mine, theirs = cross_entropy(*parts, targets, 4000), obvious(*parts, targets)
    assert mine.dtype == torch.float32
    errors = [abs(float((loss - truth).detach())) for loss in (mine, theirs)]
    assert errors[0] <= max(2 * errors[1], 1e-3 * float(truth.detach()))
    ours, others = gradients(mine, *parts), gradients(theirs, *parts)
    for a, b, want in zip(ours, others, wanted, strict=True):
        assert a.dtype == torch.float32
        assert float((a - want).norm()) <= 1.2 * float((b - want).norm())
    assert not torch.equal(mine, obvious(*parts, targets))  # bf16 it was


def test_bf16_hidden_values_keep_their_dtype():
    hidden, weight, bias, targets = problem(20, 8, 9, torch.float32)
    half = hidden.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = cross_entropy(half, weight, bias, targets)
    loss.backward()
    assert half.grad.dtype == torch.bfloat16 and weight.grad.dtype == torch.float32


def test_tied_weights_get_both_gradients():
    table = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    bias, ids = torch.zeros(7, dtype=torch.float64), torch.tensor([0, 3, 3, 6])
    (mine,) = torch.autograd.grad(cross_entropy(table[ids], table, bias, ids.flip(0), 8), table)
    (want,) = torch.autograd.grad(obvious(table[ids], table, bias, ids.flip(0)), table)
    assert torch.allclose(mine, want)


def test_no_tensor_ever_holds_all_logits():
    """Issue 5: memory stays flat. The largest tensor of a pass is a chunk of logits or the weight's gradient."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            every = out if isinstance(out, tuple) else (out,)
            largest.extend(x.numel() for x in every if isinstance(x, torch.Tensor))
            return out

    *parts, targets = problem(1000, 4, 50, torch.float32)
    with Watch():
        cross_entropy(*parts, targets, 500).backward()
    assert max(largest) <= 4 * 1000 < 50 * 1000
