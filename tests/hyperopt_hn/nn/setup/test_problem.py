"""How many rows a batch holds, and what may stand where a source of batches belongs."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset, default_collate  # noqa: E402

from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402
from hyperopt_hn.nn.setup.looped import Looped  # noqa: E402
from hyperopt_hn.nn.setup.problem import TorchProblem, rows_of  # noqa: E402

Pair = namedtuple("Pair", ["words", "labels"])


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(3, 2),
        np.zeros((3, 2)),
        (torch.zeros(3, 2), torch.zeros(7)),
        {"tokens": torch.zeros(3, 5), "mask": torch.zeros(3)},
        {"scale": torch.tensor(2.0), "x": torch.zeros(3)},
        default_collate([("good film", 1), ("bad film", 0), ("long film", 0)]),
        ["a", "b", "c"],
        (["a", "b", "c"], ["d", "e", "f"]),
        Pair(["a", "b", "c"], torch.zeros(3)),
        [{"inner": (np.zeros(3), ["x"])}],
    ],
)
def test_rows_of_a_batch(batch):
    assert rows_of(batch) == 3


@pytest.mark.parametrize("batch", [[], {}, 7, "text", (1, 2), torch.tensor(1.0)])
def test_a_batch_without_rows_is_refused_with_the_remedy(batch):
    with pytest.raises(UserError, match="rows=lambda batch"):
        rows_of(batch)


def test_a_loader_is_looped_and_other_things_are_refused():
    data, tensors = DataLoader(TensorDataset(torch.zeros(8)), 2), Batches.of(torch.zeros(8), 2)
    problem = TorchProblem(None, None, data, tensors, data)
    assert isinstance(problem.train, Looped) and problem.valid is tensors and isinstance(problem.test, Looped)
    with pytest.raises(UserError, match=r"valid is a Tensor, no source of batches; give Batches.of"):
        TorchProblem(None, None, tensors, torch.zeros(8))


def test_numpy_arrays_are_batches_and_strings_are_refused():
    batches = Batches.of((np.arange(6.0), np.arange(6)), 2, shuffle=False)
    assert [part.tolist() for part in batches.next()] == [[0.0, 1.0], [0, 1]]
    with pytest.raises(UserError, match="cannot become a tensor; give numbers"):
        Batches.of(np.array(["a", "b"]), 1)
