"""Gate 3: which rule denies which command, that a command is read as bash reads it, and its properties."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.irongate.shell.examples import ALLOWED, DENIED
from governance.irongate.shell.reading import read
from governance.irongate.tool.g03_commands import CommandFacts, check, gather, segments, written_paths
from ledger.vocabulary import Decision

ROWS = [(rule, command) for rule, commands in DENIED.items() for command in commands]
MORE = {
    "unparsable": (
        "ls\0",
        "a" * 20_000,
        "(" * 300 + "ls",
        "cat <<E\nE\\\nF\n",
        "m1 \\\n#x\nrm -rf y",
        "echo a\\\n#b; rm -rf c",
        "!}x",
        "1x=",
        "cat <<A && cat <<B\na\nA\nb\nB",
        "cd a; cd b; cd c; cd d; touch" + " a" * 2000,
        "echo \udc80",
        "echo ${x@P}",
        "echo ${x[@]@P}",
        "exec {x}>f",
        "m1 {PATH}>o",
    ),
    "computed": (
        "a=1 $b",
        "a{b,c} d",
        "r?  x",
        "~/bin/x",
        "command $x",
        "env -S 'rm x'",
        "bash",
        "bash -s",
        "sh -",
        "exec $x",
        "find . -exec $x {} \\;",
        "find $x",
        "xargs -I{} sh -c {}",
        "find . $x -name y",
        "git $x log",
        "pip $x",
        'python -m"$x"',
        ". <(ls)",
        "source /dev/stdin",
        "cat x | bash",
        "bash < x",
        "unset 'a[$(ls)]'",
        "let 'a[$(ls)]=1'",
        "test -v 'a[$(ls)]'",
        "mapfile -C 'rm' x",
        "dd of=$x",
        "cd $x",
        "cd -",
        "cd",
        "$'rm' x",
        "busybox rm x",
        "/lib64/ld-linux-x86-64.so.2 /bin/rm x",
        "coproc rm",
        "zsh -c ls",
        "tar --to-command=x -xf y",
        "x='$(rm -rf y)'; ((a[x]))",
        "watch ls",
        "sed -i s/a/b/ *.py",
        "source -- /dev/stdin",
        "ls | bash //dev/stdin",
        "ls | bash ../../dev/stdin",
        "ls | . a/../../dev/fd/0",
        "find . -name {x,-delete}",
        "find . -path {x,-exec,rm,-r,y,\\;}",
        "jobs -x rm x",
        'split --fil "$x" y',
        "x=a\\[\\$\\(ls\\)\\]; echo $((x))",
        "x=$'a[\\x24(ls)]'; echo $((x))",
        "x86_64 rm x",
        "pee 'rm x'",
        "/lib/ld-musl-x86_64.so.1 /bin/rm x",
        "/lib64/ld-2.31.so rm x",
        "sort --compress-prog=x y",
        "mapfile -tC rm x",
        "set -o history; set -H\nls\n!!",
        "set -eH",
        "shopt -so histexpand",
        "bash -o history -c ls",
        "history -s x",
        "set -o $x",
        'trap -- "$x" EXIT',
    ),
    "environment": (
        "PS4='$(ls)' bash -x y",
        "declare PATH=x",
        "read PATH",
        "printf -v PATH x",
        "echo ${PATH:=x}",
        "IFS=x ls",
        "PIP_INDEX_URL=x ls",
        "((1)); BASH_ENV=x sh y",
        "local LD_PRELOAD=x",
        "env GIT_DIR=x ls",
        "declare -n r=PATH; r=x",
        "typeset -gn r=x",
        "wait -p PATH",
        "wait -pPATH",
        ": ${BASH_ENV[0]:=x}",
        "TAR_OPTIONS=--to-command=x tar xf y",
    ),
    "privilege": (
        "time sudo x",
        "xargs sudo",
        "if sudo x; then y; fi",
        "x=$(su)",
        "a | (b; sudo c)",
        "/usr/bin/sudo x",
        "chmod 4755 x",
        "chmod a+s x",
        "nohup setsid nice -n 5 mount x",
    ),
    "destructive": (
        "timeout 5 rm -rf x",
        "eval 'rm -rf x'",
        'echo "$(rm -rf x)"',
        "cat <(rm -rf x)",
        "rm x -r",
        "while rm -rf x; do y; done",
        "trap 'rm -rf x' EXIT",
        "> f rm -rf x",
        "rm > f -rf x",
        "\\rm -rf x",
        "echo $((1+$(rm -rf x)))",
        "case x in y) rm -rf z;; esac",
        "bash -euo pipefail -c 'rm -rf x'",
        "sh -c \"sh -c 'rm -rf x'\"",
        "find . -name x -exec rm -rf y \\;",
        "! rm -rf x",
        "x &\nrm -rf y",
        "echo `rm -rf x`",
        "echo ${x:-$(rm -rf y)}",
        "cat <<< $(rm -rf x)",
        "env A=b rm -rf x",
        "chmod -R x y",
        "trap -- 'rm -rf x' EXIT",
        "split --filter='rm -rf x' y",
        "cmake -E rm -rf x",
        "cmake -E env A=b rm -rf x",
        "cmake -E remove_directory x",
    ),
    "network": (
        "x | curl y",
        "exec 3</dev/tcp/a/1",
        "python -mhttp.server",
        "git fetch",
        "openssl s_client x",
        "x=/dev/tcp/a/1; cat < $x",
    ),
    "git_history": (
        "git reset --hard",
        "git checkout .",
        "git clean -fd",
        "git --work-tree x log",
        "git config a b",
        "git branch x",
        "git tag x",
        "git stash pop",
        "git show --ext-diff",
        "git log --outp=x",
        "git-commit",
        "git remote -v update",
        "git remote -v add x y",
        "git branch -v x",
        "git branch -a x",
        "git log {HEAD,--output=x}",
        "git grep -nOless x",
        "git stash list --output=x",
        "git reflog show --output=x",
    ),
    "package_install": ("python3.11 -m pip install x", "pip3 install x", "uv pip install x", "yarn", "npx x"),
    "outside": (
        "cp a /b",
        "mv /a b",
        "cp -t /x a",
        "cp --target-directory=/x a",
        "install a /b",
        "sort -o /x y",
        "sort -o/x y",
        "find . -fprint /x",
        "unzip x -d /y",
        "a &> /x",
        "a 2>> /x",
        "a <> /x",
        "ln a /x",
        "cd x && cd ../.. && touch y",
        "pushd /x",
        "(cd ..; touch x)",
        "dd if=x of=/dev/sda",
        "sed -ni p /x",
        "perl -pi -e s/a/b/ /x",
        "tee a /b",
        "truncate -s 0 /x",
        "> ../x",
        "touch -- -x",
        "cp -rvt.. a",
        "mv -t.. a",
        "ln -t.. a",
        "sort -uo ../x y",
        "sort --outp ../x y",
        "patch -p1 -d.. -i x",
        "patch --direc=..",
        "tar -xC.. -f x",
        "tar -cf../x y",
        "tar --one-top-level=/x -xf y",
        "unzip -od../x y",
        "tar -xI./x -f y",
    ),
}
LOOSE = {"a <> /x", "exec 3</dev/tcp/a/1", "npx x"}


def rule(command: str, **facts: object) -> str:
    return check(
        CommandFacts.model_construct(**{**CommandFacts(command="").model_dump(), "command": command, **facts})
    ).rule


@pytest.mark.parametrize(("expected", "command"), [*ROWS, *((r, c) for r, cs in MORE.items() for c in cs)])
def test_denied_by_its_rule(expected: str, command: str) -> None:
    found = check(CommandFacts.model_construct(**{**CommandFacts(command="").model_dump(), "command": command}))
    assert found.decision is Decision.DENY
    assert found.reason and found.evidence
    if command not in LOOSE:
        assert found.rule == f"gate03.{expected}", found.reason


@pytest.mark.parametrize("command", ALLOWED)
def test_allowed(command: str) -> None:
    assert check(CommandFacts(command=command)).decision is Decision.ALLOW


def test_code_that_is_not_read_is_named() -> None:
    assert check(CommandFacts(command="python3 -c 'x' && ls")).evidence == ("python3 -c runs code that was not read",)
    assert check(CommandFacts(command="python3 - <<'E'\nx\nE\n")).evidence == ("python3 - runs code that was not read",)


def test_the_disk_is_looked_at(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "src").mkdir(parents=True)
    (root / ".env").write_text("x")
    (root / "away").symlink_to(tmp_path)

    def of(command: str) -> str:
        return check(gather(str(root), command, seen_at="/seen")).rule

    assert of("touch away/x") == "gate03.outside"
    assert of("echo x > SRC/a.py") == "gate03.outside"
    assert of("cat < .env") == of("grep x ./.env") == of("cp .env x") == of("x --file=.env") == "gate03.protected"
    assert of("cd src && cat ../.env") == "gate03.protected"
    assert of("cat .env.local") == of("grep credentials src") == "gate03.ok", "what is not there cannot be read"
    assert of(f"touch {root}/src/x /seen/src/y") == "gate03.ok"
    assert of("touch /seen/.env") == "gate03.protected"
    assert of("touch /seenx/y") == "gate03.outside"


def test_paths_are_meant_from_every_folder_that_was_gone_to() -> None:
    facts = CommandFacts(command="cd governance; echo x > risk.py", own=("/governance",))
    assert check(facts).rule == "gate03.protected"
    assert written_paths(facts) == ("governance", "risk.py", "governance/risk.py")


def test_the_owner_allows_classes_only() -> None:
    def allowed(command: str, *patterns: str) -> str:
        return check(CommandFacts(command=command, allowed=patterns)).rule

    assert allowed("git commit -m x", "git commit *") == "gate03.ok"
    assert allowed("timeout 5 git commit -m x && ls", "git commit *") == "gate03.ok"
    assert allowed("git commit -m x; git push", "git commit *") == "gate03.network"
    assert allowed("git 'commit -m x'", "git commit *") == "gate03.git_history"
    assert allowed("git commit -m $x", "git commit *") == "gate03.git_history"
    assert allowed("git commit -m x > /etc/x", "git commit *") == "gate03.outside"
    for command in ("sudo ls", "$x", "echo 'x", "touch /x", "touch .env", "ouro status", "PATH=x ls"):
        assert allowed(command, "*") != "gate03.ok"


COMPLETE = st.sampled_from([*ALLOWED, *(command for _, command in ROWS if "<<" not in command)])
JOINS = st.sampled_from(["{0}\n{1}", "{1}\n{0}", "{0}; {1}", "{0} && {1}", "{1} | {0}", "({0}\n{1}\n)", "{1} & {0}"])
BAD = st.sampled_from([command for name, command in ROWS if command and name != "unparsable" and "#" not in command])


@settings(deadline=None, max_examples=300)
@given(bad=BAD, more=COMPLETE, join=JOINS)
def test_more_commands_never_allow_a_denied_one(bad: str, more: str, join: str) -> None:
    assert check(CommandFacts(command=bad)).decision is Decision.DENY
    assert check(CommandFacts(command=join.format(bad, more))).decision is Decision.DENY


@settings(deadline=None, max_examples=100)
@given(command=COMPLETE, owner=st.lists(st.sampled_from(["src", "*.py", "x", "a/b"])).map(tuple))
def test_more_protected_paths_never_allow_more(command: str, owner: tuple[str, ...]) -> None:
    if check(CommandFacts(command=command)).decision is Decision.DENY:
        assert check(CommandFacts(command=command, owner=owner)).decision is Decision.DENY


PIECES = [
    "m1",
    "m2",
    "m3",
    " ",
    " ",
    "\n",
    ";",
    " ; ",
    "&&",
    "||",
    "|",
    "&",
    "'",
    '"',
    "\\",
    "\\\n",
    "$(",
    "`",
    ")",
    "(",
    "{ ",
    "; }",
    "#",
    " #",
    "<<E\n",
    "<<'E'\n",
    "<<-E\n",
    "\nE\n",
    "E",
    "\t",
    "$x",
    "${x",
    "}",
    "${x:-",
    "$'",
    '$"',
    "\\",
    "<(",
    ">(",
    "$((",
    "))",
    "1",
    "+",
    "=",
    "a=",
    "x=",
    "[[ ",
    " ]]",
    "if ",
    "; then ",
    "; fi",
    "esac",
    "case m1 in ",
    "m1) ",
    ";;",
    "for i in ",
    "; do ",
    "; done",
    "f() ",
    "!",
    "*",
    "~",
    "[",
    "]",
    "{a,b}",
    "<<<",
    "&>",
    "2>&1",
    ">o",
    "<i",
    "eval ",
    "time ",
    "-",
    "--",
    "\r",
    "\\ ",
    "\\#",
    "$",
    "$#",
    "${#x}",
    "${x#",
    "\\'",
    '\\"',
    "coproc ",
    "function g ",
    "while ",
    "until ",
    "exec ",
    "command ",
    "-c ",
    "bash -c ",
    "env ",
]
TELL = (
    "command_not_found_handle() { local l; printf -v l '%s\\037' \"$@\"; printf '%s\\036' \"$l\" >&9; }\n"
    'exec 9>"$2"; eval "$1"'
)
BASH = shutil.which("bash") or ""
KNOWN_SLIPS = [
    "'\\#2>&1'",
    "m1 -<<E\nm2\nE\nm3",
    "=`m1`",
    "a=\\\n m1",
    "m1 #x\n\\\nm2",
    "time a=b m1",
    "m1 -2>&1",
    "x=(m1)'a' m2",
    "m1 {x}>o m2",
    "m1 >& -m2",
    "m1 <& -- m2",
]


def ran(command: str, folder: Path) -> list[list[str]]:
    """Programs that bash would start for ``command``, with their arguments; none of them exists."""
    told = folder / "told"
    told.write_bytes(b"")
    try:
        subprocess.run(
            [BASH, "--noprofile", "--norc", "-c", TELL, "x", command, str(told)],
            cwd=folder,
            env={"PATH": "/nonexistent", "HOME": "/home/x"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=5,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:  # an endless loop of nothing
        return []
    return [one.split("\x1f")[:-1] for one in told.read_text(errors="replace").split("\x1e") if one]


def seen(command: str, argv: list[str]) -> bool:
    """Whether the gate judged that very program with those very words."""
    reading = read(command)
    same = [words for words in reading.commands if words[0].text == argv[0]]
    unsure = any(word.text is None for words in same for word in words)
    return bool(same) and (unsure or any([word.text for word in words] == argv for words in same))


def test_what_bash_starts_was_judged(tmp_path: Path) -> None:
    """Random text: where the gate finds nothing unclear, bash starts no program that the gate did not see."""
    (tmp_path / "i").write_text("m3\n")
    chance = random.Random(20261122)
    tried = 0
    commands = list(KNOWN_SLIPS)
    while len(commands) < 6000:
        commands.append("m1 " * (chance.random() < 0.6) + "".join(chance.choices(PIECES, k=chance.randint(2, 14))))
    for command in commands:
        if any(finding.rule in ("unparsable", "computed") for finding in read(command).findings):
            continue
        tried += 1
        for argv in ran(command, tmp_path):
            assert seen(command, argv), (command, argv, segments(command))
        if tried >= 250:
            break
    assert tried >= 200 and os.listdir(tmp_path)
