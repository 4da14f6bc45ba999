"""Gate 17, dangerous code: what runs text as code, starts programs, reads objects out of bytes or opens the network.

Only what a change adds counts, by syntax: a call of such a function, and any mention of it, for what is mentioned can
be called under another name. So do ways to get at it without a mention: a name that is looked up when the program runs,
everything of a module, the interpreter's own insides. It needs an approval:
honest repairs seldom add such code, injected ones often do.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.syntax import imported_names, source
from governance.irongate.tables import word_set
from governance.irongate.verdicts import passed
from governance.irongate.versions import versions
from ledger.vocabulary import Decision, Frozen, Tier, Verdict

NUMBER = 17
BUILTINS = frozenset({"eval", "exec", "compile", "__import__"})
CALLS = word_set(
    """
    os.system os.popen os.execv os.execve os.execvp os.execl os.spawnv os.fork pickle.load pickle.loads
    pickle.Unpickler marshal.load marshal.loads shelve.open dill.load dill.loads yaml.load yaml.unsafe_load
    ctypes.CDLL ctypes.cdll.LoadLibrary ssl._create_unverified_context importlib.import_module runpy.run_path
    runpy.run_module shutil.rmtree tempfile.mktemp asyncio.create_subprocess_shell asyncio.create_subprocess_exec
    asyncio.open_connection os.execvpe os.execlp os.posix_spawn yaml.load_all yaml.unsafe_load_all torch.load
    joblib.load pty.spawn builtins.eval builtins.exec builtins.compile builtins.__import__ ctypes.cdll ctypes.PyDLL
    ctypes.pythonapi sys.modules sys.meta_path sys.path_hooks code.interact code.InteractiveInterpreter
    types.CodeType types.FunctionType
    """
)
STARTS = ("os.spawn", "os.exec", "os.posix_spawn", "os.fork", "os.popen", "os.system")
"""Beginnings of the names of functions that start programs."""
SAME = {"posix": "os", "nt": "os", "_pickle": "pickle", "cPickle": "pickle", "__builtin__": "builtins"}
"""Modules that hold the functions of another one."""
OPENED = frozenset(
    {"os", "builtins", "sys", "subprocess", "importlib", "pickle", "marshal", "ctypes", "socket", "shutil"}
)
"""Modules in which a name may not be looked up when the program runs, nor everything imported from."""
INSIDES = frozenset({"__subclasses__", "__globals__", "__code__", "__builtins__", "__closure__", "__loader__"})
"""Attributes by which everything else can be reached."""
OUTSIDE = word_set(
    """
    subprocess socket socketserver ssl http urllib ftplib smtplib telnetlib xmlrpc requests httpx aiohttp urllib3
    websockets paramiko pexpect multiprocessing pty _socket _ssl _posixsubprocess _winapi
    """
)
"""Modules that reach out of the process."""
HARMLESS = frozenset({"urllib.parse", "urllib.error", "http.HTTPStatus", "http.cookies"})


class DangerFacts(Frozen):
    """One file before and after."""

    path: str
    before: bytes | None
    after: bytes | None


def check(facts: DangerFacts) -> Verdict:
    """Raise the tier for what is in the file now and was not before."""
    compared = versions(NUMBER, facts.path, facts.before, facts.after)
    if isinstance(compared, Verdict):
        return compared
    old, new = compared
    added = _count_dangers(new) - (_count_dangers(old) if old is not None else Counter())
    reached = _outside_modules(new) - (_outside_modules(old) if old is not None else frozenset())
    evidence = [f"{facts.path}: {what}" for what in sorted(added)]
    evidence += [f"{facts.path}: uses {module}, and did not before" for module in sorted(reached)]
    if not evidence:
        return passed(NUMBER)
    return passed(NUMBER, "dangerous" if added else "reaches_out", floor=Tier.APPROVAL_REQUIRED, evidence=evidence)


def _count_dangers(tree: ast.Module) -> Counter[str]:
    """What is dangerous in a file, with how often it is there."""
    names = imported_names(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found.update(_find_dangers(node, names))
        elif isinstance(node, ast.Name | ast.Attribute) and id(node) not in called:
            found.update(_find_mentions(node, names))
        elif isinstance(node, ast.Constant) and node.value in INSIDES:
            found[f"reaches into {node.value}"] += 1
        elif isinstance(node, ast.ImportFrom) and node.module and any(alias.name == "*" for alias in node.names):
            found.update([f"imports all of {node.module}"] if _canonical_module(node.module) in OPENED else [])
    return found


def _find_mentions(node: ast.Name | ast.Attribute, names: dict[str, str]) -> Iterator[str]:
    """Dangerous functions that a name or an attribute mentions: they could be called under another name."""
    target = _dotted_name(node, names)
    if (isinstance(node, ast.Name) and target in BUILTINS) or _is_call(target):
        yield f"refers to {target}"
    name = node.attr if isinstance(node, ast.Attribute) else node.id
    if name in INSIDES:
        yield f"reaches into {name}"


def _is_call(target: str) -> bool:
    """Whether a dotted name is one of :data:`CALLS`, also where it is reached through another module."""
    parts = target.split(".")
    tails = (".".join(parts[at:]) for at in range(len(parts) - 1))
    return any(tail in CALLS or tail.startswith(STARTS) for tail in tails)


def _canonical_module(name: str) -> str:
    return SAME.get(name, name)


def _find_dangers(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    target = _dotted_name(call.func, names)
    if (target in BUILTINS and isinstance(call.func, ast.Name)) or (
        _is_call(target) and not (target == "yaml.load" and _safe_loader(call))
    ):
        yield f"calls {target}"
    if isinstance(call.func, ast.Attribute) and call.func.attr in INSIDES:
        yield f"reaches into {call.func.attr}"
    if target in ("getattr", "builtins.getattr") and call.args and _dotted_name(call.args[0], names) in OPENED:
        yield f"looks a name up in {_dotted_name(call.args[0], names)} when it runs"
    for keyword in call.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg == "shell" and value is not False:
            yield "runs a shell"
        elif keyword.arg == "verify" and value is False:
            yield "switches the check of certificates off"
        elif keyword.arg == "check_hostname" and value is False:
            yield "switches the check of host names off"


def _safe_loader(call: ast.Call) -> bool:
    given = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "Loader")]
    return any(isinstance(node, ast.Attribute | ast.Name) and "Safe" in source(node) for node in given)


def _dotted_name(node: ast.expr, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    first, dot, rest = names.get(node.id, node.id).partition(".")
    return ".".join([_canonical_module(first) + dot + rest, *reversed(parts)])


def _outside_modules(tree: ast.Module) -> frozenset[str]:
    """Modules of :data:`OUTSIDE` that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(
        name.partition(".")[0]
        for name in found
        if name.partition(".")[0] in OUTSIDE and not any(f"{name}.".startswith(f"{one}.") for one in HARMLESS)
    )


def select_facts(inspection: Inspection) -> Iterator[DangerFacts]:
    """One item for each edit."""
    for edit in inspection.candidate.edits:
        yield DangerFacts(path=edit.path, before=inspection.before(edit), after=edit.after)


_PLAIN = b"import os\n\n\ndef f(x):\n    return os.path.join('a', x)\n"

EXAMPLES: tuple[tuple[DangerFacts, Decision | Tier], ...] = (
    (DangerFacts(path="a.py", before=_PLAIN, after=_PLAIN.replace(b"'a'", b"'b'")), Decision.ALLOW),
    (
        DangerFacts(path="a.py", before=_PLAIN, after=_PLAIN.replace(b"os.path.join", b"os.system")),
        Tier.APPROVAL_REQUIRED,
    ),
    (DangerFacts(path="a.py", before=_PLAIN, after=_PLAIN + b"y = eval('1')\n"), Tier.APPROVAL_REQUIRED),
    (DangerFacts(path="a.py", before=_PLAIN, after=b"import socket\n" + _PLAIN), Tier.APPROVAL_REQUIRED),
    (DangerFacts(path="a.py", before=_PLAIN, after=_PLAIN + b"run = eval\n"), Tier.APPROVAL_REQUIRED),
    (
        DangerFacts(path="a.py", before=_PLAIN, after=_PLAIN + b"run = getattr(os, 'sys' + 'tem')\n"),
        Tier.APPROVAL_REQUIRED,
    ),
    (
        DangerFacts(path="a.py", before=_PLAIN, after=_PLAIN + b"every = ().__class__.__base__.__subclasses__()\n"),
        Tier.APPROVAL_REQUIRED,
    ),
    (DangerFacts(path="a.py", before=_PLAIN, after=_PLAIN + b"import re\nword = re.compile('x')\n"), Decision.ALLOW),
    (DangerFacts(path="a.py", before=b"import socket\n", after=b"import socket\nsocket.socket()\n"), Decision.ALLOW),
    (DangerFacts(path="a.txt", before=b"", after=b"eval('1')\n"), Decision.ALLOW),
    (DangerFacts(path="a.py", before=b"eval('1')\n", after=b"eval('2')\n"), Decision.ALLOW),
)
GATE = Gate(
    number=NUMBER,
    name="dangerous code",
    summary="raises: new use of what runs text as code, starts programs, unpickles or opens the network",
    subjects=(Subject.CANDIDATE,),
    facts=DangerFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
