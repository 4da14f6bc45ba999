"""Existing tests that a new name in a test module affects: through the runner's calls, or their own look-ups.

A runner calls some functions by their names (``setup_module``, ``setUp``, ``pytest_...``), passes fixtures to functions
with a parameter of their name, and looks up the names in a test when it runs: in its class, the bases of that, the
module, the builtins. A new definition of such a name changes tests without a change of their text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from governance.irongate.syntax import source
from governance.irongate.tables import word_set
from governance.irongate.test_code.tampering import why_tampering

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.ClassDef
HOOK = "pytest_"
MARKS = frozenset({"pytestmark", "pytest_plugins", "collect_ignore", "collect_ignore_glob"})
_ENDS = ("", "_module", "_function", "_class", "_method", "_package")
CALLED = frozenset(
    {f"{word}{end}" for word in ("setup", "teardown") for end in _ENDS}
    | {"setUpModule", "tearDownModule", "load_tests"}
)
PLAIN_BASES = frozenset(
    {"object", "TestCase", "unittest.TestCase", "IsolatedAsyncioTestCase", "unittest.IsolatedAsyncioTestCase"}
)
"""Of classes whose names are known: a test that is new in them takes no other's place."""
MAKERS = word_set(
    """
    Path pathlib.Path PurePath re.compile object range frozenset set list dict tuple str int float bytes len sorted
    min max sum Decimal Fraction date datetime timedelta datetime.date datetime.datetime datetime.timedelta
    namedtuple os.path.join os.path.dirname os.path.abspath logging.getLogger TypeVar
    """
)
"""What a constant is made with: a call of anything else runs code when the tests are loaded."""
MARKERS = frozenset({"pytest", "unittest", "mock", "patch", "given", "settings", "example", "st", "strategies"})
"""Where decorators of tests come from that do nothing but mark them, or take back what they do."""


def find_reaching(old: Scope, name: str, node: ast.stmt | None, *, whole: ast.Module) -> str | None:
    """How a name that is new in ``old`` reaches what was there, or None.

    ``node`` is its definition, None for an import. ``whole`` is the module as it was: empty for a new file, whose tests
    are all its own.
    """
    if name in MARKS or name == "__test__" or name.startswith(HOOK):
        return "is new and changes what the runner does"
    if node is not None and is_autouse(node):
        return "is a new fixture that every test gets"
    if whole.body and (why := _reaching_older(old, name, node, whole)):
        return why
    if node is None:
        return None
    why = why_tampering(node, is_method=isinstance(old, ast.ClassDef)) or _at_import(node)
    return f"is new and {why}" if why else None


def _reaching_older(old: Scope, name: str, node: ast.stmt | None, whole: ast.Module) -> str | None:
    if name == "*":
        return "brings in names that cannot be seen here"
    if name in CALLED:
        return "is new, and the runner calls it around tests that were there"
    if name.startswith("__") and name.endswith("__"):
        return "is new and changes how names are looked up"
    if is_fixture(node):
        return "is a new fixture, which may take the place of another one"
    if isinstance(old, ast.ClassDef):
        return _in_class(old, name, node)
    return "is new and takes the place of a name that is used here" if name in _looked_up(whole) else None


def _in_class(old: ast.ClassDef, name: str, node: ast.stmt | None) -> str | None:
    bases = {source(base) for base in old.bases}
    if not bases <= PLAIN_BASES:
        return "is new in a class whose bases may have one of that name"
    if bases - {"object"} and not (name.startswith("test") and isinstance(node, Function)):
        return "is new in a test case, which may have one of that name"
    return None


def _looked_up(tree: ast.Module) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def is_autouse(node: ast.stmt) -> bool:
    """A fixture that is given to tests which do not ask for it."""
    return isinstance(node, Function) and any("autouse" in source(d) for d in node.decorator_list)


def is_fixture(node: ast.stmt | None) -> bool:
    """A definition that pytest takes as a fixture."""
    if isinstance(node, Function):
        return any("fixture" in source(d) for d in node.decorator_list)
    return isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and "fixture" in source(node.value)


def _at_import(node: ast.stmt) -> str | None:
    """Why a definition does something when the module is loaded, or None."""
    for call in _calls_at_import(node):
        return f"runs {source(call.func)[:60]} when it is loaded"
    return None


def _calls_at_import(node: ast.stmt) -> Iterator[ast.Call]:
    if isinstance(node, Function):
        for part in [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]:
            yield from _foreign(part)
    elif isinstance(node, ast.ClassDef):
        for part in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            yield from _foreign(part)
        for step in node.body:
            yield from _calls_at_import(step)
    else:
        yield from _foreign(node)


def _foreign(node: ast.AST) -> Iterator[ast.Call]:
    """Calls in it of what neither marks tests nor makes plain values."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            name = source(part.func)
            if name not in MAKERS and name.partition(".")[0].partition("(")[0] not in MARKERS:
                yield part
