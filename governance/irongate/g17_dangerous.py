"""Gate 17, dangerous code: what runs text as code, starts programs, reads objects out of bytes or opens the network.

Only what a change adds counts, by syntax. A person says yes to it: a repair that needs such a thing is rare, and one
that was talked into it is not.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from governance.irongate.paths import is_python
from governance.irongate.syntax import imported_names, parse
from governance.irongate.verdicts import passed
from ledger.vocabulary import Decision, Frozen, Tier, Verdict

GATE = 17
BUILTINS = frozenset({"eval", "exec", "compile", "__import__"})
CALLS = frozenset(
    {
        "os.system", "os.popen", "os.execv", "os.execve", "os.execvp", "os.execl", "os.spawnv", "os.fork",
        "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open",
        "dill.load", "dill.loads", "yaml.load", "yaml.unsafe_load", "ctypes.CDLL", "ctypes.cdll.LoadLibrary",
        "ssl._create_unverified_context", "importlib.import_module", "runpy.run_path", "runpy.run_module",
        "shutil.rmtree", "tempfile.mktemp", "asyncio.create_subprocess_shell", "asyncio.create_subprocess_exec",
        "asyncio.open_connection", "os.execvpe", "os.execlp", "os.posix_spawn", "yaml.load_all", "yaml.unsafe_load_all",
        "torch.load", "joblib.load", "pty.spawn", "builtins.eval", "builtins.exec",
    }
)  # fmt: skip
OUTSIDE = frozenset(
    {
        "subprocess", "socket", "socketserver", "ssl", "http", "urllib", "ftplib", "smtplib", "telnetlib", "xmlrpc",
        "requests", "httpx", "aiohttp", "urllib3", "websockets", "paramiko", "pexpect", "multiprocessing", "pty",
    }
)  # fmt: skip
"""Modules that reach out of the process."""
HARMLESS = frozenset({"urllib.parse", "urllib.error", "http.HTTPStatus", "http.cookies"})


class Facts(Frozen):
    """One file before and after."""

    path: str
    before: bytes | None
    after: bytes | None


def check(facts: Facts) -> Verdict:
    """Raise the tier for what is in the file now and was not before."""
    new = parse(facts.after) if facts.after is not None and is_python(facts.path) else None
    if new is None:
        return passed(GATE)
    old = parse(facts.before) if facts.before is not None else None
    if old is None and facts.before is not None:
        return passed(GATE, "no_comparison", floor=Tier.NOTIFY_APPLY, evidence=[f"{facts.path} did not parse before"])
    added = _found(new) - (_found(old) if old is not None else Counter())
    reached = _outside(new) - (_outside(old) if old is not None else frozenset())
    evidence = [f"{facts.path}: {what}" for what in sorted(added)]
    evidence += [f"{facts.path}: uses {module}, and did not before" for module in sorted(reached)]
    if not evidence:
        return passed(GATE)
    return passed(GATE, "dangerous" if added else "reaches_out", floor=Tier.APPROVAL_REQUIRED, evidence=evidence)


def _found(tree: ast.Module) -> Counter[str]:
    """What is dangerous in a file, with how often it is there."""
    names = imported_names(tree)
    return Counter(what for node in ast.walk(tree) if isinstance(node, ast.Call) for what in _dangers(node, names))


def _dangers(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    target = _dotted(call.func, names)
    if (target in BUILTINS and isinstance(call.func, ast.Name)) or (
        target in CALLS and not (target == "yaml.load" and _safe_loader(call))
    ):
        yield f"calls {target}"
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
    return any(isinstance(node, ast.Attribute | ast.Name) and "Safe" in ast.unparse(node) for node in given)


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _outside(tree: ast.Module) -> frozenset[str]:
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


_PLAIN = b"import os\n\n\ndef f(x):\n    return os.path.join('a', x)\n"

EXAMPLES: tuple[tuple[Facts, Decision | Tier], ...] = (
    (Facts(path="a.py", before=_PLAIN, after=_PLAIN.replace(b"'a'", b"'b'")), Decision.ALLOW),
    (Facts(path="a.py", before=_PLAIN, after=_PLAIN.replace(b"os.path.join", b"os.system")), Tier.APPROVAL_REQUIRED),
    (Facts(path="a.py", before=_PLAIN, after=_PLAIN + b"y = eval('1')\n"), Tier.APPROVAL_REQUIRED),
    (Facts(path="a.py", before=_PLAIN, after=b"import socket\n" + _PLAIN), Tier.APPROVAL_REQUIRED),
    (Facts(path="a.py", before=b"import socket\n", after=b"import socket\nsocket.socket()\n"), Decision.ALLOW),
    (Facts(path="a.txt", before=b"", after=b"eval('1')\n"), Decision.ALLOW),
    (Facts(path="a.py", before=b"eval('1')\n", after=b"eval('2')\n"), Decision.ALLOW),
)  # fmt: skip
