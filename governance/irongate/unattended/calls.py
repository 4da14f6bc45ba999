"""Calls that reach nothing: builtins, methods of builtin types, standard names, by their arguments. Pure.

Everything else that is called is *open*: it may do anything, unless the repository's own code shows that it does not.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator

from governance.irongate.tables import word_set
from governance.irongate.unattended.flow import Flow, is_text, names_changed_by, shared_names
from governance.irongate.unattended.names import Meaning, NameKind, Names, chain, root_of
from governance.irongate.unattended.tables import (
    ACTS,
    ADDING,
    ASKED,
    BUILTINS,
    CALLABLES,
    CHANGING,
    ERRORS,
    GOT,
    HIDDEN,
    INERT,
    KEEPING,
    LEVELS,
    LOGS,
    MATCHES,
    METHODS,
    NAMES,
    PLAIN,
    PURE,
    TYPES,
    VERBS,
    WORDS_OF,
)

DOUBTFUL = word_set("replace find count index copy translate join update union")
"""Methods of texts and containers whose names others act with: the value has to be known for one of these."""
ASKED_BY_NAME = ("getattr", "hasattr")
CLASSES = ("isinstance", "issubclass")
STEPPED = ("iter", "next", "type", "super")
"""Builtins that are closed as they are called in these ways alone."""


def is_open_itself(
    call: ast.Call, names: Names, scope: str, patterns: frozenset[str] = frozenset(), flow: Flow | None = None
) -> bool:
    """Whether a call may do anything, whatever it is given to call.

    ``patterns``: values of the module that are compiled patterns. ``flow``: where the names of the function get their
    values; without it nothing is held against them.
    """
    if call_spreads(call):
        return True
    func = call.func
    if isinstance(func, ast.Name):
        meaning = names.meaning(scope, func.id)
        if meaning.kind is NameKind.IMPORT:
            return meaning.target not in NAMES
        return meaning.kind is not NameKind.BUILTIN or not _plain_builtin(func.id, call)
    if isinstance(func, ast.Attribute):
        dotted = names.dotted(scope, func)
        if dotted:
            return dotted not in NAMES
        return not _plain_method(func, call, names, scope, patterns, flow)
    return True


def handed_values(call: ast.Call, names: Names, scope: str, holders: Collection[str] = ()) -> list[ast.expr]:
    """What a call is given that it may call: functions, methods, and imports that are neither listed nor classes."""
    if isinstance(call.func, ast.Name) and call.func.id in CLASSES:
        return []
    found: list[ast.expr] = []
    for node in (*call.args, *(word.value for word in call.keywords)):
        inner = node.value if isinstance(node, ast.Starred) else node
        last = inner.id if isinstance(inner, ast.Name) else inner.attr if isinstance(inner, ast.Attribute) else ""
        if not last or last[0].isupper():
            continue
        dotted = names.dotted(scope, inner)
        if dotted:
            is_plain = dotted in NAMES
        elif isinstance(inner, ast.Name):
            kind = names.meaning(scope, last).kind
            is_plain = (
                last not in holders
                and kind is not NameKind.FUNCTION
                and (kind is not NameKind.BUILTIN or last in TYPES | CALLABLES | ERRORS)
            )
        else:
            is_plain = last not in names.methods
        if not is_plain:
            found.append(inner)
    return found


def _plain_builtin(name: str, call: ast.Call) -> bool:
    if name in ASKED_BY_NAME:
        special = ASKED if name == "hasattr" else GOT
        return 2 <= len(call.args) <= 3 and not call.keywords and _is_field(call.args[1], special)
    if name in STEPPED:
        return not call.keywords and len(call.args) <= (2 if name == "next" else 1)
    return name in BUILTINS


def _is_field(node: ast.expr, special: Collection[str]) -> bool:
    """A literal attribute name that gives no access to the machine."""
    value = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(value, str) or not value.isidentifier() or value in HIDDEN:
        return False
    return value in special or not value.startswith("__")


def _plain_method(
    func: ast.Attribute, call: ast.Call, names: Names, scope: str, patterns: frozenset[str], flow: Flow | None
) -> bool:
    said, words = len(call.args), frozenset(word.arg or "" for word in call.keywords)
    on = func.value
    if func.attr in KEEPING:
        return False  # but on what the function made itself
    if flow is not None and not _is_value(on, names, scope, flow):
        return False
    if flow is not None and func.attr in DOUBTFUL and not _is_known(on, names, flow):
        return False
    if func.attr == "get":
        is_simple = isinstance(on, ast.Dict) or all(_is_simple(arg) for arg in call.args)
        return said in (1, 2) and not words and is_simple
    if func.attr == "format":
        return isinstance(on, ast.Constant) and isinstance(on.value, str) and not _has_fields(on.value)
    if func.attr in MATCHES and isinstance(on, ast.Name) and on.id in patterns:
        return names.meaning(scope, on.id).kind is NameKind.VALUE and not words
    if func.attr == "replace" and words:
        return not said and words <= WORDS_OF["replace"]
    fewest, most = METHODS.get(func.attr, (1, 0))
    return fewest <= said + len(words) <= most and words <= WORDS_OF.get(func.attr, frozenset())


def _is_value(node: ast.expr, names: Names, scope: str, flow: Flow) -> bool:
    """Whether a method is called on a value of the function or plain data, and on nothing that may be a module."""
    root = root_of(node)
    if isinstance(root, ast.Name):
        kind = names.meaning(scope, root.id).kind
        return root.id not in flow.holders and (
            kind is NameKind.LOCAL or (kind is NameKind.VALUE and root.id in names.data)
        )
    return True


def _is_known(node: ast.expr, names: Names, flow: Flow) -> bool:
    """Whether what a method is called on is a text or a container for sure."""
    if isinstance(node, ast.Name):
        return node.id in flow.texts | flow.fresh | names.data
    return is_text(node) or isinstance(node, ast.Dict | ast.List | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _is_simple(node: ast.expr) -> bool:
    """A value that is at hand: nothing is put together for the call."""
    if isinstance(node, ast.Tuple | ast.List):
        return not node.elts
    if isinstance(node, ast.Dict):
        return not node.keys
    root = root_of(node)
    return isinstance(root, ast.Name | ast.Constant)


def _has_fields(text: str) -> bool:
    """Whether a text that is formatted looks into what it is given."""
    inside = [part.partition("}")[0] for part in text.split("{")[1:]]
    return any("." in one.partition(":")[0] or "[" in one or "{" in one for one in inside)


def callee_of(call: ast.Call) -> str:
    """What is called as it is written: names and attributes, and ``super()``. Of what else has no name, ``.method``.

    Empty where that is not an attribute either.
    """
    func = call.func
    said = chain(func)
    if said or not isinstance(func, ast.Attribute):
        return said
    inner = func.value.func if isinstance(func.value, ast.Call) and not func.value.args else None
    return f"super().{func.attr}" if isinstance(inner, ast.Name) and inner.id == "super" else f".{func.attr}"


def is_plain(dotted: str, modules: Collection[str] = PLAIN) -> bool:
    """Whether a name of the standard library is listed, or of one of these modules."""
    return dotted.partition(".")[0] in modules or dotted in NAMES


def call_spreads(call: ast.Call) -> bool:
    """Whether a call hands keywords on that are not written down."""
    return any(word.arg is None for word in call.keywords)


class Calls:
    """The calls of one function as they are judged. ``known``: questions that the repository answers with yes (see
    ``repository.py``). ``had``: what the function called before the change, and what it is handed. ``by_search``: the
    daemon's own search made the change, which may call what the function calls with something else.
    """

    def __init__(
        self,
        path: str,
        scope: str,
        names: Names,
        flow: Flow,
        *,
        patterns: frozenset[str],
        known: frozenset[str],
        had: Collection[str],
        by_search: bool = False,
    ) -> None:
        self.scope, self.names, self.flow = scope, names, flow
        self._path, self._patterns, self._known, self._had = path, patterns, known, had
        self._by_search = by_search
        self._judged: dict[ast.Call, bool] = {}

    def is_open(self, call: ast.Call) -> bool:
        """Whether a call may do anything: it is not listed, nor known, nor of what the function is handed or made."""
        if call not in self._judged:
            self._judged[call] = self._may_do_anything(call)
        return self._judged[call]

    def _may_do_anything(self, call: ast.Call) -> bool:
        if self.keeps(call) is not None or self._keeps_as_before(call):
            return False
        if self._by_search and callee_of(call) in self._had and not call_spreads(call):
            return False
        if any(self._question(chain(one)) not in self._known for one in self._handed(call)):
            return True
        if not is_open_itself(call, self.names, self.scope, self._patterns, self.flow):
            return False
        callee = callee_of(call)
        is_known = self._question(callee) in self._known and not self._by_search
        return not is_known and not self._is_at_hand(callee)

    def acts(self, call: ast.Call) -> bool:
        """Whether a call acts: by its name, as a library's, by what it is given to call, or where it is followed."""
        callee, dotted = callee_of(call), self.dotted(call.func)
        last = callee.rpartition(".")[2]
        if last in ACTS or not VERBS.isdisjoint(last.split("_")):
            return True
        if self._is_of_library(call):
            return True
        if isinstance(call.func, ast.Attribute) and not dotted and last in METHODS.keys() | KEEPING:
            return callee == f"self.{last}" and not self.is_mild(call)
        if dotted.partition(".")[0] in sys.stdlib_module_names and not is_plain(dotted, INERT):
            return True
        is_open = is_open_itself(call, self.names, self.scope, self._patterns, self.flow)
        given = [self._question(chain(one)) for one in self._handed(call)]
        return (is_open and not self.is_mild(call)) or any(self._known.isdisjoint((one, f"~{one}")) for one in given)

    def _is_of_library(self, call: ast.Call) -> bool:
        """Whether a method is called on what a library has made in this function: an object of a class of its, or
        what another of its functions gave, unless that may be a plain value."""
        if not isinstance(call.func, ast.Attribute) or call.func.attr in PURE:
            return False
        on, is_plain_method = chain(call.func.value), call.func.attr in METHODS.keys() | KEEPING
        makers = [
            one for name in (on, on.partition(".")[0]) for one in self.flow.calls.get(name, ()) if one is not call
        ]
        dotted = [(self.dotted(one.func), one) for one in makers]
        return any(
            said and (said.rpartition(".")[2][:1].isupper() or not is_plain_method) and self.acts(one)
            for said, one in dotted
        )

    def is_mild(self, call: ast.Call) -> bool:
        """Whether nothing is found by which an open call acts."""
        if isinstance(call.func, ast.Call):
            return not self.acts(call.func)
        return f"~{self._question(callee_of(call))}" in self._known

    def may_change(self, call: ast.Call, among: Collection[str]) -> set[str]:
        """Those of ``among`` (names, as written) whose objects a call may change: by a method of theirs, or where it is
        given them and no more is known of it than that it does not act."""
        func, name = call.func, callee_of(call)
        dotted = self.dotted(func)
        is_listed = dotted in NAMES or (isinstance(func, ast.Name) and self.meaning(name).kind is NameKind.BUILTIN)
        given = [one for arg in (*call.args, *(word.value for word in call.keywords)) for one in shared_names(arg)]
        found = set(given) if (dotted or name) in CHANGING else set() if is_listed else {*given} & self.flow.made
        if isinstance(func, ast.Attribute) and not dotted and func.attr not in METHODS.keys() | KEEPING:
            found |= shared_names(func.value)
        return found & set(among)

    def is_function(self, node: ast.expr | None) -> bool:
        """Whether a function is called, and no class."""
        made = node.func if isinstance(node, ast.Call) else node
        return isinstance(made, ast.Name) and self.meaning(made.id).kind is NameKind.FUNCTION

    def keeps(self, call: ast.Call) -> ast.expr | None:
        """The container that a call changes, which the function itself has made."""
        on = names_changed_by(call)
        return on if isinstance(on, ast.Name) and on.id in self.flow.fresh else None

    def _keeps_as_before(self, call: ast.Call) -> bool:
        """A container of the program's that the function changed by the same method before."""
        on = names_changed_by(call)
        if on is None or not callee_of(call) or not _is_value(on, self.names, self.scope, self.flow):
            return False
        last = callee_of(call).rpartition(".")[2]
        names = ADDING if self._by_search and last in ADDING else (last,)
        return any(f"{chain(on)}.{name}" in self._had for name in names)

    def _handed(self, call: ast.Call) -> list[ast.expr]:
        return handed_values(call, self.names, self.scope, self.flow.holders)

    def dotted(self, node: ast.AST) -> str:
        """The dotted name of what is imported; empty for all else."""
        return self.names.dotted(self.scope, node)

    def meaning(self, name: str) -> Meaning:
        """What a name means in the function."""
        return self.names.meaning(self.scope, name)

    def questions(self, call: ast.Call) -> Iterator[str]:
        """What has to be known of a call that is not listed."""
        callee = callee_of(call)
        if callee and self.keeps(call) is None:
            if is_open_itself(call, self.names, self.scope, self._patterns, self.flow):
                yield from self._both(callee)
            for one in self._handed(call):
                yield from self._both(chain(one))

    def is_handed(self, node: ast.expr) -> bool:
        """Whether the search may hand this on to be called: what the function is handed itself."""
        return self._by_search and isinstance(node, ast.Name) and self.names.is_argument(self.scope, node.id)

    def finds(self, target: str) -> bool:
        """Whether an import is of what the repository's own code defines."""
        return f"+{self._path}|{target}" in self._known

    def finds_nothing(self, target: str) -> bool:
        """Whether an import is of a name that is defined nowhere."""
        return f"-{self._path}|{target}" in self._known

    def _both(self, callee: str) -> tuple[str, str]:
        """Whether it reaches nothing, and whether nothing is found that acts."""
        return self._question(callee), f"~{self._question(callee)}"

    def _question(self, callee: str) -> str:
        return f"{self._path}|{self.scope}|{callee}"

    def _is_at_hand(self, callee: str) -> bool:
        """What the function is handed and calls, and lines of a log that it writes already."""
        if callee not in self._had:
            return False
        root, _, last = callee.rpartition(".")
        if not root:
            return self.meaning(last).kind is NameKind.LOCAL and last not in self.flow.holders
        return root in LOGS and last in LEVELS and self.meaning(root).kind is NameKind.VALUE
