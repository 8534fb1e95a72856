"""Finding the function that ``module:function`` names."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsaios.kernel.errors import InvalidInput, UnknownHandler
from wsaios.sdk.handler_import import import_function


@pytest.fixture(autouse=True)
def _imports_as_before() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_modules_packages_and_attributes_are_found_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "pack_a").mkdir()
    (tmp_path / "pack_a" / "inner.py").write_text("class Tools:\n    @staticmethod\n    def one(x): return x\n")
    assert import_function("pack_a.inner:Tools.one", tmp_path)(3) == 3


def test_the_folder_comes_first(tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("def mine(): return 'mine'\n")
    sys.modules.pop("colorsys", None)
    assert import_function("colorsys:mine", tmp_path)() == "mine"


@pytest.mark.parametrize(
    "text", ["work", "work:", ":f", "work.f", "a b:f", "work:f:g", "work:f()", "./work.py:f", "work:1"]
)
def test_another_form_is_refused_with_an_example(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--handler: .*module:function, such as work:embed"):
        import_function(text, tmp_path)


def test_a_module_that_is_not_there_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UnknownHandler) as refused:
        import_function("not_here_at_all.inner:f", tmp_path)
    assert f"there is no module 'not_here_at_all' in {tmp_path}" in str(refused.value)


def test_a_missing_function_is_named_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "some_a.py").write_text("def first(): ...\ndef second(): ...\ndef _hidden(): ...\n")
    with pytest.raises(UnknownHandler, match=r"module 'some_a' has no 'third'; its functions are first, second$"):
        import_function("some_a:third", tmp_path)


@pytest.mark.parametrize(
    "code, last",
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def f(:", "SyntaxError: "),
    ],
)
def test_a_module_that_cannot_be_imported_shows_where_in_it(tmp_path: Path, code: str, last: str) -> None:
    (tmp_path / "some_b.py").write_text(f"x = 1\n{code}\n")
    with pytest.raises(UnknownHandler) as refused:
        import_function("some_b:f", tmp_path)
    said = str(refused.value)
    assert 'some_b.py", line 2' in said
    assert last in said.splitlines()[-1]
    assert "importlib" not in said
    assert "handler_import" not in said


def test_what_cannot_be_called_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some_c.py").write_text("TRIES = 3\n")
    with pytest.raises(UnknownHandler, match="TRIES in some_c is int"):
        import_function("some_c:TRIES", tmp_path)
