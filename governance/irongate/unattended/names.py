"""What the names of a file mean: where they are bound, what is imported, which functions reach out of the program."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from governance.irongate.syntax import parse
from governance.irongate.unattended.tables import DENIED, HARMLESS, HARMLESS_NAMES, METHODS, RUNNERS, STATEFUL, words
from governance.irongate.unattended.units import Function, functions, units

REACHING = words(
    """
    subprocess socket socketserver ssl http urllib ftplib smtplib imaplib poplib telnetlib xmlrpc requests httpx aiohttp
    urllib3 websockets paramiko pexpect multiprocessing threading _thread asyncio concurrent pty ctypes cffi gc atexit
    signal builtins importlib runpy code codeop pdb bdb timeit cProfile profile trace tracemalloc faulthandler
    webbrowser sqlite3 pickle marshal shelve dill zipimport pkgutil pydoc site shutil tempfile mmap fcntl resource
    random secrets uuid time getpass platform pwd grp syslog logging.config logging.handlers psutil
    """
)
"""Modules that reach out of the program, or that no two runs find alike."""
OPENERS = frozenset({"open", "eval", "exec", "compile", "__import__", "input", "breakpoint"})
STDLIB = sys.stdlib_module_names
DUNDER = re.compile(r"__\w+__")


def alias_of(module: str, level: int, name: str) -> str:
    return f"{'.' * level}{module}.{name}" if module else f"{'.' * level}{name}"


def imports(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for; a relative import begins with its dots."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: alias_of(node.module or "", node.level, a.name) for a in node.names}
    return found


def imported(tree: ast.Module) -> Counter[str]:
    """Each import of a file as text: ``module`` or ``module:name``."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{'.' * node.level}{node.module or ''}:{alias.name}" for alias in node.names)
    return found


def stores(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that are bound in these nodes and all below them."""
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                yield node.id
            elif isinstance(node, ast.arg):
                yield node.arg
            elif isinstance(node, Function | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.alias):
                yield node.asname or node.name.partition(".")[0]
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                yield node.name
            elif isinstance(node, ast.MatchMapping) and node.rest:
                yield node.rest


def top_level(tree: ast.Module) -> frozenset[str]:
    """Names that a module binds outside of its functions and classes."""
    found: set[str] = set()
    left: list[ast.AST] = list(tree.body)
    while left:
        node = left.pop()
        if isinstance(node, Function | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            inner = [
                c for c in ast.iter_child_nodes(node) if isinstance(c, ast.stmt | ast.ExceptHandler | ast.match_case)
            ]
            left += inner
            found |= set(stores(c for c in ast.iter_child_nodes(node) if c not in inner))
            found |= {node.name} if isinstance(node, ast.ExceptHandler) and node.name else set()
    return frozenset(found)


def attributes(tree: ast.AST) -> frozenset[str]:
    """Attributes that a file uses or defines."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, Function | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(found)


def harmless(target: str) -> bool:
    """Whether a dotted name begins with one of the harmless modules' names."""
    parts = target.split(".")
    for at in range(len(parts) - 1, 0, -1):
        module, name = ".".join(parts[:at]), parts[at]
        if f"{module}.{name}" in HARMLESS_NAMES:
            return True
        public = not name.startswith("_") and name not in STDLIB and name not in ("getcontext", "setcontext")
        if f"{module}.*" in HARMLESS_NAMES and public:
            return True
    return False


def is_listed(target: str) -> bool:
    """Whether a dotted name is one of the harmless names itself."""
    module = target.rpartition(".")[0]
    return target in HARMLESS_NAMES or (f"{module}.*" in HARMLESS_NAMES and harmless(target))


def harmless_module(name: str) -> bool:
    """A module that may be imported as a whole: what is used of it is judged by name."""
    return name in HARMLESS or (any(module.startswith(f"{name}.") for module in HARMLESS) and name not in REACHING)


def reaches(target: str) -> bool:
    """Whether a dotted name lies in a module that reaches out of the program."""
    parts = target.lstrip(".").split(".")
    return any(".".join(parts[:at]) in REACHING for at in range(1, len(parts) + 1)) and not harmless(target)


@dataclass(frozen=True)
class Names:
    """The names of one file before and after. ``known``: what the repository uses elsewhere of what was asked for."""

    old: ast.Module
    new: ast.Module
    known: frozenset[str]

    @cached_property
    def imports(self) -> dict[str, str]:
        return imports(self.new)

    @cached_property
    def imported_before(self) -> Counter[str]:
        return imported(self.old)

    @cached_property
    def top(self) -> frozenset[str]:
        return top_level(self.new)

    @cached_property
    def top_before(self) -> frozenset[str]:
        return top_level(self.old)

    @cached_property
    def bound(self) -> frozenset[str]:
        return frozenset(stores([self.new]))

    @cached_property
    def bound_before(self) -> frozenset[str]:
        return frozenset(stores([self.old]))

    @cached_property
    def attributes(self) -> frozenset[str]:
        return attributes(self.old)

    @cached_property
    def chains(self) -> frozenset[str]:
        """Dotted names that the file used before, by what they stand for."""
        names = imports(self.old)
        return frozenset(
            said
            for node in ast.walk(self.old)
            if isinstance(node, ast.Attribute | ast.Name) and (said := dotted(node, names))
        )

    @cached_property
    def own(self) -> frozenset[str]:
        """Names of the functions of the file before, and of the classes and functions that these stand in."""
        return frozenset(part for name, _ in functions(self.old) for part in name.split("."))

    @cached_property
    def hazardous(self) -> frozenset[str]:
        """Functions of the file that reach out of the program, by themselves or through others of the file."""
        return self._through(is_sink)

    def _through(self, sink: Callable[[str], bool]) -> frozenset[str]:
        names = imports(self.old)
        uses = {name: frozenset(_mentions(node, names)) for name, node in functions(self.old)}
        last = {name: name.rpartition(".")[2] for name in uses}
        found = {last[name] for name, said in uses.items() if any(map(sink, said))}
        while True:
            called = found | {f".{name}" for name in found}
            more = {last[name] for name, said in uses.items() if said & called} - found - METHODS
            if not more:
                return frozenset(found) - METHODS
            found |= more

    @cached_property
    def loaded(self) -> frozenset[str]:
        """What modules and classes of the file called, and decorated with, when they were loaded."""
        found: set[str] = set()
        for unit in units(self.old):
            if isinstance(unit.node, Function | ast.ClassDef):
                found |= {ast.dump(one.func if isinstance(one, ast.Call) else one) for one in unit.node.decorator_list}
            elif not issubclass(unit.outer, Function):
                parts = (node for part in unit.parts() for node in ast.walk(part))
                found |= {ast.dump(node.func) for node in parts if isinstance(node, ast.Call)}
        return frozenset(found)

    @cached_property
    def shapes(self) -> frozenset[str]:
        """What modules and classes of the file called when they were loaded, whatever was handed to it."""
        found: set[str] = set()
        for unit in units(self.old):
            if not isinstance(unit.node, Function | ast.ClassDef) and not issubclass(unit.outer, Function):
                parts = (node for part in unit.parts() for node in ast.walk(part))
                found |= {shape(node.func) for node in parts if isinstance(node, ast.Call)}
        return frozenset(found) - {""}

    @cached_property
    def scopes(self) -> dict[str, Function]:
        """Every function of the new file by its qualified name."""
        return dict(functions(self.new))

    @cached_property
    def states(self) -> frozenset[tuple[str, str]]:
        """Functions and the names outside of them into which they stored something before."""
        found: set[tuple[str, str]] = set()
        for scope, node in functions(self.old):
            for inner in ast.walk(node):
                changes = isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute)
                stores = isinstance(inner, ast.Subscript | ast.Attribute) and not isinstance(inner.ctx, ast.Load)
                if (changes and inner.func.attr in STATEFUL) or stores:  # type: ignore[attr-defined]
                    root = root_of(inner.func if changes else inner)  # type: ignore[attr-defined]
                    found |= {(scope, root.id)} if isinstance(root, ast.Name) else set()
        return frozenset(found)

    def knows_attribute(self, name: str) -> bool:
        return name in METHODS or name in self.attributes or f".{name}" in self.known


def _mentions(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    for inner in ast.walk(node):
        yield from mention(inner, names)


def mention(inner: ast.AST, names: dict[str, str]) -> Iterator[str]:
    if isinstance(inner, ast.Attribute):
        yield f".{inner.attr}"
    if isinstance(inner, ast.Attribute | ast.Name) and (said := meant(inner, names)):
        yield said


def meant(node: ast.AST, names: dict[str, str]) -> str:
    """:func:`dotted`, but nothing for an attribute of a name that no import binds: that is no module."""
    root = root_of(node)
    of_import = isinstance(node, ast.Name) or "*" in names or (isinstance(root, ast.Name) and root.id in names)
    return dotted(node, names) if of_import else ""


def is_sink(said: str) -> bool:
    known = said in OPENERS or said.removeprefix(".") in DENIED or said.rpartition(".")[2] in DENIED
    return known or ("." in said[1:] and reaches(said))


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """A name with its attributes, by what it stands for; empty where it begins with something else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def shape(node: ast.AST) -> str:
    """What is called, with the calls that it hangs on but not what these are given; empty where it is anything else."""
    if isinstance(node, ast.Name):
        return node.id
    inner = (
        shape(node.func if isinstance(node, ast.Call) else node.value)
        if isinstance(node, ast.Attribute | ast.Call)
        else ""
    )
    if not inner:
        return ""
    return f"{inner}()" if isinstance(node, ast.Call) else f"{inner}.{node.attr}"  # type: ignore[attr-defined]


def looped_texts(function: Function, name: str) -> tuple[str, ...]:
    """The texts that a name of a function runs through, where it is bound by loops over literal ones alone."""
    loops = [node for node in ast.walk(function) if isinstance(node, ast.For | ast.comprehension)]
    own = [loop for loop in loops if isinstance(loop.target, ast.Name) and loop.target.id == name]
    if not own or list(stores([function])).count(name) != len(own):
        return ()
    texts: list[str] = []
    for loop in own:
        if not isinstance(loop.iter, ast.Tuple | ast.List | ast.Set):
            return ()
        said = [one.value for one in loop.iter.elts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if len(said) != len(loop.iter.elts):
            return ()
        texts += said
    return tuple(texts)


def root_of(node: ast.AST) -> ast.AST:
    """What an attribute, item or call hangs on in the end."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node


def is_builtin(name: str) -> bool:
    return name in vars(builtins)


def standard(target: str) -> bool:
    """Whether a dotted name lies in the standard library."""
    return target.partition(".")[0] in STDLIB


def is_runner(target: str) -> bool:
    """Whether a dotted name lies in a test runner's library."""
    return bool(RUNNERS.intersection(target.lstrip(".").split(".")[:2]))


def absolute(path: str, module: str) -> str:
    """A module as ``path`` imports it (``..a.b``), by the folders of the tree: ``src/shop/a/b`` without the slashes."""
    level = len(module) - len(module.lstrip("."))
    if not level:
        return module
    folders = path.split("/")[:-1]
    return ".".join([*folders[: len(folders) - level + 1], *filter(None, [module.lstrip(".")])])


def used_among(wanted: Collection[str], files: Iterable[tuple[str, bytes]]) -> frozenset[str]:
    """Those of ``wanted`` (imports as ``module:name``, attributes as ``.name``) that files of the repository use.

    Files are read as text, and parsed only where they speak of an import that is looked for.
    """
    dots = {
        one: re.compile(rb"(?:\.|\bdef |\bclass )%s\b" % re.escape(one[1:].encode())) for one in wanted if one[0] == "."
    }
    imports = {one: one.rpartition(":")[2].rpartition(".")[2].encode() for one in wanted if one[0] != "."}
    found: set[str] = set()
    for path, data in files:
        found |= {one for one, shape in dots.items() if one not in found and shape.search(data)}
        if any(word in data for one, word in imports.items() if one not in found):
            found |= _imports_of(path, data) & set(imports)
        if len(found) == len(wanted):
            break
    return frozenset(found)


def _imports_of(path: str, data: bytes) -> set[str]:
    """What a file imports, and what it defines for others to import."""
    tree = parse(data)
    if tree is None:
        return set()
    said = {f"{absolute(path, one.partition(':')[0])}{''.join(one.partition(':')[1:])}" for one in imported(tree)}
    return said | {f"{absolute_of(path)}:{name}" for name in top_level(tree)}


def absolute_of(path: str) -> str:
    """A file as a module, by the folders of the tree."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
