"""The language of expressions in simulated histories."""

from typing import Final

from wsaios.expressions import Cel

LANGUAGE: Final = Cel()
