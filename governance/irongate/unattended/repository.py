"""What the rest of the repository says of the names that a change uses anew. Pure: files are handed in as bytes.

Three kinds of questions, as text: ``module:name`` (is it imported or defined elsewhere, in what is no test, and
loaded without acting?), ``.name`` (is the attribute used elsewhere?), ``!name`` (does a function of this name act?).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator

from governance.irongate.paths import is_test_path
from governance.irongate.syntax import parse
from governance.irongate.unattended import effects
from governance.irongate.unattended.names import absolute, absolute_of, imported, imports, top_level

MOST_FILES, DEEPEST = 40, 4
"""Files that are read for one question, and how far a name is followed; what lies beyond counts as acting."""


class Elsewhere:
    """The sources of a repository (tests apart) as they answer questions."""

    def __init__(self, files: Iterable[tuple[str, bytes]]) -> None:
        self._files = {path: data for path, data in files if not is_test_path(path)}
        self._trees: dict[str, ast.Module | None] = {}
        self._acting: dict[str, dict[str, str]] = {}

    def answers(self, wanted: Collection[str]) -> frozenset[str]:
        """Those of the questions to which the answer is yes."""
        found = {one for one in wanted if one[0] == "!" and self.acts(one[1:])}
        found |= {one for one in wanted if one[0] == "?" and not self._defines(one.rpartition(".")[2].lstrip("?"))}
        dots = [one for one in wanted if one[0] == "."]
        found |= {one for one in dots if self._uses(one[1:])}
        asked = [one for one in wanted if one[0] not in "!?."]
        return frozenset(found | self._imported(asked))

    def _defines(self, name: str) -> bool:
        word = re.escape(name.encode())
        shape = re.compile(rb"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+%s\b|^%s[ \t]*[:=]" % (word, word), re.M)
        return any(shape.search(data) for data in self._files.values())

    def _uses(self, name: str) -> bool:
        shape = re.compile(rb"(?:\.|\bdef |\bclass )%s\b" % re.escape(name.encode()))
        return any(shape.search(data) for data in self._files.values())

    def _imported(self, wanted: Collection[str]) -> set[str]:
        """Imports that stand elsewhere, or name what a file defines, where loading that module does not act."""
        found: set[str] = set()
        words = {one: one.rpartition(":")[2].rpartition(".")[2].encode() for one in wanted}
        for path, data in self._files.items():
            left = {one for one, word in words.items() if one not in found and word in data}
            tree = self._tree(path) if left else None
            if tree is not None:
                said = {
                    f"{absolute(path, one.partition(':')[0])}{''.join(one.partition(':')[1:])}"
                    for one in imported(tree)
                }
                found |= left & (said | {f"{absolute_of(path)}:{name}" for name in top_level(tree)})
                found |= {one for one in left if any(self._is(one, path, name) for name in top_level(tree))}
        return {one for one in found if not self.loads(one.partition(":")[0])}

    def _is(self, asked: str, path: str, name: str) -> bool:
        module, _, wanted = asked.partition(":")
        return wanted == name and path in self._paths(module)

    def _paths(self, module: str) -> list[str]:
        """The files that a module may be: by the end of their path."""
        tail = module.replace(".", "/")
        ends = (f"{tail}.py", f"{tail}/__init__.py")
        return [path for path in self._files if any(path == end or path.endswith(f"/{end}") for end in ends)]

    def loads(self, module: str, depth: int = 0, seen: frozenset[str] = frozenset()) -> bool:
        """Whether loading a module of the repository acts; a module that is none of its files does not count."""
        for path in self._paths(module):
            tree = self._tree(path)
            if tree is None or depth > DEEPEST:
                return True
            if path in seen:
                continue
            names, acting = imports(tree), self._acting_in(path)
            for node in _at_load(tree):
                does = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
                if does or effects.act(node, names) or acting.keys() & set(effects.called([node])):
                    return True
            inner = {absolute(path, one.partition(":")[0]) for one in imported(tree)}
            if any(self.loads(one, depth + 1, seen | {path}) for one in inner if one != module):
                return True
        return False

    def acts(self, name: str, depth: int = 0, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a function or class of this name, in any source, acts: by itself or by what it calls."""
        shape = re.compile(rb"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+%s\b" % re.escape(name.encode()), re.M)
        defining = [path for path, data in self._files.items() if shape.search(data)]
        if len(defining) > MOST_FILES or depth > DEEPEST:
            return True
        return any(self._acts_in(path, name, depth, seen | {name}) for path in defining)

    def _acts_in(self, path: str, name: str, depth: int, seen: frozenset[str]) -> bool:
        tree = self._tree(path)
        if tree is None:
            return True
        if name in self._acting_in(path):
            return True
        names = imports(tree)
        for node in _named(tree, name):
            called = set(effects.called([node])) & names.keys()
            for one in called - seen:
                last = names[one].rpartition(".")[2]
                if last not in seen and self.acts(last, depth + 1, seen | {one}):
                    return True
        return False

    def _acting_in(self, path: str) -> dict[str, str]:
        if path not in self._acting:
            tree = self._tree(path)
            found = effects.acting(tree, imports(tree)) if tree is not None else {}
            self._acting[path] = found | _classes(tree, found) if tree is not None else {}
        return self._acting[path]

    def _tree(self, path: str) -> ast.Module | None:
        if path not in self._trees:
            self._trees[path] = parse(self._files[path])
        return self._trees[path]


def _absolute(path: str, said: str) -> str:
    module, dot, name = said.partition(":")
    return f"{absolute(path, module)}{dot}{name}"


def _classes(tree: ast.Module, acting: Collection[str]) -> dict[str, str]:
    """Classes that act when they are made: by their constructors."""
    makers = ("__init__", "__new__", "__call__", "__post_init__")
    return {
        node.name: f"{inner.name}()"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, ast.FunctionDef) and inner.name in makers and inner.name in acting
    }


def _named(tree: ast.Module, name: str) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            yield node


def _at_load(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs when a module is loaded: its statements and those of its classes, but for a main guard's."""
    left: list[ast.AST] = list(tree.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from node.decorator_list
        elif isinstance(node, ast.ClassDef):
            left += [*node.body, *node.decorator_list]
        elif isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            continue
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            yield node
