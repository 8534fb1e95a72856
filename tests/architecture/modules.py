"""Where the package lies and which modules it has, found without importing any."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"


def module_names(source: Path = SOURCE) -> list[str]:
    names = []
    for path in sorted((source / "wsaios").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names
