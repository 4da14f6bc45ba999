"""A server from the package index, as a child in the sandbox: `mcp-server-git` on a real repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.errors import ToolError
from tests.repos import commit, git
from tests.tools.mcp.conftest import Hall, view
from tools.mcp.server import ConnectionState
from tools.policy import NotOffered

ROOT = Path(__file__).parents[3]
PROGRAM = Path(sys.executable).with_name("mcp-server-git")


@pytest.fixture(params=["bwrap", "landlock"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_real_server_reads_the_repository_and_cannot_write_it(hall: Hall) -> None:
    assert PROGRAM.exists(), "the development environment has mcp-server-git"
    repo = hall.places.repo
    commit(repo, "A change that the server is asked for", {"a.py": "x = 1\n"})
    (repo / "b.py").write_text("y = 2\n")
    git(repo, "add", "b.py")
    server = {
        "command": str(PROGRAM), "readable": [str(repo)], "tools": ["git_log", "git_commit", "no_such"],
        "read_only": ["git_log"],
    }  # fmt: skip
    servers = await hall.start(servers={"git": server})
    found = view(servers)
    assert found.standing is ConnectionState.CONNECTED, found
    assert found.about.startswith("mcp-git") and set(found.tools) == {"mcp_git_git_log", "mcp_git_git_commit"}
    assert found.left_out == (("no_such", "the server has no such tool"),)
    log = servers.find("mcp_git_git_log")
    write = servers.find("mcp_git_git_commit")
    assert log is not None and write is not None and (log.writes, write.writes) == (False, True)
    said = await log.prepare(f'{{"repo_path": "{repo}", "max_count": 1}}').start(None)  # type: ignore[arg-type]
    assert "A change that the server is asked for" in said
    with pytest.raises(ToolError, match=r"Read-only|failed"):
        await write.prepare(f'{{"repo_path": "{repo}", "message": "mine"}}').start(None)  # type: ignore[arg-type]
    assert git(repo, "log", "-1", "--format=%s") == "A change that the server is asked for"
    with pytest.raises(ToolError):
        await log.prepare(f'{{"repo_path": "{hall.places.state}"}}').start(None)  # type: ignore[arg-type]
    assert servers.not_offered("mcp_git_git_reset") is NotOffered.NOT_LISTED


def test_a_daemon_without_servers_does_not_load_the_sdk() -> None:
    code = (
        "import sys, daemon.lifecycle.service, daemon.app.runtime, daemon.control.service_api\n"
        "import daemon.adapters.sensor_manager, daemon.lifecycle.recovery, daemon.views.mcp\n"
        "print(sorted({'mcp', 'mcp_types', 'httpx2', 'jsonschema', 'starlette', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


assert shutil.which("git")
