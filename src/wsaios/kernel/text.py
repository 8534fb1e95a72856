"""Text from outside that must be stored whatever is in it."""

from typing import Final

_CARRIES: Final = "utf-8"


def storable(text: str) -> str:
    r"""The text with lone surrogates, which UTF-8 cannot carry, written as escapes such as ``\\udce9``."""
    if text.isascii():
        return text
    return text.encode(_CARRIES, "backslashreplace").decode(_CARRIES)
