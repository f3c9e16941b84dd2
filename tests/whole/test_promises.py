"""docs/promises.md names tests that exist."""

import re

import pytest

from tests.support.paths import ROOT

NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "docs" / "promises.md").read_text())


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_promise_has_its_test(file, test):
    assert f"def {test}(" in (ROOT / file).read_text()


def test_no_promise_is_without_one():
    rows = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert rows and all("::test_" in row for row in rows)
