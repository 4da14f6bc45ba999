"""Settings of MCP servers: the servers, the tools that are offered, and limits."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from ledger.vocabulary import Frozen

ALL = "*"
SERVER_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_SERVER_NAME = 24
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class SecretSource(Frozen):
    """Source of a header's value: either ``variable`` or ``file``."""

    variable: str = Field("", description="Environment variable of the daemon that has the value.")
    file: str = Field("", description="File that has the value; it must be readable by its owner only.")
    prefix: str = Field("", description='Text in front of the value, such as "Bearer ".')

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.variable) == bool(self.file):
            raise ValueError("a header takes its value from a variable or from a file: name one of the two")
        return self


class ServerSettings(Frozen):
    """``[tools.mcp.servers.NAME]``: one server, over ``command`` (stdio) or ``url`` (streamable HTTP)."""

    command: str = Field("", description="Program that speaks MCP on its standard input and output.")
    args: tuple[str, ...] = Field((), description="Its arguments.")
    env: tuple[str, ...] = Field((), description="Environment variables that are passed on to it; it gets no other.")
    cwd: str = Field("", description="Absolute path of its working folder, which it may read. Empty: /.")
    readable: tuple[str, ...] = Field((), description="Further absolute paths that it may read inside the sandbox.")
    writable: tuple[str, ...] = Field((), description="Absolute paths that it may write. Never the repository's.")
    network: bool = Field(False, description="It may use the network of this machine; otherwise it has none.")
    url: str = Field("", description="Address of a server that runs elsewhere; https, or this machine.")
    headers: dict[str, SecretSource] = Field({}, description="Headers of its requests, by name.")
    tools: tuple[str, ...] = Field((), description='Its tools that a model is offered, by their own names, or ["*"].')
    read_only: tuple[str, ...] = Field(
        (), description="Those of its tools that only read. The server's own annotations are ignored."
    )
    connect_timeout_s: float = Field(
        30.0, gt=0, description="Seconds until it must be connected and have listed its tools."
    )
    call_timeout_s: float = Field(30.0, gt=0, description="Seconds that one call may take.")
    restarts: int = Field(
        5, ge=0, description="Failures in a row after which it is not restarted; `ouro reload` tries again."
    )

    @model_validator(mode="after")
    def _one_transport(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("a server has either a command or a url")
        foreign = ("args", "env", "cwd", "readable", "writable", "network") if self.url else ("headers",)
        for name in foreign:
            if getattr(self, name):
                raise ValueError(f"{name} does not go with {'url' if self.url else 'command'}")
        for path in (*self.readable, *self.writable, *((self.cwd,) if self.cwd else ())):
            if not Path(path).is_absolute() or ".." in Path(path).parts:
                raise ValueError(f"{path!r} is not an absolute path")
        for name in self.env:
            if not VARIABLE_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a variable")
        if any("\0" in word for word in (self.command, *self.args)):
            raise ValueError("a command cannot hold a NUL character")
        if self.url:
            _check_url(self.url)
        for name in self.headers:
            if not HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
        return self

    def offers(self, tool: str) -> bool:
        """Whether the owner has listed a tool, by the server's own name for it."""
        return ALL in self.tools or tool in self.tools

    @property
    def place(self) -> str:
        """The program, or scheme and host of the URL, for messages: without arguments, path or query."""
        return self.command or f"{urlsplit(self.url).scheme}://{urlsplit(self.url).netloc}"


class McpSettings(Frozen):
    """Limits for every MCP server. Servers are untrusted: a model reads their texts."""

    servers: dict[str, ServerSettings] = Field({}, description="The servers by name, which their tools' names include.")
    start_wait_s: float = Field(5.0, ge=0, description="Seconds that a start waits for servers to connect.")
    message_bytes: int = Field(
        2 * 1024 * 1024, ge=4096, description="Longest message of a server; a longer one ends it."
    )
    tools_offered: int = Field(64, ge=1, description="Tools of one server that are offered at most.")
    tools_listed: int = Field(2048, ge=1, description="Tools of one server that are read; the rest is ignored.")
    description_chars: int = Field(800, ge=0, description="Longest description of a tool; the rest is cut off.")
    schema_bytes: int = Field(
        8192, ge=64, description="Largest argument schema of a tool; a larger one is not offered."
    )
    offer_bytes: int = Field(48 * 1024, ge=1024, description="Descriptions and schemas of one server, all together.")
    backoff_s: float = Field(1.0, gt=0, description="Wait before the first restart; doubled each time.")
    backoff_most_s: float = Field(120.0, gt=0, description="Longest wait before a restart.")
    stable_s: float = Field(60.0, gt=0, description="A connection this long resets the count of failures in a row.")
    refresh_s: float = Field(5.0, ge=0, description="Least time between two reads of a tool list that changes.")
    recheck_s: float = Field(60.0, gt=0, description="Time between two checks of a server over HTTP.")
    stop_s: float = Field(1.0, ge=0, description="Time that a server gets to end by itself once its input is closed.")

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in self.servers:
            if not SERVER_NAME.fullmatch(name) or len(name) > LONGEST_SERVER_NAME:
                raise ValueError(
                    f"{name!r} cannot name a server: small letters, digits and single dashes, "
                    f"at most {LONGEST_SERVER_NAME}, no underscore (it ends the name in mcp_<server>_<tool>)"
                )
        return self


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a url begins with https:// or http:// and names a machine")
    if parts.username or parts.password:
        raise ValueError("a url must not hold a name or password: use headers")
    if parts.scheme == "http" and not _this_machine(parts.hostname):
        raise ValueError("http without TLS goes to this machine only: use https")


def _this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
