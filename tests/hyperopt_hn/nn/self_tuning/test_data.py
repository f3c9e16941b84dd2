"""Data of every kind as the same batches, on the model's device and in its dtype; what is no data is refused."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset  # noqa: E402

from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn.self_tuning.data import as_source, epoch_of, placed, rows_in  # noqa: E402
from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402

X, Y = np.arange(20.0).reshape(10, 2), np.arange(10, dtype=np.int32)
MODEL = nn.Linear(2, 3)


class Pairs(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        return X[i], int(Y[i])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y.tolist(), strict=True))


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X, Y],
        (torch.as_tensor(X).float(), torch.as_tensor(Y).long()),
        TensorDataset(torch.as_tensor(X).float(), torch.as_tensor(Y).long()),
        DataLoader(TensorDataset(torch.as_tensor(X).float(), torch.as_tensor(Y).long()), 4),
        Batches.of((torch.as_tensor(X).float(), torch.as_tensor(Y).long()), 4),
        [(X[:4], Y[:4]), (X[4:8], Y[4:8]), (X[8:], Y[8:])],
    ],
)
def test_the_same_rows_from_every_kind(data):
    source = as_source(data, "train", MODEL, 4, seed=0)
    batches = list(source.once())
    assert torch.equal(torch.cat([b[0] for b in batches]), torch.as_tensor(X).float())
    assert torch.equal(torch.cat([b[1] for b in batches]), torch.as_tensor(Y).long())
    assert {b[0].dtype for b in batches} == {torch.float32} and {b[1].dtype for b in batches} == {torch.int64}
    assert len(source.next()[0]) == 4
    assert epoch_of(source) in (2, 3)


def test_datasets_dicts_and_single_arrays():
    source = as_source(Pairs(), "train", MODEL, 4, seed=0)
    assert len({y for _ in range(2) for y in source.next()[1].tolist()} & set(range(10))) == 8
    assert torch.cat([b[1] for b in source.once()]).tolist() == list(range(10))
    assert epoch_of(as_source(Stream(), "train", MODEL, 4, 0)) is None
    assert len(list(as_source(Stream(), "train", MODEL, 4, 0).once())) == 3
    batch = as_source({"x": X, "y": Y}, "train", MODEL, 4, 0).next()
    assert set(batch) == {"x", "y"} and batch["x"].dtype == torch.float32
    assert as_source(X, "train", MODEL, 4, 0).next().shape == (4, 2)
    assert as_source((X, Y), "train", MODEL, 64, 0).next()[0].shape == (10, 2)


def test_double_precision_models_get_double_data():
    assert as_source((X, Y), "train", nn.Linear(2, 3).double(), 4, 0).next()[0].dtype == torch.float64


def test_strings_and_packed_sequences_pass_through():
    packed = nn.utils.rnn.pack_sequence([torch.zeros(3, 2), torch.zeros(1, 2)])
    batch = placed((["a", "b"], {"lengths": np.array([1, 2], dtype=np.int16)}, packed), MODEL)
    assert batch[0] == ["a", "b"]
    assert batch[1]["lengths"].dtype == torch.int64
    assert isinstance(batch[2], nn.utils.rnn.PackedSequence)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("digits.csv", "train: a str is no data; give tensors or numpy arrays"),
        (7, "train: a int is no data"),
        ((X, Y.tolist()), "train: a list is among arrays; make it an array too"),
        ((X, Y[:5]), r"train: columns of \[5, 10\] rows do not belong together"),
        ((X, Y.astype(str)), "train: an array of dtype <U11 holds no numbers"),
        ((x for x in [X]), "train: a generator can be read only once"),
        ((X[:0], Y[:0]), r"train: 0 rows cannot serve 1 process"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(data, words):
    with pytest.raises(UserError, match=words):
        as_source(data, "train", MODEL, 4, 0)


def test_rows_in():
    assert rows_in((X, Y)) == rows_in({"x": X}) == rows_in(Pairs()) == rows_in(DataLoader(Pairs(), 4)) == 10
    assert rows_in(Stream()) is None
