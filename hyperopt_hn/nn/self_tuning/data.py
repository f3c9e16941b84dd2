"""Data of any usual kind as a source of batches on the model's device: tensors, arrays, a Dataset, a DataLoader."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_collate

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.setup.batches import Batch, Batches, Source
from hyperopt_hn.nn.setup.looped import Looped

Data = Any
"""Tensors or numpy arrays (one, a tuple or a dict), a Dataset, a DataLoader, a list of batches, or a Source."""


class NoData:
    """In place of data that were not given yet: a custom loop passes its batches to the steps.

    `empty`: a pass over it is one over no batch, instead of an error.
    """

    def __init__(self, split: str, empty: bool = False) -> None:
        self.split, self.empty = split, empty

    def next(self) -> Batch:
        """Raises UserError: there is none."""
        raise UserError(f"there are no {self.split} data yet: pass a batch to the step, or call fit(train, valid)")

    def once(self) -> Iterable[Batch]:
        """No batch if `empty`; else raises UserError: there is none."""
        return [] if self.empty else [self.next()]

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""


class OnDevice:
    """Another source's batches, arrays as tensors, on the model's device; a copy has a position of its own."""

    def __init__(self, source: Source, place: Callable[[Batch], Batch]) -> None:
        self.source, self.place = source, place

    def __copy__(self) -> OnDevice:
        return OnDevice(copy.copy(self.source), self.place)

    def next(self) -> Batch:
        """The next batch, for ever."""
        return self.place(self.source.next())

    def once(self) -> Iterator[Batch]:
        """This rank's share of all rows, each once."""
        return map(self.place, self.source.once())

    def state(self) -> dict[str, Any]:
        """The source's."""
        return self.source.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.source.load_state(state)


def as_source(data: Data, split: str, model: nn.Module, size: int, seed: int) -> Source:
    """`data` as batches of `size` rows, shuffled with `seed`, on the model's device; loaders keep their own order.

    Floating numpy arrays take the model's dtype, whole numbers int64. Raises UserError naming the split for what is
    no data.
    """
    try:
        return OnDevice(_source(data, model, size, seed), lambda batch: placed(batch, model))
    except UserError as error:
        raise UserError(f"{split}: {error}") from None


def epoch_of(source: Source) -> int | None:
    """Batches in an epoch, None where the source does not know."""
    inner = source.source if isinstance(source, OnDevice) else source
    try:
        return len(inner)  # type: ignore[arg-type]
    except TypeError:
        return None


def rows_in(data: Data) -> int | None:
    """How many examples there are, where that is known without reading them; for the run's record."""
    if isinstance(data, DataLoader):
        data = data.dataset
    if isinstance(data, Mapping):
        data = list(data.values())
    first = data[0] if isinstance(data, (tuple, list)) and data and _is_column(data[0]) else data
    try:
        return len(first)
    except TypeError:
        return None


def placed(batch: Batch, model: nn.Module) -> Batch:
    """The batch with its arrays as tensors and its tensors on the model's device; strings and the like stay."""
    parameter = next(p for p in model.parameters() if p.is_floating_point())

    def leaf(part: Any) -> Any:
        if isinstance(part, np.ndarray) and part.dtype.kind in "fiub":
            part = as_tensor(part, parameter.dtype)
        return part.to(parameter.device, non_blocking=True) if _moves(part) else part

    return tree_map(leaf, batch, is_leaf=_moves)


def as_tensor(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    """A numpy array in the model's floating dtype, int64 or bool. Raises UserError for anything but numbers."""
    kind = array.dtype.kind
    if kind not in "fiub":
        raise UserError(f"an array of dtype {array.dtype} holds no numbers; encode it (strings as whole numbers) first")
    tensor = torch.as_tensor(np.ascontiguousarray(array))
    return tensor.to(dtype) if kind == "f" else tensor if kind == "b" else tensor.long()


def _source(data: Data, model: nn.Module, size: int, seed: int) -> Source:
    if isinstance(data, Source):
        return data
    if isinstance(data, DataLoader):
        return Looped(data)
    if isinstance(data, TensorDataset):
        return _columns(list(data.tensors), tuple, model, size, seed)
    if isinstance(data, IterableDataset):
        return Looped(DataLoader(data, size))
    if isinstance(data, Dataset):
        return _rows(data, size, seed)
    if _is_column(data):
        return _columns([data], lambda parts: parts[0], model, size, seed)
    if isinstance(data, Mapping) and data and all(map(_is_column, data.values())):
        return _columns(list(data.values()), lambda parts: dict(zip(data, parts, strict=True)), model, size, seed)
    if isinstance(data, (tuple, list)) and any(map(_is_column, data)):
        if odd := [type(part).__name__ for part in data if not _is_column(part)]:
            raise UserError(f"a {odd[0]} is among arrays; make it an array too: numpy.asarray(...)")
        return _columns(list(data), tuple, model, size, seed)
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)):
        return Looped(data)
    raise UserError(
        f"a {type(data).__name__} is no data; give tensors or numpy arrays (x, y), a Dataset, a DataLoader or a Source"
    )


def _columns(
    parts: list[Any], build: Callable[[list[Tensor]], Batch], model: nn.Module, size: int, seed: int
) -> Batches:
    dtype = next(p.dtype for p in model.parameters() if p.is_floating_point())
    tensors = [part if isinstance(part, Tensor) else as_tensor(np.asarray(part), dtype) for part in parts]
    lengths = {len(tensor) for tensor in tensors}
    if len(lengths) != 1:
        raise UserError(f"columns of {sorted(lengths)} rows do not belong together; give one row per example in each")
    rows = lengths.pop()

    def fetch(index: Tensor) -> Batch:
        return build([tensor[index.to(tensor.device)] for tensor in tensors])

    return Batches(rows, fetch, _fitting(size, rows), seed)


def _rows(data: Dataset[Any], size: int, seed: int) -> Batches:
    try:
        rows = len(data)  # type: ignore[arg-type]
    except TypeError:
        raise UserError(f"a {type(data).__name__} has no __len__; give a DataLoader of it") from None
    return Batches(rows, lambda index: default_collate([data[i] for i in index.tolist()]), _fitting(size, rows), seed)


def _fitting(size: int, rows: int) -> int:
    if rows < distributed.world():
        raise UserError(f"{rows} rows cannot serve {distributed.world()} process(es); give data")
    return min(size, rows // distributed.world())


def _is_column(part: Any) -> bool:
    return hasattr(part, "__array__") and getattr(part, "ndim", 0) > 0  # tensors, numpy arrays, pandas' tables


def _moves(part: Any) -> bool:
    """Tensors, packed sequences, graphs and the like: whatever has a method `to`."""
    return callable(getattr(part, "to", None)) and not isinstance(part, type)
