"""Names that a module or an object lacks, by the messages of failing tests. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

_IMPORT = re.compile(r"cannot import name '(?P<name>\w+)' from (?:[\w ]+ )?'(?P<module>[\w.]+)'")
_MODULE = re.compile(r"module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'")
_OBJECT = re.compile(r"(?:'(?P<kind>\w+)' object|type object '(?P<type>\w+)') has no attribute '(?P<name>\w+)'")


def modules_of(messages: Iterable[str]) -> frozenset[str]:
    """Dotted names of modules that lack a name."""
    return frozenset(m["module"] for message in messages for rule in (_IMPORT, _MODULE) for m in rule.finditer(message))


def classes_of(messages: Iterable[str]) -> frozenset[str]:
    """Names of classes whose objects, or which themselves, lack an attribute."""
    return frozenset(m["kind"] or m["type"] for message in messages for m in _OBJECT.finditer(message))


def missing_of(messages: Iterable[str]) -> frozenset[str]:
    """The missing names themselves."""
    rules = (_IMPORT, _MODULE, _OBJECT)
    return frozenset(m["name"] for message in messages for rule in rules for m in rule.finditer(message))


def files_of(module: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Those ``paths`` that may be the module, whichever folder is on the import path."""
    stem = module.replace(".", "/")
    ends = (f"/{stem}.py", f"/{stem}/__init__.py")
    return tuple(path for path in paths if f"/{path}".endswith(ends))


def definition_lines(tree: ast.Module) -> tuple[int, ...]:
    """Lines on which a module defines functions and classes."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return tuple(node.lineno for node in tree.body if isinstance(node, kinds))


def member_names(tree: ast.Module, classes: frozenset[str]) -> tuple[str, ...]:
    """Methods, class attributes and attributes of ``self`` in classes of these names."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in classes:
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.append(part.name)
                elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self":
                    found.append(part.attr)
                elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    found.append(part.id)
    return tuple(dict.fromkeys(found))
