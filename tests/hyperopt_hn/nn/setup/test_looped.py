"""A DataLoader as a source: evaluation does not disturb the epoch, and resuming is exact, however it draws."""

from __future__ import annotations

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Dataset, TensorDataset  # noqa: E402

from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn.setup.looped import Looped  # noqa: E402


class Noisy(Dataset):
    """Rows with noise from three libraries' global generators: what resuming must repeat."""

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return i + torch.rand(()).item() + random.random() + np.random.rand()


def loader(kind):
    if kind == "own generator":
        return DataLoader(Noisy(), 2, shuffle=True, generator=torch.Generator().manual_seed(3))
    if kind == "persistent workers":
        return DataLoader(TensorDataset(torch.arange(12)), 2, shuffle=True, num_workers=1, persistent_workers=True)
    return DataLoader(Noisy(), 2, shuffle=True)


def flat(batch):
    return batch[0].tolist() if isinstance(batch, (list, tuple)) else batch.tolist()


@pytest.mark.parametrize("kind", ["global generators", "own generator", "persistent workers"])
@pytest.mark.parametrize("done", [3, 8])
def test_the_next_batches_after_resuming_are_the_same(kind, done):
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    source = Looped(loader(kind))
    for _ in range(done):
        source.next()
    state = source.state()
    kept = torch.get_rng_state(), random.getstate(), np.random.get_state()
    wanted = [flat(source.next()) for _ in range(6)]
    torch.manual_seed(9), random.seed(9), np.random.seed(9)
    other = Looped(loader(kind))
    other.load_state(state)
    torch.set_rng_state(kept[0]), random.setstate(kept[1]), np.random.set_state(kept[2])  # as a tuner does, last
    assert [flat(other.next()) for _ in range(6)] == wanted


@pytest.mark.parametrize("kind", ["global generators", "own generator", "persistent workers"])
def test_an_evaluation_in_the_middle_of_an_epoch_changes_no_batch(kind):
    def batches(evaluate):
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        source, found = Looped(loader(kind)), []
        for _ in range(9):
            found.append(flat(source.next()))
            if evaluate:
                assert len(list(source.once())) == 6
        return found

    assert batches(True) == batches(False)


def test_length_and_what_cannot_be_looped():
    assert len(Looped(loader("global generators"))) == 6
    with pytest.raises(UserError, match="a generator can be read only once"):
        Looped(x for x in [1, 2])
    with pytest.raises(UserError, match="gave no batch"):
        Looped([]).next()
