"""What an added piece of Python may be: every kind of syntax, name, attribute, call and value that is not listed here
is said, with its rule. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from governance.irongate.syntax import parse, source
from governance.irongate.unattended.deeds import READ_MODES, acting, acts
from governance.irongate.unattended.lookups import asks_class, is_constant, looked_up, makes_own_kind, same_lookup
from governance.irongate.unattended.messages import raised_texts
from governance.irongate.unattended.names import (
    DUNDER,
    Names,
    dotted,
    harmless,
    is_builtin,
    is_listed,
    is_runner,
    meant,
    reaches,
    root_of,
    standard,
)
from governance.irongate.unattended.statements import imports_of, names_exports, steps
from governance.irongate.unattended.tables import (
    BUILTINS,
    DENIED,
    DUNDER_ATTRIBUTES,
    MAY_BE_NEW,
    MODULES_OWN,
    ONLY_CALLED,
    RUNNER_WORDS,
    STATEFUL,
    TOLD,
)
from governance.irongate.unattended.units import Added, Found, Function, fingerprint, units
from governance.irongate.unattended.values import COMMON, PLAIN, Told, examples_of, fold, from_literals, is_number

PLAIN_NODES = (
    ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.keyword, ast.arguments, ast.arg, ast.slice,
    ast.comprehension, ast.withitem, ast.Expr, ast.Return, ast.Raise, ast.Assert, ast.Pass, ast.Break, ast.Continue,
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Import, ast.ImportFrom, ast.alias, ast.BoolOp,
    ast.NamedExpr,
    ast.BinOp, ast.UnaryOp, ast.Lambda, ast.IfExp, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp, ast.Await, ast.Yield, ast.YieldFrom, ast.Compare, ast.Call, ast.FormattedValue, ast.JoinedStr,
    ast.Constant, ast.Attribute, ast.Subscript, ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice, ast.MatchValue,
    ast.MatchSingleton, ast.MatchSequence, ast.MatchMapping, ast.MatchClass, ast.MatchStar, ast.MatchAs, ast.MatchOr,
)  # fmt: skip
FIELD = re.compile(r"\{[^{}:!]*[.\[]")
PLACE = re.compile(
    r"^(?:~|/[\w.]|[A-Za-z]:\\|\w+://)|(?:^|/)\.(?:git|ssh|bash|zsh|profile|config|local|vscode|npmrc|env)"
)
FRAME = re.compile(r"^(?:f|gi|cr|ag|tb|co)_[a-z]+$")
DIGITS = 10
"""Numbers below it may bound a slice."""
OPEN_WORDS = frozenset({"encoding", "errors", "newline"})


class Judge:
    """Judges the additions to one file. ``is_test``: a test module, which may speak of runners and give values."""

    def __init__(
        self,
        names: Names,
        told: Told,
        *,
        is_test: bool,
        literals: frozenset[object],
        documented: frozenset[str],
        constant: Mapping[str, frozenset[str]] = MappingProxyType({}),
        rebound: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._names, self._told, self._is_test = names, told, is_test
        self._literals, self._documented, self._made = literals, documented, constant
        self._cuts: set[int] = set()
        self._pieces: set[int] = set()
        self._rebound, self._parts = rebound, told.parts_of(literals)
        self._raised: dict[str, frozenset[int]] = {}

    def of(self, added: Added, *, asked: bool) -> Iterator[Found]:
        """Everything about one added statement. ``asked``: it stands in the head of a condition."""
        method = isinstance(added.unit.node, Function) and added.unit.outer is ast.ClassDef
        for part in added.unit.parts():
            if not (method and isinstance(part, ast.Name) and _is_new_special(part)):
                yield from self._walk(part, added, asked)

    def _walk(self, top: ast.AST, added: Added, asked: bool) -> Iterator[Found]:
        left: list[tuple[ast.AST, ast.AST | None, bool]] = [(top, None, asked)]
        slices = (node for node in ast.walk(top) if isinstance(node, ast.Slice))
        self._cuts = {id(node) for cut in slices for node in ast.walk(cut) if isinstance(node, ast.Constant)}
        while left:
            node, above, asks = left.pop()
            if isinstance(node, ast.expr) and fingerprint(node) in added.kept and not self._touchy(node):
                continue
            if isinstance(node, ast.Constant) and _is_documentation(above, added):
                yield from self._documentation(node)
                continue
            yield from self._node(node, above, added, asks)
            for child in ast.iter_child_nodes(node):
                left.append((child, node, asks or _asks(node, child)))

    def _touchy(self, node: ast.expr) -> bool:
        """A bare module or opener that was there may not be put into another place, nor what starts or writes."""
        if isinstance(node, ast.Name | ast.Attribute) and self._acts(node):
            return True
        return isinstance(node, ast.Name) and (
            node.id in DENIED or node.id in ONLY_CALLED or (is_builtin(node.id) and node.id not in BUILTINS)
        )

    def _node(self, node: ast.AST, above: ast.AST | None, added: Added, asks: bool) -> Iterator[Found]:
        if not isinstance(node, PLAIN_NODES):
            yield "syntax", f"uses {type(node).__name__.lower()}"
        elif isinstance(node, ast.Name):
            yield from self._name(node, above)
        elif isinstance(node, ast.Attribute):
            yield from self._attribute(node, above)
        elif isinstance(node, ast.Call):
            yield from self._call(node, added)
        elif isinstance(node, ast.Constant):
            yield from self._constant(node, above, asks, added)
        elif isinstance(node, ast.keyword | ast.MatchClass):
            words = [node.arg] if isinstance(node, ast.keyword) else node.kwd_attrs
            yield from (("attribute", f"names {w}") for w in words if w and (w in DENIED or DUNDER.fullmatch(w)))
        elif isinstance(node, ast.arg):
            yield from self._binding(node.arg)
        elif isinstance(node, ast.arguments):
            yield from self._defaults(node, added)
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield from self._binding(node.name)
        if isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call | ast.Compare | ast.Subscript):
            yield from self._computed(node, added, asks)

    # --- names -------------------------------------------------------------------------------------------------------

    def _name(self, node: ast.Name, above: ast.AST | None) -> Iterator[Found]:
        names = self._names
        if not isinstance(node.ctx, ast.Load):
            yield from self._binding(node.id)
            return
        if node.id == "__name__":
            return
        is_imported = node.id in names.imports and not standard(names.imports[node.id])
        if DUNDER.fullmatch(node.id) and (node.id in MODULES_OWN or not (node.id in names.top_before or is_imported)):
            yield "name", f"reaches for {node.id}"
        elif node.id in names.imports:
            yield from self._imported_name(node, above)
        elif node.id in names.own and (node.id in names.hazardous or node.id in acting(names.old)):
            yield "name", f"uses {node.id}, which reaches out of the program"
        elif node.id in names.bound:
            if is_builtin(node.id) and node.id in names.top:
                yield "name", f"uses {node.id}, which is not the builtin here"
        elif node.id not in BUILTINS:
            yield "name", f"uses {node.id}"
        elif node.id in ONLY_CALLED and not (isinstance(above, ast.Call) and above.func is node):
            yield "name", f"hands {node.id} on"

    def _imported_name(self, node: ast.Name, above: ast.AST | None) -> Iterator[Found]:
        target = self._names.imports[node.id]
        top = target.lstrip(".").partition(".")[0]
        if not self._is_test and is_runner(target):
            yield "runner", f"uses {target}, which is a test runner's"
        elif target.startswith(".") or not standard(target):
            if top in DENIED or reaches(target):
                yield "import", f"uses {target.lstrip('.')}"
        elif not isinstance(above, ast.Attribute) and not harmless(target):
            yield "import", f"uses {target}"

    def _binding(self, name: str) -> Iterator[Found]:
        names = self._names
        if name in names.bound_before:
            return
        if is_builtin(name):
            yield "shadowing", f"gives {name}, a builtin, another meaning"
        elif DUNDER.fullmatch(name) and name not in ("__all__", "__version__"):
            yield "special_method", f"defines {name}"
        elif name.startswith(("pytest", "__unittest", "__tracebackhide")) or name in DENIED:
            yield "runner", f"defines {name}"

    # --- attributes --------------------------------------------------------------------------------------------------

    def _attribute(self, node: ast.Attribute, above: ast.AST | None) -> Iterator[Found]:
        name, names = node.attr, self._names
        if DUNDER.fullmatch(name):
            reads = isinstance(node.ctx, ast.Load)
            plain = reads and (name in TOLD or (name == "__class__" and asks_class(node, above)))
            if not plain and name not in DUNDER_ATTRIBUTES:
                yield "attribute", f"reaches for {name}"
            return
        target = dotted(node, names.imports)
        root = root_of(node)
        whole = isinstance(root, ast.Name) and root.id in names.imports
        if whole and standard(target):
            if isinstance(above, ast.Attribute) and not harmless(target):
                return  # the longer name is judged
            if not harmless(target):
                yield "attribute", f"uses {target}"
                return
        if name in DENIED or FRAME.match(name):
            if not (whole and harmless(target) and target in names.chains):
                yield "attribute", f"uses .{name}"
        elif name in names.own and name in names.hazardous:
            yield "attribute", f"uses .{name}, which reaches out of the program"
        elif whole and not standard(target) and reaches(target):
            yield "attribute", f"uses {target}"
        elif not (names.knows_attribute(name) or self._is_test or _is_own(node, root) or (whole and is_listed(target))):
            yield "unknown", f"uses .{name}, which the repository does not"

    # --- calls -------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, added: Added) -> Iterator[Found]:
        func = node.func
        if self._acts(func) and fingerprint(func) in added.kept and not _same_open(node, added):
            yield "call", f"calls {source(func)} with something else"
        if isinstance(func, ast.Name) and func.id not in self._names.bound:
            yield from self._builtin_call(node, func.id, added)
        elif isinstance(func, ast.Attribute):
            yield from self._method_call(node, func, added)
        elif not isinstance(func, ast.Name) and fingerprint(func) not in added.kept and not makes_own_kind(node):
            yield "call", "calls what is computed"

    def _acts(self, func: ast.expr) -> bool:
        """Whether what is called starts programs, writes, or speaks to others, by itself or through the file."""
        said = meant(func, self._names.imports)
        own = func.id if isinstance(func, ast.Name) else f".{func.attr}" if isinstance(func, ast.Attribute) else ""
        return acts(said) or acts(own) or (own.lstrip(".") in self._names.own and own in acting(self._names.old))

    def _builtin_call(self, node: ast.Call, name: str, added: Added) -> Iterator[Found]:
        if name == "getattr" or name == "hasattr":
            asked = node.args[1] if len(node.args) > 1 else None
            texts = looked_up(asked, added, self._names)
            if not texts and not same_lookup(node, asked, added, self._names, self._rebound):
                yield "call", f"{name} of a name that is computed"
            for said in texts if name == "getattr" else ():
                known = said in DUNDER_ATTRIBUTES or said in TOLD or not DUNDER.search(said)
                plain = DUNDER.search(said) is not None or self._names.knows_attribute(said)
                if said in DENIED or not known or not plain:
                    yield "attribute", f"looks {said} up"
            if node.args and isinstance(root_of(node.args[0]), ast.Name) and self._is_module(root_of(node.args[0])):
                yield "attribute", f"{name} of a module"
        elif name == "type" and (len(node.args) != 1 or node.keywords):
            yield "call", "makes a class by type()"
        elif name in ("next", "iter") and node.args and self._is_global(node.args[0]):
            yield "state", f"{name}() of what outlives the call"
        elif name == "print" and any(word.arg == "file" for word in node.keywords):
            yield "call", "prints into a file"
        elif name == "open" and not _same_open(node, added):
            yield "call", "opens a file"

    def _method_call(self, node: ast.Call, func: ast.Attribute, added: Added) -> Iterator[Found]:
        root = root_of(func.value)
        keeps = isinstance(root, ast.Name) and (added.unit.scope, root.id) in self._names.states
        if func.attr in STATEFUL and self._is_global(func.value) and not keeps and not names_exports(added.unit.node):
            yield "state", f".{func.attr}() of what outlives the call"
        formats = func.attr == "format" and not isinstance(func.value, ast.Constant)
        if formats and "format" not in self._names.attributes:
            yield "call", "formats by a text that is computed"
        if func.attr == "format" and isinstance(func.value, ast.Constant) and FIELD.search(str(func.value.value)):
            yield "call", "reaches into values by a format"
        if func.attr == "replace" and len(node.args) == 1 and not node.keywords:
            yield "call", "replaces a file"
        if (
            func.attr in ("open", "write")
            and fingerprint(func) not in added.kept
            and func.attr not in self._names.attributes
        ):
            yield "call", f"calls .{func.attr}()"
        if func.attr == "open" and not _same_open(node, added):
            yield "call", "opens a file"

    def _is_module(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self._names.imports and self._names.imports[node.id] in DENIED

    def _is_global(self, node: ast.AST) -> bool:
        root = root_of(node)
        return isinstance(root, ast.Name) and root.id in self._names.top and root.id not in self._names.imports

    # --- values ------------------------------------------------------------------------------------------------------

    def _constant(self, node: ast.Constant, above: ast.AST | None, asks: bool, added: Added) -> Iterator[Found]:
        value = node.value
        if isinstance(value, str | bytes):
            yield from self._text(value, asks, is_message=id(node) in self._messages(added.unit.scope))
        elif isinstance(value, int | float | complex) and is_number(value) and not self._is_test:
            signed = -value if isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.USub) else value
            yield from self._number(
                signed, asks, cuts=isinstance(above, ast.Slice | ast.BinOp) and id(node) in self._cuts
            )

    def _number(self, value: object, asks: bool, *, cuts: bool) -> Iterator[Found]:
        if isinstance(value, complex) or not isinstance(value, int | float):
            yield "value", f"writes {value!r} down"
        elif self._told.number(value) and value not in self._literals:
            yield "telling_value", f"writes {value!r} down, which a failing test gives away"
        elif cuts and value in range(DIGITS):
            return
        elif value not in self._literals and value not in (PLAIN if asks else COMMON):
            yield "value", f"writes {value!r} down, which does not stand in the file"

    def _messages(self, scope: str) -> frozenset[int]:
        """Literals of a function that become the text of an error."""
        if scope not in self._raised:
            function = self._names.scopes.get(scope)
            self._raised[scope] = raised_texts(function, self._names.imports) if function else frozenset()
        return self._raised[scope]

    def _text(self, value: str | bytes, asks: bool, *, is_message: bool = False) -> Iterator[Found]:
        said = value if isinstance(value, str) else value.decode("latin-1")
        if any(word not in DUNDER_ATTRIBUTES and word not in TOLD for word in DUNDER.findall(said)):
            yield "text", f"writes {said[:40]!r}"
        if ">>>" in said:
            yield "text", "writes a doctest"
        if value in self._literals:
            return
        if PLACE.search(said):
            yield "place", f"names a place: {said[:40]!r}"
        if self._is_test:
            return
        if any(word in said for word in RUNNER_WORDS) or said in ("CI", "TOX_ENV_NAME", "_pytest"):
            yield "runner", f"speaks of a test runner: {said[:40]!r}"
        if self._told.text(value, asks=asks, is_message=is_message, parts=self._parts):
            yield "telling_value", f"writes {said[:40]!r} down, which a failing test gives away"
        elif asks and said:
            yield "value", f"asks for {said[:40]!r}, which does not stand in the file"

    def _computed(self, node: ast.expr, added: Added, asks: bool) -> Iterator[Found]:
        if (
            self._is_test
            or id(node) in self._pieces
            or not from_literals(node, self._made.get(added.unit.scope, frozenset()))
        ):
            return
        if isinstance(node, ast.Call):
            plain = isinstance(node.func, ast.Name) and (
                node.func.id in ("range", "set", "dict", "list", "tuple", "frozenset", "object", "super", "print")
                or (node.func.id == "float" and [fold(a) for a in node.args] in (["inf"], ["-inf"], ["nan"]))
                or node.func.id not in BUILTINS
                or node.func.id[0].isupper()
            )
            if plain or (not isinstance(node.func, ast.Name) and not isinstance(root_of(node.func), ast.Constant)):
                return
        value = fold(node)
        if value is not ... and value in self._literals:
            return
        if isinstance(value, str | bytes) and isinstance(node, ast.BinOp):
            self._pieces |= {id(inner) for inner in ast.walk(node)}
            yield from self._text(value, asks)  # a text in pieces is judged as one
            return
        yield "computed_value", "computes a value from literals alone"

    def _documentation(self, node: ast.Constant) -> Iterator[Found]:
        if isinstance(node.value, str) and ">>>" in node.value and node.value not in self._documented:
            yield from self._examples(node.value)

    def _examples(self, text: str) -> Iterator[Found]:
        """Examples run where somebody asks for doctests: they are judged as a test's code."""
        examples = examples_of(text)
        whole = parse("".join(examples))
        if whole is None:
            yield "text", "holds a doctest that cannot be read"
            return
        kept = {one for said in self._documented for one in examples_of(said)}
        fresh = parse("".join(one for one in examples if one not in kept)) or whole
        module = ast.Module(body=[*self._names.new.body, *whole.body], type_ignores=[])
        names = Names(self._names.new, module, self._names.known)
        judge = Judge(names, self._told, is_test=True, literals=self._literals, documented=self._documented)
        for unit in units(fresh):
            one = Added(unit, frozenset(), ())
            yield from steps(one, names) if not isinstance(unit.node, ast.Expr) else ()
            said = imports_of(one, names, "", is_test=True)
            yield from (found for found in said if found[0] != "shadowing")  # an example imports what it is about
            yield from judge.of(one, asked=False)

    # --- defaults ----------------------------------------------------------------------------------------------------

    def _defaults(self, node: ast.arguments, added: Added) -> Iterator[Found]:
        for default in (*node.defaults, *(d for d in node.kw_defaults if d is not None)):
            if fingerprint(default) not in added.kept and not is_constant(default) and not self._is_pattern(default):
                yield "default", "gives an argument a default that is made when the function is defined"

    def _is_pattern(self, node: ast.expr) -> bool:
        """A compiled pattern, or a method of one."""
        made = node.value if isinstance(node, ast.Attribute) else node
        return isinstance(made, ast.Call) and dotted(made.func, self._names.imports) == "re.compile"


def _asks(node: ast.AST, child: ast.AST) -> bool:
    """Whether what stands at ``child`` decides something."""
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        return child is node.test
    if isinstance(node, ast.Compare | ast.match_case | ast.MatchValue | ast.MatchMapping):
        return True
    if isinstance(node, ast.BoolOp):
        return True
    if isinstance(node, ast.arguments):
        return isinstance(child, ast.Constant) and is_number(child.value)
    if isinstance(
        node, ast.Assign | ast.AnnAssign | ast.NamedExpr | ast.AugAssign
    ):  # a name may be asked in place of its value
        return child is node.value and isinstance(child, ast.Constant) and is_number(child.value)
    if isinstance(node, ast.comprehension):
        return child in node.ifs
    if isinstance(node, ast.Subscript):
        return child is node.value and isinstance(node.value, ast.Dict)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("startswith", "endswith", "get", "index", "find", "count") and child in node.args
    return False


def _is_new_special(name: ast.Name) -> bool:
    """The name of a method that the rules about definitions list."""
    return isinstance(name.ctx, ast.Store) and name.id in MAY_BE_NEW


def _is_own(node: ast.Attribute, root: ast.AST) -> bool:
    """An object gives itself a value."""
    return isinstance(node.ctx, ast.Store) and isinstance(root, ast.Name) and root.id == "self"


def _is_documentation(above: ast.AST | None, added: Added) -> bool:
    return isinstance(above, ast.Expr) and isinstance(added.unit.node, ast.Expr)


def _same_open(node: ast.Call, added: Added) -> bool:
    """The same file is opened as before, for reading; how its text is read may be another."""
    mode = node.args[1] if len(node.args) > 1 else None
    words = {word.arg for word in node.keywords}
    first = node.args[0] if node.args else None
    reads = mode is None or (isinstance(mode, ast.Constant) and mode.value in READ_MODES)
    if not reads or words - OPEN_WORDS:
        return False
    return (first is None or fingerprint(first) in added.kept) and fingerprint(node.func) in added.kept
