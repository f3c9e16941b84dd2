"""What tests need data sets; run directories of deep that several figure tests read, written once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # a busy machine is no fault of an example
settings.load_profile("busy")

SEEDS = (7, 8, 9)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `data` need a folder of real data sets."""
    if item.get_closest_marker("data") and not os.environ.get("HYPEROPT_HN_DATA"):
        pytest.skip("HYPEROPT_HN_DATA names no folder")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """CNN runs, a root for each seed; to be left as they are."""
    from tests.reference.synthetic_deep import write_deep

    parent = tmp_path_factory.mktemp("images")
    return [write_deep(parent, seed=seed) for seed in SEEDS]


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Language model runs, a root for each seed; to be left as they are."""
    from tests.reference.synthetic_deep import write_deep

    parent = tmp_path_factory.mktemp("texts")
    return [write_deep(parent, data="ptb", seed=seed) for seed in SEEDS]


@pytest.fixture
def root(images: list[Path], tmp_path: Path) -> Path:
    """A copy of the first CNN root, to spoil."""
    return Path(shutil.copytree(images[0], tmp_path / images[0].name))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread, as in the processes that a test compares itself with: sums depend on how many there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
