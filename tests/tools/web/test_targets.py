"""URLs and addresses that try to be read two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ToolError
from tools.web.hosts import canonical_host, is_public
from tools.web.target import WebTarget, target_of


@pytest.mark.parametrize(
    ("url", "netloc", "asked"),
    [
        ("https://docs.python.org", "docs.python.org:443", "https://docs.python.org/"),
        ("HTTP://Docs.Python.ORG.:80/a?b=c#d", "docs.python.org:80", "http://docs.python.org/a?b=c"),
        ("https://b\u00fccher.example/\u00e4", "xn--bcher-kva.example:443", "https://xn--bcher-kva.example/%C3%A4"),
        ("https://[::1]:8080/x", "[::1]:8080", "https://[::1]:8080/x"),
        ("https://[0:0:0:0:0:ffff:7f00:1]/", "[::ffff:7f00:1]:443", "https://[::ffff:7f00:1]/"),
        ("http://\uff11\uff12\uff17.0.0.1/", "127.0.0.1:80", "http://127.0.0.1/"),
        ("http://127\u30020\u30020\u30021/", "127.0.0.1:80", "http://127.0.0.1/"),
        ("http://docs.python.org:80/%2e%2e/x", "docs.python.org:80", "http://docs.python.org/%2e%2e/x"),
    ],
)
def test_a_plain_address_in_its_one_spelling(url: str, netloc: str, asked: str) -> None:
    target = target_of(url)
    assert (target.netloc, target.url) == (netloc, asked)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://docs.python.org/",
        "gopher://docs.python.org/",
        "//docs.python.org/",
        "docs.python.org",
        "https://",
        "https:///x",
        "http://user@docs.python.org/",
        "http://user:pass@docs.python.org/",
        "http://docs.python.org@127.0.0.1/",
        "http://docs.python.org%2f@evil.example/",
        "http://docs.python.org%00.evil.example/",
        "http://docs.python.org\\@evil.example/",
        "http://docs.python.org\t.evil.example/",
        "http://evil.example/ x",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.1.1/",
        "http://1.2.3.4.0x5/",
        "http://[::1%25lo]/",
        "http://[fe80::1%25eth0]/",
        "http://[::1",
        "http://[127.0.0.1]/",
        "http://docs.python.org:0/",
        "http://docs.python.org:99999/",
        "http://docs.python.org:80a/",
        "http://docs.python.org:443:80/",
        "http://-a.example/",
        "http://a..example/",
        "http://faß.example/",
        "http://a\u200db.example/",
    ],
)
def test_what_could_be_read_two_ways_is_not_read(url: str) -> None:
    with pytest.raises(ToolError):
        target_of(url)


def test_an_address_that_is_too_long_is_not_read() -> None:
    with pytest.raises(ToolError):
        target_of("http://docs.python.org/" + "a" * 2_000)


PRIVATE = [
    "127.0.0.1",
    "127.255.0.9",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.9.9",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "192.88.99.1",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "fe80::1",
    "fe80::1%lo",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001:0:1::1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "100::1",
    "5f00::1",
    "3fff::1",
]
PUBLIC = [
    "93.184.216.34",
    "8.8.8.8",
    "172.32.0.1",
    "192.169.0.1",
    "2606:2800:220:1::1",
    "64:ff9b::8.8.8.8",
    "::ffff:8.8.8.8",
    "2002:808:808::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_lead_inside(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
def test_every_address_has_an_answer_and_an_ipv4_form_has_the_same(short: str, long: str) -> None:
    assert is_public(f"::ffff:{short}") == is_public(f"64:ff9b::{short}") == is_public(short)
    assert is_public(long) in (True, False)


PIECES = [
    "http://",
    "https://",
    "docs.python.org",
    "@",
    ":",
    "80",
    "/",
    "?",
    "#",
    "[",
    "]",
    "::1",
    "%",
    ".",
    "\\",
    "0x7f",
    "\u00e9",
    "\u3002",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=8).map("".join))
def test_reading_is_total_and_what_was_read_reads_the_same_again(url: str) -> None:
    try:
        target = target_of(url)
    except ToolError:
        return
    assert target_of(target.url) == target
    assert canonical_host(target.host) == target.host
    assert target_of("x", base=target).netloc == target.netloc
    assert isinstance(target, WebTarget) and target.url.isascii() and not set(target.url) & set(" \n\r\t\\@") - {"@"}
