"""The real weights, for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsaios.inference.weights import minilm_folder
from wsaios.kernel.errors import MissingExtra


def required_weights() -> Path:
    """The folder of the weights; without them the test is skipped, and fails where CI=true."""
    try:
        return minilm_folder()
    except MissingExtra as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
