"""Which functions of a repository are closed: they and all that they call reach nothing outside of the program. Pure.

A question is a text: ``path|scope|callee`` as it is written there (``self.total``, ``parse``, ``Item``). The answer is
yes only where every function that the name may mean is known, and each is closed. What cannot be followed is open.
``+path|target`` and ``-path|target`` ask whether an import is of a name that the repository
defines, or that is defined nowhere.
``path||.name`` asks whether objects of the repository hold plain values under an attribute. ``~path|scope|callee`` asks
for less: whether nothing is found that acts, where what cannot be followed is not held against it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from itertools import islice

from governance.irongate.paths import is_test_path
from governance.irongate.syntax import parse
from governance.irongate.tables import word_list, word_set
from governance.irongate.unattended.calls import callee_of, handed_values, is_open_itself, is_plain
from governance.irongate.unattended.flow import given_names, names_changed_by
from governance.irongate.unattended.names import NameKind, Names, chain, module_of
from governance.irongate.unattended.tables import (
    ACTING_METHODS,
    BUILTINS,
    INERT_MODULES,
    LOGGER_METHODS,
    LOGGER_NAMES,
    MODULES,
    NAMES,
    PURE_MODULES,
)
from governance.irongate.unattended.units import Function, functions

DEEPEST, MOST_STEPS, MOST_MEANT, MOST_ASKED = 8, 1000, 12, 300
"""How far calls are followed, how many functions are read, how many a name may mean, how many questions are read."""
HARMLESS_MARKS = word_set(
    """
    staticmethod classmethod property functools.wraps abc.abstractmethod contextlib.contextmanager typing.overload
    functools.lru_cache functools.cached_property functools.cache
    """
)
CLOSED_BASES = word_set(
    """
    abc.ABC typing.Generic typing.Protocol typing.NamedTuple enum.Enum enum.IntEnum enum.StrEnum object str int
    float tuple list dict set frozenset collections.abc.Mapping collections.abc.Sequence collections.OrderedDict
    datetime.tzinfo
    """
)
CLOSED_MARKS = frozenset({"dataclasses.dataclass", "enum.unique", "functools.total_ordering", "typing.final"})
PROPERTIES = frozenset({"property", "functools.cached_property"})
DEFINES = re.compile(rb"\bdef[ \t]+(\w+)")
GIVES = re.compile(rb"\bself\.(\w+)[ \t]*[:=]|^[ \t]+(\w+)[ \t]*[:=]", re.M)
MADE_BY = word_list(
    """
    __new__ __init__ __post_init__ __del__ __setattr__ __getattribute__ __getattr__ __call__ __init_subclass__
    """
)
ASKING = word_set("getattr hasattr iter next type super id print vars locals hash format")
"""Builtins beside the listed ones that do not act by themselves."""


class OtherFiles:
    """The sources of a repository (tests apart) as they answer questions."""

    def __init__(self, files: Iterable[tuple[str, bytes]]) -> None:
        self._files = {path: data for path, data in files if not is_test_path(path)}
        self._read_files: dict[str, ModuleSource | None] = {}
        self._known: dict[tuple[str, str, bool], bool] = {}
        self._steps, self._is_mild = 0, False

    def answers(self, wanted: Collection[str]) -> frozenset[str]:
        """Those of the questions to which the answer is yes."""
        found = set[str]()
        for one in sorted(wanted)[:MOST_ASKED]:
            if one[0] in "+-":
                path, target = one[1:].split("|", 1)
                found |= {one} if self._defines(path, target) is (one[0] == "+") else set()
                continue
            path, scope, callee = one.removeprefix("~").split("|", 2)
            self._is_mild = one.startswith("~")
            if callee.startswith(".") and not scope:
                found |= {one} if self._is_field(callee[1:]) else set()
            elif self._read(path) is not None and self._closed_call(path, scope, callee, 0):
                found.add(one)
        return frozenset(found)

    def _defines(self, path: str, target: str) -> bool | None:
        """Whether an import is of a name that the repository's own code defines. None: unknown."""
        whole = module_of(path, target)
        module, _, name = whole.rpartition(".")
        if self._paths(whole):
            return True
        places = self._paths(module)
        for place in places:
            read = self._read(place)
            if read is None or read.names.is_bound("", name) or read.names.is_bound("", "*"):
                return True if read is not None and read.names.is_bound("", name) else None
        top = whole.partition(".")[0]
        if places or (not target.startswith(".") and top not in sys.stdlib_module_names):
            return False
        return None

    def _is_field(self, name: str) -> bool:
        """Whether objects are given an attribute of this name, and no function has it but closed ones."""
        methods = list(self._everywhere(name))
        is_given = name.encode() in self._given
        return (is_given or bool(methods)) and all(self._is_property(*one) for one in methods)

    def _is_property(self, path: str, qualified: str) -> bool:
        read = self._read(path)
        if read is None:
            return False
        nodes = self._find(path, qualified)
        marks = [_said(mark, read.names, "") for node in nodes for mark in getattr(node, "decorator_list", ())]
        return bool(marks) and all(one in PROPERTIES for one in marks) and self._closed(path, qualified, 0)

    def _closed_call(self, path: str, scope: str, callee: str, depth: int) -> bool:
        meant = list(islice(self._meant(path, scope, callee), MOST_MEANT + 1))
        if not meant and self._is_mild:
            return not self._seems_to_act(path, scope, callee)
        is_few = self._is_mild or 0 < len(meant) <= MOST_MEANT
        return is_few and all(self._closed(*one, depth) for one in meant)

    def _seems_to_act(self, path: str, scope: str, callee: str) -> bool:
        """Whether what the repository does not define acts by its name."""
        read = self._read(path)
        root, _, last = callee.rpartition(".")
        if read is None or last in ACTING_METHODS or not read.acting.isdisjoint((callee, last, f"self.{last}")):
            return True
        first = callee.partition(".")[0]
        kind, target = read.names.meaning(scope, first)
        if kind is NameKind.IMPORT:
            return not is_plain(".".join([target, *callee.split(".")[1:]]), INERT_MODULES)
        is_builtin = kind is NameKind.BUILTIN and last not in BUILTINS | ASKING
        return not root and (is_builtin or kind is NameKind.UNKNOWN)

    def _meant(self, path: str, scope: str, callee: str) -> Iterator[tuple[str, str]]:
        """The functions and classes (path and qualified name) that a callee may be; none where that is not known."""
        read = self._read(path)
        if read is None:
            return
        names = read.names
        root, *rest = callee.split(".")
        if root in ("self", "cls", "super()") and len(rest) == 1:
            if rest[0] not in ACTING_METHODS or (
                root == "self" and f"{scope.rpartition('.')[0]}.{rest[0]}" in read.functions
            ):
                yield from self._everywhere(rest[0])
            return
        meaning = names.meaning(scope, root)
        is_nameless = not root and self._is_mild
        if is_nameless or (rest and root in ("self", "cls")) or meaning.kind in (NameKind.LOCAL, NameKind.VALUE):
            if rest and rest[-1] not in ACTING_METHODS:
                yield from self._everywhere(rest[-1])
            elif self._is_mild and meaning.kind is NameKind.VALUE:
                yield from self._everywhere("__call__")
            return
        if meaning.kind in (NameKind.FUNCTION, NameKind.CLASS) and len(rest) <= (meaning.kind is NameKind.CLASS):
            around = scope.split(".") if scope else []
            for at in range(len(around), -1, -1):
                qualified = ".".join([*around[:at], callee])
                if self._find(path, qualified):
                    yield path, qualified
                    return
        elif meaning.kind is NameKind.IMPORT:
            yield from self._imported(path, ".".join([meaning.target, *rest]), 0)

    def _everywhere(self, name: str) -> Iterator[tuple[str, str]]:
        """Every method of this name: an object's class is not known."""
        for path in self._defined_in(name):
            read = self._read(path)
            if read is None:
                yield path, ""
                continue
            for one in read.functions:
                if one.endswith(f".{name}"):
                    yield path, one if self._is_bound_once(path, one) else ""

    def _is_bound_once(self, path: str, qualified: str) -> bool:
        """Whether a name is defined once and never assigned again, as a name or as an attribute."""
        read = self._read(path)
        outer, _, name = qualified.rpartition(".")
        kind = read.names.meaning(outer, name).kind if read is not None else NameKind.UNKNOWN
        return kind in (NameKind.FUNCTION, NameKind.CLASS) and (not outer or name.encode() not in self._given)

    def _imported(self, path: str, target: str, depth: int) -> Iterator[tuple[str, str]]:
        module, _, name = module_of(path, target).rpartition(".")
        for place in self._paths(module):
            if (read := self._read(place)) is None or read.names.is_bound("", "*"):
                yield place, ""
            elif self._find(place, name) and self._is_bound_once(place, name):
                yield place, name
            elif depth < DEEPEST and (read := self._read(place)) is not None:
                further = read.names.meaning("", name)
                if further.kind is NameKind.IMPORT:
                    yield from self._imported(place, further.target, depth + 1)

    def _paths(self, module: str) -> list[str]:
        """The files that a module may be: by the end of their path."""
        tail = module.replace(".", "/")
        ends = (f"{tail}.py", f"{tail}/__init__.py")
        near = self._stems.get(tail.rpartition("/")[2], ())
        return [path for path in near if any(path == end or path.endswith(f"/{end}") for end in ends)]

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        """Paths by the last word of the module that they are."""
        found: dict[str, list[str]] = {}
        for path in self._files:
            stem = path.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]
            found.setdefault(stem, []).append(path)
        return found

    def _find(self, path: str, qualified: str) -> list[ast.AST]:
        read = self._read(path)
        return [] if read is None else [*read.functions.get(qualified, ()), *_classes(read.tree, qualified)]

    def _closed(self, path: str, qualified: str, depth: int) -> bool:
        key = (path, qualified, self._is_mild)
        if key not in self._known:
            self._steps += 1
            if depth > DEEPEST or self._steps > MOST_STEPS:
                return False
            self._known[key] = True  # a circle is closed where all else in it is
            nodes = self._find(path, qualified)
            is_closed = all(self._closed_node(path, qualified, node, depth) for node in nodes)
            is_closed = is_closed and (self._is_mild or bool(nodes))
            if not is_closed:  # functions that depend on it are judged again
                for each in list(self._known)[list(self._known).index(key) :]:
                    del self._known[each]
                self._known[key] = False
                return False
        return self._known[key]

    def _closed_node(self, path: str, qualified: str, node: ast.AST, depth: int) -> bool:
        read = self._read(path)
        if read is None:
            return False
        names = read.names
        outer = qualified.rpartition(".")[0]
        if isinstance(node, ast.ClassDef):
            return self._closed_class(path, qualified, node, names, depth)
        if isinstance(node, ast.AsyncFunctionDef) and not self._is_mild:
            return False
        marks = [one.func if isinstance(one, ast.Call) else one for one in getattr(node, "decorator_list", ())]
        odd = [one for one in marks if _said(one, names, outer) not in HARMLESS_MARKS and not _is_part(one)]
        if odd and not self._is_mild:
            return False
        raised = {id(one.exc) for one in ast.walk(node) if isinstance(one, ast.Raise)}
        called = {id(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
        outside = {id(inner) for mark in getattr(node, "decorator_list", ()) for inner in ast.walk(mark)}
        for one in ast.walk(node):
            if id(one) in outside:
                continue
            if isinstance(one, ast.With | ast.AsyncWith | ast.Await | ast.AsyncFor) and not self._is_mild:
                return False
            if isinstance(one, ast.Global | ast.Nonlocal) and not self._is_mild:
                return False
            if isinstance(one, ast.Import | ast.ImportFrom) and not (self._is_mild or self._harmless(path, one)):
                return False
            if _hands_on(one, names, qualified, called, INERT_MODULES if self._is_mild else PURE_MODULES):
                return False
            if isinstance(one, ast.Call) and id(one) not in raised and names_changed_by(one) is None:
                if not all(
                    self._closed_call(path, qualified, chain(f), depth + 1)
                    for f in handed_values(one, names, qualified)
                ):
                    return False
                if self._is_plain(one, names, qualified) or not is_open_itself(one, names, qualified):
                    continue
                if not self._closed_call(path, qualified, callee_of(one), depth + 1):
                    return False
        return True

    def _is_plain(self, call: ast.Call, names: Names, scope: str) -> bool:
        """Calls of what a function is handed, of plain standard modules, and output to a person."""
        if isinstance(call.func, ast.Name):
            kind, target = names.meaning(scope, call.func.id)
            is_told = kind is NameKind.BUILTIN and target == "print" and not call.keywords
            return is_told or is_plain(names.dotted(scope, call.func))
        dotted = names.dotted(scope, call.func)
        if dotted:
            return is_plain(dotted)
        on = call.func.value if isinstance(call.func, ast.Attribute) else call.func
        is_log = (
            isinstance(on, ast.Name) and on.id in LOGGER_NAMES and names.meaning(scope, on.id).kind is NameKind.VALUE
        )
        return is_log and isinstance(call.func, ast.Attribute) and call.func.attr in LOGGER_METHODS

    def _closed_class(self, path: str, qualified: str, node: ast.ClassDef, names: Names, depth: int) -> bool:
        outer = qualified.rpartition(".")[0]
        marks = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
        odd = [one for one in marks if _said(one, names, outer) not in CLOSED_MARKS]
        if (node.keywords or odd) and not self._is_mild:
            return False
        for base in node.bases:
            said = _said(base.value if isinstance(base, ast.Subscript) else base, names, outer)
            is_error = said.endswith(("Error", "Exception", "Warning")) and "." not in said
            if said not in CLOSED_BASES and not is_error and not self._closed_call(path, outer, chain(base), depth + 1):
                return False
        made = [one.name for one in node.body if isinstance(one, Function) and one.name in MADE_BY]
        return all(self._closed(path, f"{qualified}.{name}", depth + 1) for name in made)

    def _harmless(self, path: str, node: ast.Import | ast.ImportFrom) -> bool:
        """Whether an import inside of a function is of the listed names; the repository's modules are not loaded."""
        if isinstance(node, ast.Import):
            return all(alias.name in MODULES for alias in node.names)
        return not node.level and all(f"{node.module}.{alias.name}" in NAMES for alias in node.names)

    def _defined_in(self, name: str) -> list[str]:
        return self._defining.get(name.encode(), [])

    @cached_property
    def _defining(self) -> dict[bytes, list[str]]:
        """Paths by the names of the functions that are defined in them."""
        found: dict[bytes, list[str]] = {}
        for path, data in self._files.items():
            for name in set(DEFINES.findall(data)):
                found.setdefault(name, []).append(path)
        return found

    @cached_property
    def _given(self) -> frozenset[bytes]:
        """Attributes that objects or classes are given."""
        return frozenset(name for data in self._files.values() for pair in GIVES.findall(data) for name in pair)

    def _read(self, path: str) -> ModuleSource | None:
        if path not in self._read_files:
            tree = parse(self._files[path]) if path in self._files else None
            self._read_files[path] = ModuleSource(tree) if tree is not None else None
        return self._read_files[path]


class ModuleSource:
    """One file: its tree, its names, its functions by qualified name."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree, self.names = tree, Names(tree)
        self.functions: dict[str, list[ast.AST]] = {}
        for name, node in functions(tree):
            self.functions.setdefault(name, []).append(node)

    @cached_property
    def acting(self) -> frozenset[str]:
        """Names and attributes, as written, that somewhere in the file are given what acts: an alias, a partial."""
        found = set[str]()
        scopes: list[tuple[str, list[ast.AST]]] = [("", [self.tree]), *self.functions.items()]
        for scope, tops in scopes:
            for name, value in (pair for top in tops for node in ast.walk(top) for pair in given_names(node)):
                parts = list(ast.walk(value)) if value is not None and name not in found else []
                called = {id(part.func) for part in parts if isinstance(part, ast.Call)}
                if any(_hands_on(part, self.names, scope, called, INERT_MODULES) for part in parts):
                    found.add(name)
        return frozenset(found)


def _classes(tree: ast.Module, qualified: str) -> list[ast.AST]:
    body: list[ast.stmt] = tree.body
    found: list[ast.AST] = []
    for part in qualified.split("."):
        found = [node for node in body if isinstance(node, ast.ClassDef) and node.name == part]
        body = [step for node in found if isinstance(node, ast.ClassDef) for step in node.body]
    return found


def _said(node: ast.AST, names: Names, scope: str) -> str:
    return names.dotted(scope, node) or chain(node)


def _is_part(node: ast.AST) -> bool:
    """``@name.setter`` and its like."""
    return isinstance(node, ast.Attribute) and node.attr in ("setter", "getter", "deleter")


def _hands_on(node: ast.AST, names: Names, scope: str, called: Collection[int], plain: Collection[str]) -> bool:
    """Whether what reaches out of the program is spoken of without being called: a builtin or a standard name."""
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
        said = names.dotted(scope, node) if isinstance(node, ast.Attribute) else ""
    else:
        meaning = names.meaning(scope, node.id)
        if meaning.kind is NameKind.BUILTIN and id(node) not in called:
            return node.id not in BUILTINS and not node.id.endswith(("Error", "Exception", "Warning", "Iteration"))
        said = meaning.target if meaning.kind is NameKind.IMPORT else ""
    module = said.partition(".")[0]
    return module in sys.stdlib_module_names and module not in plain and said not in MODULES and said not in NAMES
