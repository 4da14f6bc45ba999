"""The repository's type checker: configuration found, complaints compared without line numbers."""

from __future__ import annotations

import pytest

from tools.testing.typecheck import complaints, configures_mypy

OUTPUT = """shop/cart.py:12: error: Incompatible return value type (got "str", expected "int")  [return-value]
./shop/cart.py:30:5: error: Name "x" is not defined  [name-defined]
shop/other.py:1: error: Something else  [misc]
shop/cart.py:31: note: a note
"""


@pytest.mark.parametrize(
    ("name", "content", "configured"),
    [
        ("pyproject.toml", b"[tool.mypy]\nstrict = true\n", True),
        ("pyproject.toml", b"[tool.ruff]\n", False),
        ("pyproject.toml", b"[broken", False),
        ("mypy.ini", b"", True),
        ("setup.cfg", b"[mypy]\n", True),
        ("setup.cfg", b"[flake8]\n", False),
        ("setup.cfg", b"\xff broken", False),
    ],
)
def test_configuration(name: str, content: bytes, configured: bool) -> None:
    assert configures_mypy(name, content) is configured


def test_complaints_of_the_changed_files_only() -> None:
    found = complaints(OUTPUT, {"shop/cart.py"})
    assert len(found) == 2
    assert not any(":12" in text or "note" in text for text in found)
