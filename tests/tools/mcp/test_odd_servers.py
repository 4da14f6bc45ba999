"""Servers that do not behave, as real children behind real walls: each is told, bounded and survived."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.errors import ToolError
from ledger.places import Places
from tests.tools.mcp.conftest import SECRETS, Hall, call, odd, until, view
from tests.tools.sandbox.boxes import running, soon_gone
from tools.mcp.server import ConnectionState
from tools.policy import NotOffered


def token() -> str:
    """A length of sleep that no other process of this machine has."""
    return f"{2000 + int.from_bytes(os.urandom(2), 'big')}.{os.getpid()}"


async def test_tools_are_called_and_every_kind_of_result_is_told(hall: Hall) -> None:
    servers = await hall.one("good", read_only=["echo"])
    assert view(servers).standing is ConnectionState.CONNECTED and view(servers).about == "odd 1, protocol 2025-06-18"
    assert await call(servers, "echo", '{"text": "hello"}') == "hello"
    assert (await call(servers, "parts")).splitlines() == [
        "one",
        "[image, image/png, 300 bytes: not shown]",
        "[audio, audio/wav, 300 bytes: not shown]",
        "[link to file:///a, no type: a]",
        "[resource file:///b, text/plain]",
        "inside",
        "[resource file:///c, no type, 300 bytes: not shown]",
    ]
    with pytest.raises(ToolError, match="The tool says that it failed: no luck"):
        await call(servers, "fail")
    writes = {tool.name: tool.writes for tool in servers.tools()}
    assert writes["mcp_x_echo"] is False and writes["mcp_x_fail"] is True  # its own word on that is not believed


async def test_a_server_gets_named_variables_only_and_its_secret_never_comes_back(hall: Hall) -> None:
    servers = await hall.one("good", env=["MCP_TOKEN", "NOT_SET"])
    names = set((await call(servers, "env")).splitlines())
    assert "MCP_TOKEN" in names and not names & {"USER", "LOGNAME", "SSH_AUTH_SOCK", "NOT_SET", "PYTHONPATH"}
    assert await call(servers, "secret") == "it is [secret]"
    assert not running(SECRETS["MCP_TOKEN"])  # on no command line, which anybody on the machine can read
    assert SECRETS["MCP_TOKEN"] not in json.dumps(hall.notes)


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("dies", "it ended with code 1; it said last: cannot start here"),
        ("garbage", "it does not speak MCP on its standard output: 'Welcome to the server!'"),
        ("silent", "it did not answer within 0.4 s"),
        ("no-newline", "it sent a message of more than 2097152 bytes"),
        ("unwilling", "it did not answer within 0.4 s"),
        ("floods", "it wrote too much to its standard error"),
    ],
)
async def test_a_server_that_never_connects_is_given_up_by_name(hall: Hall, mode: str, why: str) -> None:
    limit_s = 0.4 if mode in ("silent", "unwilling") else 60
    servers = await hall.one(mode, restarts=2, connect_timeout_s=limit_s)
    await until(lambda: view(servers).standing is ConnectionState.GIVEN_UP)
    assert why in view(servers).reason and "3 failures in a row" in view(servers).reason
    assert hall.events() == ["mcp.lost", "mcp.lost", "mcp.given_up"]
    assert len(hall.waits) == 2 and 0.5 <= hall.waits[0] <= 1 and 1 <= hall.waits[1] <= 2
    assert servers.tools() == [] and servers.not_offered("mcp_x_echo") is NotOffered.NOT_CONNECTED


async def test_a_greeting_on_standard_output_is_forgiven(hall: Hall) -> None:
    servers = await hall.one("greets")
    assert await call(servers, "echo", '{"text": "hello"}') == "hello"


async def test_a_death_in_a_call_fails_the_call_and_the_server_comes_back(hall: Hall) -> None:
    servers = await hall.one("good")
    with pytest.raises(ToolError, match="lost during the call"):
        await call(servers, "die")
    await until(lambda: hall.events()[-1:] == ["mcp.connected"] and len(hall.notes) == 3)
    assert "it ended with code 7; it said last: dying now" in hall.notes[1][1]["reason"]
    await until(lambda: view(servers).standing is ConnectionState.CONNECTED)
    assert await call(servers, "echo", '{"text": "again"}') == "again"


async def test_failures_count_in_a_row_only(hall: Hall) -> None:
    servers = await hall.one("good", restarts=1)
    for _ in range(3):
        await until(lambda: view(servers).standing is ConnectionState.CONNECTED)
        hall.clock.advance(61)
        with pytest.raises(ToolError):
            await call(servers, "die")
        await until(lambda: view(servers).standing is not ConnectionState.CONNECTED)
    await until(lambda: view(servers).standing is ConnectionState.CONNECTED)
    assert all(wait <= 1 for wait in hall.waits if wait)
    with pytest.raises(ToolError):
        await call(servers, "die")  # the second in a row
    await until(lambda: view(servers).standing is ConnectionState.GIVEN_UP)


async def test_a_hundred_megabytes_are_not_kept(hall: Hall) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    servers = await hall.one("huge")
    with pytest.raises(ToolError, match="lost during the call"):
        await call(servers, "echo")
    await until(lambda: "mcp.lost" in hall.events())
    assert "message of more than 2097152 bytes" in hall.notes[1][1]["reason"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 * 1024


async def test_of_thousands_of_tools_a_few_are_offered(hall: Hall) -> None:
    servers = await hall.one("thousands")
    found = view(servers)
    assert len(found.tools) == 64 and found.left_out[0] == ("t64", "64 tools of this server are offered already")
    listed = await hall.one("thousands", tools=["t7", "t4000"])
    assert view(listed).tools == ("mcp_x_t7",)
    assert view(listed).left_out == (("t4000", "it is not among the first tools of the server"),)
    assert listed.not_offered("mcp_x_t8") is NotOffered.NOT_LISTED
    assert listed.not_offered("mcp_x_never") is NotOffered.UNKNOWN


async def test_odd_names_and_schemas_are_told_and_left_out(hall: Hall) -> None:
    servers = await hall.one("odd")
    found = view(servers)
    assert found.tools == ("mcp_x_______etc", "mcp_x__n__code", "mcp_x_" + "x" * 58, "mcp_x_fine")
    why = dict(found.left_out)
    assert why["a b"] == why["a_b"] == "another tool of this server would be told as mcp_x_a_b, too"
    assert why["remote"] == "its schema refers to something outside of itself"
    assert "deeper than" in why["deep"] and "not valid" in why["wrong"] and "larger than" in why["large"]
    assert set(why) == {"a b", "a_b", "remote", "deep", "wrong", "large", "(no name)"}
    (fine,) = (tool for tool in servers.tools() if tool.name == "mcp_x_fine")
    assert fine.description.isprintable() and len(fine.description) < 900 and "[31m" in fine.description


async def test_tools_that_are_told_wrongly_are_left_out_and_the_others_work(hall: Hall) -> None:
    servers = await hall.one("malformed")
    found = view(servers)
    assert found.tools == ("mcp_x_echo", "mcp_x_annotated", "mcp_x_parts"), found
    names = [name for name, _ in found.left_out]
    wrong = {"(no name)", "no_schema", "schema", "kind", "properties", "required", "described"}
    assert set(names) == wrong and names.count("(no name)") == 5
    assert all(why.startswith("it does not match MCP's schema of a tool") for _, why in found.left_out)
    assert dict(found.left_out)["no_schema"].endswith("inputSchema: Field required")
    assert await call(servers, "echo", '{"text": "hello"}') == "hello"


async def test_what_reads_like_orders_is_not_told_of_a_tool(hall: Hall) -> None:
    servers = await hall.one("orders")
    found = view(servers)
    assert found.tools == ("mcp_x_plain", "mcp_x_says", "mcp_x_noted")
    assert found.withheld == (("mcp_x_says", "gate18.override"), ("mcp_x_noted", "gate18.override"))
    why = "gate18.override: its name, or names or values of its arguments, read like orders"
    assert found.left_out == (("ignore_all_previous_instructions", why), ("valued", why))
    told = {tool.name: f"{tool.description} {json.dumps(tool.schema())}" for tool in servers.tools()}
    assert "revious" not in str(told) and "withheld by gate18.override" in told["mcp_x_says"]
    assert '"description": {"type": "string"}' in told["mcp_x_noted"], "an argument of that name stays"
    assert hall.notes[0][1]["withheld"] == [list(pair) for pair in found.withheld]
    assert await call(servers, "says", '{"text": "hello"}') == "hello"


async def test_a_list_that_changes_is_looked_at_again_and_recorded(hall: Hall) -> None:
    servers = await hall.one("good", tools=["grow", "grown"])
    assert view(servers).tools == ("mcp_x_grow",)
    assert servers.not_offered("mcp_x_grown") is NotOffered.UNKNOWN
    await call(servers, "grow")
    await until(lambda: servers.find("mcp_x_grown") is not None)
    assert hall.events() == ["mcp.connected", "mcp.tools"]
    assert hall.notes[0][1]["sha256"] != hall.notes[1][1]["sha256"]


async def test_a_call_that_takes_too_long_is_told_to_both_sides(hall: Hall) -> None:
    servers = await hall.one("good", call_timeout_s=0.2, tools=["hang", "grow", "was_cancelled"])
    with pytest.raises(ToolError, match=r"did not answer within 0\.2 s"):
        await call(servers, "hang")
    await call(servers, "grow")  # its list shows what it was told
    await until(lambda: servers.find("mcp_x_was_cancelled") is not None)


async def test_a_cancelled_call_is_told_to_the_server(hall: Hall) -> None:
    servers = await hall.one("good", tools=["hang", "grow", "was_cancelled"])
    task = asyncio.create_task(call(servers, "hang"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await call(servers, "grow")
    await until(lambda: servers.find("mcp_x_was_cancelled") is not None)


@pytest.mark.parametrize("backend", ["bwrap", "landlock", "none"])
@pytest.mark.parametrize("mode", ["forks", "stubborn"])
async def test_nobody_outlives_a_stop(hall: Hall, mode: str) -> None:
    mark = token()
    servers = await hall.one(mode, mark)
    assert view(servers).standing is ConnectionState.CONNECTED, view(servers)
    await until(lambda: len(running(f"sleep\0{mark}")) == 1)
    await servers.stop()
    assert soon_gone(mark) and not running(str(mark))
    assert view(servers).standing is ConnectionState.STOPPED and servers.tools() == []


HOST = """
import asyncio, json, sys
from pathlib import Path
from ledger.clock import SystemClock
from tests.repos import host_env, make_places
from tools.mcp.servers import McpServers
from tools.mcp.settings import McpSettings
from tools.sandbox.choice import choose
from tools.sandbox.settings import SandboxSettings
async def main():
    async def note(event): print(event.title, flush=True)
    base, backend, server = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    places = make_places(base, base / "repo")
    choice = await choose(SandboxSettings(backend=backend, allow_unsandboxed=True), places, host_env())
    settings = McpSettings.model_validate({"servers": {"x": server}, "start_wait_s": 30})
    servers = McpServers(
        settings=settings, places=places, env=host_env(), lookup=lambda name: None, note=note, screen=lambda text: "",
        clock=SystemClock()
    )
    await servers.start(choice.sandbox)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("backend", ["landlock", "none"])
def test_nobody_outlives_a_killed_daemon(places: Places, tmp_path: Path, backend: str) -> None:
    """With bubblewrap: tests/e2e."""
    mark = token()
    argv = [sys.executable, "-c", HOST, str(tmp_path), backend, json.dumps(odd("stubborn", mark))]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None and host.stdout.readline() == b"mcp.connected\n"
        assert len(running(f"sleep\0{mark}")) == 1
        host.kill()
    assert soon_gone(mark)


async def test_a_server_whose_connection_cannot_be_recorded_is_not_offered(hall: Hall) -> None:
    hall.broken = True
    servers = await hall.one("good")
    assert view(servers).standing is ConnectionState.REFUSED and "takes no entry" in view(servers).reason
    assert servers.tools() == [] and servers.not_offered("mcp_x_echo") is NotOffered.NOT_CONNECTED


async def test_a_second_start_begins_nothing_after_a_stop(hall: Hall) -> None:
    servers = await hall.one("good")
    await servers.stop()
    await servers.start(hall.sandbox)
    assert view(servers).standing is ConnectionState.STOPPED


@pytest.mark.parametrize("steps", [0, 2, 8, 30])
async def test_a_stop_in_any_phase_of_the_start_leaves_nobody(hall: Hall, steps: int) -> None:
    mark = token()
    starting = asyncio.create_task(hall.one("forks", mark, bounds={"start_wait_s": 60}))
    for _ in range(steps):
        await asyncio.sleep(0.005)
    starting.cancel()
    await asyncio.wait({starting})
    for servers in hall.made:
        await servers.stop()
    assert soon_gone(mark)


async def test_without_a_sandbox_a_child_is_refused_until_there_is_one(hall: Hall) -> None:
    sandbox, hall.sandbox = hall.sandbox, None
    servers = await hall.one("good")
    assert view(servers).standing is ConnectionState.REFUSED and "No sandbox" in view(servers).reason
    assert servers.not_offered("mcp_x_echo") is NotOffered.NOT_CONNECTED
    await servers.start(sandbox)
    assert view(servers).standing is ConnectionState.CONNECTED


async def test_what_only_the_owner_can_mend_is_refused_at_once(hall: Hall) -> None:
    places = hall.places
    wrong = {
        "gone": {"command": "no-such-program-here"},
        "state": {"command": "true", "readable": [str(places.state / "keys")]},
        "repo": {"command": "true", "writable": [str(places.repo / "src")]},
        "above": {"command": "true", "writable": [str(places.repo.parent)]},
    }
    servers = await hall.start(servers=wrong)
    reasons = {one.name: one.reason for one in servers.views()}
    assert all(one.standing is ConnectionState.REFUSED for one in servers.views())
    assert "was not found" in reasons["gone"] and "is reserved for the daemon" in reasons["state"]
    assert all("is reserved for the daemon" in reasons[name] for name in ("repo", "above"))
    assert hall.events() == ["mcp.refused"] * 4 and hall.waits == []
