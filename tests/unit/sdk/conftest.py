"""One bench for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.sdk.batches import Bench, imports_as_before


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with imports_as_before():
        yield Bench(tmp_path)
