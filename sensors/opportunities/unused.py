"""Finds private functions and methods whose names occur nowhere else in a tree. Pure.

A name counts as used when it occurs anywhere else in the tree as a whole word: in code, in a string, in ``__all__``, in
a test, a page or a configuration file. When in doubt, it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from sensors.python_source.census import SourceTree
from sensors.python_source.duplicates import Place, functions_of
from sensors.python_source.modules import Class, Defined, Module
from sensors.python_source.syntax import is_own_python, is_test

PLAIN: Final = frozenset({"staticmethod", "classmethod", "property", "cached_property", "cache", "lru_cache"})
ROOTS: Final = frozenset({"object", "ABC", "Generic"})


def find_unused(tree: SourceTree) -> dict[Place, Defined]:
    """The unused private functions by path and qualified name; empty when the tree does not allow a decision."""
    modules = dict(tree.modules())
    unread = any(path not in modules and is_own_python(path) and not is_test(path) for path in tree.files)
    if tree.partial or unread or any(module.composed for module in modules.values()):
        return {}
    words = Counter[str]()
    for facts in tree.files.values():
        words.update(facts.words)
    pieces = frozenset(piece for module in modules.values() for piece in module.pieces)
    classes = _classes(modules.values())
    return {
        (path, name): function
        for (path, name), function in functions_of(tree)
        if _is_candidate(function, modules[path], classes)
        and not _is_mentioned(function, name, words)
        and not _may_be_concatenated(short_name(name), pieces)
    }


def short_name(name: str) -> str:
    """The last part of a qualified name: ``name`` of ``Class.name``."""
    return name.rpartition(".")[2]


def _classes(modules: Iterable[Module]) -> dict[str, list[Class]]:
    found: dict[str, list[Class]] = {}
    for module in modules:
        for name, each in module.classes.items():
            found.setdefault(short_name(name), []).append(each)
    return found


def _is_candidate(function: Defined, module: Module, classes: dict[str, list[Class]]) -> bool:
    name = short_name(function.name)
    if not name.startswith("_") or name.endswith("_") or not PLAIN.issuperset(function.decorators):
        return False
    owner = function.name.rpartition(".")[0]
    return not owner or (owner in module.classes and _is_defined_here(module.classes[owner], classes, frozenset()))


def _is_defined_here(found: Class, classes: dict[str, list[Class]], above: frozenset[str]) -> bool:
    """Whether a class and all its bases are defined in this tree: no code outside can call its private methods."""
    if not found.plain:
        return False
    for base in found.bases:
        if base in ROOTS:
            continue
        if base in above or base not in classes:
            return False
        if not all(_is_defined_here(each, classes, above | {base}) for each in classes[base]):
            return False
    return True


def _is_mentioned(function: Defined, name: str, words: Counter[str]) -> bool:
    own = short_name(name)
    if words[own] > 1:
        return True
    owner = name.rpartition(".")[0].rpartition(".")[2].lstrip("_")
    return own.startswith("__") and words[f"_{owner}{own}"] > 0


def _may_be_concatenated(name: str, pieces: frozenset[str]) -> bool:
    """Whether a string of the tree begins or ends a name: code may build the name from it."""
    cuts = (at for at in range(1, len(name)))
    return any(name[:at] in pieces or name[at:] in pieces for at in cuts)
