"""A sender of webhooks, honest or not, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import socket
import uuid
from collections.abc import Mapping
from typing import Any

GITHUB_SECRET = "a secret that nobody guesses"
STANDARD_SECRET = "whsec_" + base64.b64encode(b"another one, of 24 bytes").decode()
VARIABLES = {"HOOK_GITHUB": GITHUB_SECRET, "HOOK_STANDARD": STANDARD_SECRET}
SECTION = {"github_secrets": ("HOOK_GITHUB",), "standard_secrets": ("HOOK_STANDARD",)}


def free_port() -> int:
    """A port of loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def posted(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The bytes of a request."""
    all_of_them = {
        "Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers,
    }  # fmt: skip
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_of_them.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def github(
    told: Mapping[str, Any] | bytes, *, event: str = "issues", delivery: str = "", secret: str = GITHUB_SECRET,
    **headers: str,
) -> bytes:  # fmt: skip
    """A delivery as GitHub sends it."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    signed = {
        "X-GitHub-Event": event, "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}",
    }  # fmt: skip
    return posted("/webhooks/github", body, {**signed, **headers})


def standard(told: Mapping[str, Any], *, sent: int, delivery: str = "msg_1", secret: str = STANDARD_SECRET) -> bytes:
    """A delivery as https://www.standardwebhooks.com says."""
    body = json.dumps(told).encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.digest(key, f"{delivery}.{sent}.".encode() + body, "sha256")).decode()
    headers = {"webhook-id": delivery, "webhook-timestamp": str(sent), "webhook-signature": f"v1,{digest}"}
    return posted("/webhooks/standard", body, headers)


async def knock(port: int, data: bytes) -> int:
    """Send ``data`` and return the status of the answer; 0 when there is none. The answer must be bare."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        answer = await reader.read()
    except ConnectionError:
        return 0
    finally:
        writer.transport.abort()
    return status_of(answer)


def status_of(answer: bytes) -> int:
    """The status of a bare answer."""
    if not answer:
        return 0
    head, _, body = answer.removeprefix(b"HTTP/1.1 100 \r\n\r\n").partition(b"\r\n\r\n")
    assert body == b"" and b"Content-Length: 0" in head and head.count(b"\r\n") == 2, answer
    return int(head.split(b" ")[1])


def issue(action: str = "opened", **changed: Any) -> dict[str, Any]:
    """An ``issues`` event in the shape of GitHub's documentation, with fields that nobody here reads."""
    told = {
        "number": 12,
        "title": "The total is wrong",
        "body": "Look at it.",
        "author": "octocat",
        "sender": "octocat",
    }
    told |= {"labels": ["ouroboros"], "state": "open", "label": None, "repository": "octo/shop", **changed}
    account = {"id": 1, "node_id": "MDQ6VXNlcjE=", "type": "User", "site_admin": False}
    found: dict[str, Any] = {
        "action": action,
        "issue": {
            "id": 73464126, "node_id": "MDU6SXNzdWU3MzQ2NDEyNg==", "number": told["number"], "title": told["title"],
            "url": "https://api.github.com/repos/octo/shop/issues/12", "user": {"login": told["author"], **account},
            "labels": [{"id": 208045946, "name": name, "color": "f29513", "default": False} for name in told["labels"]],
            "state": told["state"], "locked": False, "assignees": [], "milestone": None, "comments": 0,
            "author_association": "OWNER", "body": told["body"], "reactions": {"total_count": 0},
        },
        "repository": {
            "id": 135493233, "name": "shop", "full_name": told["repository"], "private": False,
            "owner": {"login": "octo", **account}, "default_branch": "main", "fork": False,
        },
        "sender": {"login": told["sender"], **account},
    }  # fmt: skip
    if told["label"]:
        found["label"] = {"id": 208045946, "name": told["label"], "color": "f29513", "default": False}
    return found


def workflow_run(commit: str, **changed: Any) -> dict[str, Any]:
    """A ``workflow_run`` event in the shape of GitHub's documentation."""
    repository = {"id": 135493233, "name": "shop", "full_name": "octo/shop", "default_branch": "main"}
    run = {
        "id": 30433642, "name": "Build", "node_id": "MDEyOldvcmtmbG93IFJ1bjI2OTI4OQ==", "head_branch": "main",
        "head_sha": commit, "run_number": 562, "event": "push", "status": "completed", "conclusion": "failure",
        "workflow_id": 159038, "pull_requests": [], "head_repository": {"id": 1, "full_name": "octo/shop"}, **changed,
    }  # fmt: skip
    return {"action": "completed", "workflow_run": run, "workflow": {"id": 159038}, "repository": repository,
            "sender": {"login": "octocat", "id": 1}}  # fmt: skip
