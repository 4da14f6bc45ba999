"""web_fetch and web_search against real servers that do not keep to the rules, through the real policy."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.irongate.tool.policy import ToolPolicy
from ledger.vocabulary import Decision, Tier
from tests.tools.web.certificates import authority
from tests.tools.web.servers import drips, endless, endless_head, packed, page, site, to
from tools.builtin.web import WebFetch, WebSearch
from tools.manifest import Toolbox, ToolContext, ToolOutcome
from tools.web.fetch import MOST_LOOK_UPS, Fetcher, Resolve, look_up
from tools.web.settings import WebSettings

QUICK: dict[str, Any] = {"timeout_s": 5, "max_bytes": 50_000}


class Nowhere:
    root = "/nowhere"


async def ask(
    tool: str,
    arguments: dict[str, Any],
    *domains: str,
    resolve: Resolve = look_up,
    trust: ssl.SSLContext | None = None,
    **settings: Any,
) -> ToolOutcome:
    """One call through a toolbox with the real policy; ``domains`` is what the owner has listed."""
    web = WebSettings(**QUICK | settings)
    fetcher = Fetcher(settings=web, resolve=resolve, trust=trust)
    tools = (WebFetch(fetcher=fetcher), WebSearch(fetcher=fetcher, endpoint=web.search_url, results=web.search_results))
    policy = ToolPolicy(tools=[t.name for t in tools], settings=ToolPolicySettings(domains=domains))
    context = ToolContext(workspace=Nowhere(), op_id="op", tier=Tier.SAFE_AUTO, git=None)  # type: ignore[arg-type]
    return await Toolbox(tools=tools, policy=policy).call(tool, json.dumps(arguments), context)


async def fetch(url: str, *domains: str, **more: Any) -> ToolOutcome:
    return await ask("web_fetch", {"url": url}, *domains, **more)


def names(**addresses: Sequence[str]) -> Resolve:
    """A resolver that knows these names (``_`` for a dot), and counts nothing."""
    table = {name.replace("_", "."): found for name, found in addresses.items()}

    async def resolve(host: str, port: int) -> Sequence[str]:
        if host not in table:
            raise OSError(f"no such name: {host}")
        return table[host]

    return resolve


async def test_a_page_becomes_text_and_nothing_is_carried_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    markup = b"<title>Shop</title><h1>Prices</h1><script>steal()</script><p>One <b>euro</b> &amp; up<!-- hi --></p>"
    async with site({"/": to("/a?x=1"), "/a": page(markup, "text/html; charset=utf-8")}) as web:
        outcome = await fetch(web.url("/"), f"localhost:{web.port}")
        assert outcome.use.ok, outcome.text
        assert "Shop\n\nPrices\n\nOne euro & up" in outcome.text and "steal" not in outcome.text
        assert f"localhost:{web.port}/a?x=1" in outcome.text
        first, second = web.asked
        assert first.startswith("GET / HTTP/1.1") and second.startswith("GET /a?x=1 HTTP/1.1")
        assert f"host: localhost:{web.port}" in second.lower() and "cookie" not in second.lower()
        assert (
            "ouroboros" in second.lower() and "python" not in second.lower() and "authorization" not in second.lower()
        )


async def test_a_long_page_comes_in_parts() -> None:
    text = "".join(f"line {n}\n" for n in range(2_000))
    async with site({"/": page(text.encode())}) as web:
        first = await fetch(web.url("/"), f"localhost:{web.port}")
        assert "start=3600" in first.text
        second = await ask("web_fetch", {"url": web.url("/"), "start": 3_600}, f"localhost:{web.port}")
        assert text[3_600:3_700] in second.text


ELSEWHERE = [
    "http://evil.example/", "http://127.0.0.1:{other}/", "http://127.0.0.1:{port}/", "http://localhost:{other}/",
    "//localhost:{other}/", "http://169.254.169.254/latest/meta-data/", "http://[::1]:{other}/",
    "http://[::ffff:127.0.0.1]:{other}/", "https://localhost/", "http://localhost/",
]  # fmt: skip


@pytest.mark.parametrize("location", ELSEWHERE)
async def test_a_redirect_is_judged_like_a_first_address(location: str) -> None:
    async with site({"/": page(b"secret")}) as other, site({}) as web:
        web.answers = {"/": to(location.format(port=web.port, other=other.port))}
        outcome = await fetch(web.url("/"), f"localhost:{web.port}")
        assert not outcome.use.ok and outcome.text.startswith("Refused by policy.domain: ")
        assert (outcome.verdict.decision, outcome.verdict.rule) == (Decision.DENY, "policy.domain")
        assert other.asked == [] and len(web.asked) == 1


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "http://user@localhost/",
        "http://2130706433/",
        "gopher://localhost/",
        "http://[",
        "",
        "http://xn--" + "a" * 80,
    ],
)
async def test_a_redirect_to_no_address_is_not_followed(location: str) -> None:
    async with site({"/": to(location)}) as web:
        outcome = await fetch(web.url("/"), f"localhost:{web.port}")
        assert not outcome.use.ok and len(web.asked) == 1, outcome.text


async def test_redirects_end() -> None:
    async with site({"/": to("/b"), "/b": to("/", "307 Temporary Redirect")}) as web:
        outcome = await fetch(web.url("/"), f"localhost:{web.port}", redirects=3)
        assert not outcome.use.ok and "more than 3 times" in outcome.text
        assert len(web.asked) == 4


async def test_a_slow_page_is_left_in_time() -> None:
    async with site({"/": drips}) as web:
        outcome = await fetch(web.url("/"), f"localhost:{web.port}", timeout_s=0.3)
        assert not outcome.use.ok and "longer than 0.3 s" in outcome.text


async def test_an_endless_page_is_cut() -> None:
    async with site({"/": endless}) as web:
        outcome = await fetch(web.url("/"), f"localhost:{web.port}")
        assert outcome.use.ok and "50000 bytes, only its beginning" in outcome.text


async def test_an_endless_head_is_refused() -> None:
    async with site({"/": endless_head}) as web:
        outcome = await fetch(web.url("/"), f"localhost:{web.port}")
        assert not outcome.use.ok and "broke off" in outcome.text


async def test_what_is_packed_small_stays_small() -> None:
    bomb = packed(b"\0" * 200_000_000)
    async with site({"/": bomb, "/fine": packed(b"fine " * 100)}) as web:
        await fetch(web.url("/fine"), f"localhost:{web.port}")  # what is loaded once is loaded
        tracemalloc.start()
        try:
            outcome = await fetch(web.url("/"), f"localhost:{web.port}")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert outcome.use.ok and "50000 bytes, only its beginning" in outcome.text
        assert peak < 8_000_000, peak


BAD = {
    "shorter than it says": (page(b"abc", length=10), "broke off"),
    "not packed": (page(b"abc", "text/plain", "Content-Encoding: gzip"), "not packed as it says"),
    "packed otherwise": (page(b"abc", "text/plain", "Content-Encoding: br"), "nobody asked for"),
    "a picture": (page(b"abc", "image/png"), "image/png"),
    "of no kind": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "of no stated type"),
    "not there": (page(b"abc", status="404 Not Found"), "answered 404 Not Found"),
    "broken": (page(b"abc", status="500 Oh"), "answered 500"),
    "a redirect without a place": (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "answered 302"),
    "not HTTP": (b"220 smtp.example ESMTP\r\n\r\n", "broke off"),
    "nothing": (b"", "broke off"),
    "two lengths": (page(b"abc", "text/plain", "Content-Length: 9"), "broke off"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_server_that_does_not_keep_to_the_rules(kind: str) -> None:
    answer, why = BAD[kind]
    async with site({"/": answer}) as web:
        outcome = await fetch(web.url("/"), f"localhost:{web.port}")
        assert not outcome.use.ok and why in outcome.text, outcome.text


async def test_longer_than_it_says_is_as_long_as_it_says() -> None:
    async with site({"/": page(b"abcdef", length=3)}) as web:
        outcome = await fetch(web.url("/"), f"localhost:{web.port}")
        assert outcome.use.ok and outcome.text.endswith("\n\nabc")


async def test_the_connection_goes_where_the_judgement_went() -> None:
    """The name is looked up once; only the injected resolver knows it, so nobody else was asked."""
    async with site({"/": page(b"here")}) as web:
        name = f"only-here.example:{web.port}"
        outcome = await fetch(f"http://{name}/", name, resolve=names(**{"only-here_example": ["127.0.0.1"]}))
        assert outcome.use.ok and "here" in outcome.text
        assert f"host: {name}" in web.asked[0].lower()


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.7", "169.254.169.254", "100.100.100.200", "::ffff:127.0.0.1", "fe80::1%lo"]
)
async def test_a_name_that_leads_inside_must_be_listed_with_its_port(address: str) -> None:
    resolve = names(docs_example_org=["93.184.216.34", address])
    for listed in ("docs.example.org", "*.example.org"):
        outcome = await fetch("http://docs.example.org/", listed, resolve=resolve)
        assert outcome.verdict.rule == "policy.domain" and "private network" in outcome.text


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """It is looked up once a hop: the address that was judged is asked, whatever the name says a moment later."""
    looked_up: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        looked_up.append(host)
        return ["192.0.2.1"] if len(looked_up) > 1 else ["127.0.0.1"]

    async with site({"/": page(b"here")}) as web:
        outcome = await fetch(f"http://re.example:{web.port}/", f"re.example:{web.port}", resolve=rebinding)
        assert outcome.use.ok and looked_up == ["re.example"]
        listed_below = await fetch(f"http://a.re.example:{web.port}/", f"*.re.example:{web.port}", resolve=rebinding)
        assert listed_below.verdict.rule == "policy.domain" and len(web.asked) == 1


async def test_a_name_without_an_address_is_told() -> None:
    outcome = await fetch("http://gone.example/", "gone.example", resolve=names())
    assert not outcome.use.ok and "cannot be looked up" in outcome.text
    outcome = await fetch("http://gone.example/", "gone.example", resolve=names(gone_example=[]))
    assert "it has no address" in outcome.text


async def test_the_next_address_is_tried() -> None:
    async with site({"/": page(b"here")}) as web:
        name = f"two.example:{web.port}"
        outcome = await fetch(f"http://{name}/", name, resolve=names(two_example=["::1", "127.0.0.1"]))
        assert outcome.use.ok, outcome.text


async def test_certificates_are_checked_against_the_name(tmp_path: Path) -> None:
    trust, server = authority(tmp_path, "docs.example.org")
    resolve = names(docs_example_org=["127.0.0.1"], other_example_org=["127.0.0.1"])
    async with site({"/": page(b"here")}, tls=server) as web:
        good = await fetch(
            web.url("/", "docs.example.org", "https"), f"docs.example.org:{web.port}", resolve=resolve, trust=trust
        )  # fmt: skip
        assert good.use.ok and "here" in good.text, good.text
        for host, believed in (("other.example.org", trust), ("docs.example.org", None)):
            bad = await fetch(
                web.url("/", host, "https"), f"{host}:{web.port}", resolve=resolve, trust=believed
            )  # fmt: skip
            assert not bad.use.ok and "certificate" in bad.text.lower(), bad.text
        assert len(web.asked) == 1


async def test_a_proxy_of_the_owner_is_used() -> None:
    async with site({}) as proxy:
        proxy.answers = {"http://far.example/x": page(b"by proxy")}
        outcome = await fetch("http://far.example/x", "far.example", proxy=f"http://127.0.0.1:{proxy.port}")
        assert outcome.use.ok and "by proxy" in outcome.text
        outcome = await fetch("http://near.example/x", "far.example", proxy=f"http://127.0.0.1:{proxy.port}")
        assert outcome.verdict.rule == "policy.domain" and len(proxy.asked) == 1


@pytest.mark.parametrize(
    "url",
    ["http://2130706433/", "http://0177.0.0.1/", "http://user@docs.python.org/", "http://docs.python.org\\@x/", "x"],
)
async def test_a_trick_is_a_mistake_in_the_arguments(url: str) -> None:
    outcome = await fetch(url, "docs.python.org")
    assert outcome.verdict.rule == "tools.arguments"


async def test_without_a_list_nobody_is_asked() -> None:
    async with site({"/": page(b"x")}) as web:
        outcome = await fetch(web.url("/"))
        assert outcome.verdict.rule == "policy.domain" and web.asked == []


FOUND = {
    "results": [
        {"title": "Sums  \n of sums", "url": "https://docs.python.org/3/", "content": "how to <b>add</b>"},
        7,
        {},
    ]
}


async def test_a_search_shows_titles_addresses_and_snippets() -> None:
    answer = page(json.dumps(FOUND).encode(), "application/json")
    async with site({"/search": answer, "/odd": page(b"[]", "application/json"), "/html": page(b"<p>")}) as web:
        listed, query = f"localhost:{web.port}", {"query": "sum & product"}
        outcome = await ask("web_search", query, listed, search_url=web.url("/search"))
        assert outcome.text == "1. Sums of sums\n   https://docs.python.org/3/\n   how to <b>add</b>"
        assert web.asked[0].startswith("GET /search?q=sum+%26+product&format=json HTTP/1.1")
        for path, why in (("/odd", "has no results"), ("/html", "did not answer in JSON")):
            bad = await ask("web_search", query, listed, search_url=web.url(path))
            assert not bad.use.ok and why in bad.text
        refused = await ask("web_search", query, "docs.python.org", search_url=web.url("/search"))
        assert refused.verdict.rule == "policy.domain"


async def test_a_fetch_that_is_cancelled_leaves_nothing() -> None:
    async with site({"/": drips}) as web:
        task = asyncio.create_task(fetch(web.url("/"), f"localhost:{web.port}"))
        await web.busy.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_names_that_are_never_answered_hold_no_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer held the threads in which all other work is done."""
    answered = threading.Event()

    def never(host: str, port: int, **more: object) -> list[object]:
        answered.wait(60)
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    waiting = [asyncio.create_task(look_up(f"n{number}.example", 80)) for number in range(2 * MOST_LOOK_UPS)]
    try:
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 10) == "done"
        refused = [task for task in waiting if task.done()]
        assert len(refused) == MOST_LOOK_UPS
        assert "other names are being looked up" in str(refused[0].exception())
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
    finally:
        answered.set()
        await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(OSError, match="no answer"):  # the places are free again
        await look_up("n.example", 80)
