"""The small run that several of these tests disturb."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaigns import points
from tests.campaigns.apparatus.layer import built
from tests.campaigns.points import Disturbed


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    if built() is None:
        pytest.skip("the layer needs Linux and a C compiler")
    with points.disturbed("toy", tmp_path_factory.mktemp("toy")) as run:
        yield run
