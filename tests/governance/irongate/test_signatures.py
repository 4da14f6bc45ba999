"""Gate 10: only what the owner's secret has signed, within its time, once."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.irongate.op.g10_signatures import Headers, Scheme, Signature, SignatureFacts, check, gather
from ledger.vocabulary import Decision

SECRET = "It's a Secret to Everybody"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_614_265_330
NOBODY: set[str] = set()


def facts(scheme: Scheme, headers: Headers, body: bytes, **more: Any) -> SignatureFacts:
    secret = SECRET if scheme is Scheme.GITHUB else STANDARD_SECRET
    told: dict[str, Any] = {"secrets": (secret,), "now_s": NOW, "known": NOBODY.__contains__, **more}
    return gather(scheme, headers, body, **told)


def github(body: bytes, *, secret: str = SECRET, delivery: str = "72d3162e-cc78-11e3-81ab-4c9367dc0958") -> Headers:
    digest = hmac.digest(secret.encode(), body, "sha256").hex()
    return [("X-GitHub-Delivery", delivery), ("X-Hub-Signature-256", f"sha256={digest}")]


def standard(body: bytes, *, secret: str = STANDARD_SECRET, delivery: str = "msg_1", sent: str = str(NOW)) -> Headers:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{delivery}.{sent}.".encode() + body, "sha256")
    signature = f"v1a,bm8= v1,{base64.b64encode(digest).decode()}"
    return [("webhook-id", delivery), ("webhook-timestamp", sent), ("webhook-signature", signature)]


SIGN = {Scheme.GITHUB: github, Scheme.STANDARD: standard}


def test_githubs_own_example() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = [("x-github-delivery", "d1"), ("x-hub-signature-256", signature)]
    assert check(facts(Scheme.GITHUB, headers, b"Hello, World!")).rule == "gate10.signed"


def test_the_example_of_standard_webhooks() -> None:
    headers = [
        ("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("Webhook-Timestamp", str(NOW)),
        ("Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]
    assert check(facts(Scheme.STANDARD, headers, b'{"test": 2432232314}')).rule == "gate10.signed"


def test_a_signature_is_good_for_one_way_to_divide_what_was_signed() -> None:
    """Else a body that begins with a number could be sent again, as another delivery of another time."""
    sent = NOW - 100_000
    headers = dict(standard(f"{NOW}.x".encode(), sent=str(sent)))
    assert check(facts(Scheme.STANDARD, list(headers.items()), f"{NOW}.x".encode())).rule == "gate10.window"
    moved = {**headers, "webhook-id": f"msg_1.{sent}", "webhook-timestamp": str(NOW)}
    assert check(facts(Scheme.STANDARD, list(moved.items()), b"x")).decision is Decision.DENY


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda h: [p for p in h if "signature" not in p[0].lower()], "signature_missing"),
        (lambda h: [*h, *h], "signature_malformed"),
        (lambda h: [(k, "sha256=zz" if "ignature" in k else v) for k, v in h], "signature_malformed"),
        (
            lambda h: [
                (k, v.lower().replace("sha256=", "sha1=").replace("v1,", "v2,") if "ignature" in k else v) for k, v in h
            ],
            "signature_malformed",
        ),
    ],
)
def test_a_header_that_says_nothing(scheme: Scheme, spoil: Any, rule: str) -> None:
    verdict = check(facts(scheme, spoil(SIGN[scheme](b"{}")), b"{}"))
    assert (verdict.decision, verdict.rule) == (Decision.DENY, f"gate10.{rule}")


@pytest.mark.parametrize("secrets", [(), ("",), ("short",)])
def test_without_a_usable_secret_nobody_is_believed(secrets: tuple[str, ...]) -> None:
    headers = github(b"{}", secret="".join(secrets))
    assert check(facts(Scheme.GITHUB, headers, b"{}", secrets=secrets)).rule == "gate10.no_secret"
    assert check(facts(Scheme.STANDARD, standard(b"{}"), b"{}", secrets=("not base64!",))).rule == "gate10.no_secret"


def test_a_secret_that_is_being_changed_still_counts() -> None:
    other = "another secret, long enough"
    assert facts(Scheme.GITHUB, github(b"{}"), b"{}", secrets=(other, SECRET)).signature is Signature.RIGHT
    assert facts(Scheme.GITHUB, github(b"{}"), b"{}", secrets=(other,)).signature is Signature.WRONG


def test_the_window_is_open_to_both_sides_and_ends() -> None:
    for age, expected in ((0, "signed"), (300, "signed"), (-300, "signed"), (301, "window"), (-301, "window")):
        headers = standard(b"{}", sent=str(NOW - age))
        assert check(facts(Scheme.STANDARD, headers, b"{}")).rule == f"gate10.{expected}", age


@pytest.mark.parametrize("sent", ["", "-5", "1e9", "٣", "9" * 40, "1 2"])
def test_a_time_that_cannot_be_read_is_none(sent: str) -> None:
    assert check(facts(Scheme.STANDARD, standard(b"{}", sent=sent), b"{}")).rule == "gate10.no_time"


def test_a_time_cannot_be_changed_after_signing() -> None:
    headers = [(k, str(NOW) if k == "webhook-timestamp" else v) for k, v in standard(b"{}", sent=str(NOW - 900))]
    assert check(facts(Scheme.STANDARD, headers, b"{}")).rule == "gate10.signature_wrong"


def test_what_was_taken_is_not_taken_again() -> None:
    for scheme in Scheme:
        first = facts(scheme, SIGN[scheme](b"{}"), b"{}")
        assert check(first).decision is Decision.ALLOW and first.keys
        again = facts(scheme, SIGN[scheme](b"{}"), b"{}", known=set(first.keys).__contains__)
        assert check(again).rule == "gate10.replay"


def test_githubs_body_is_known_again_under_another_id() -> None:
    """The id is not signed there: whoever has one delivery could send it again under a new one."""
    first = facts(Scheme.GITHUB, github(b"{}"), b"{}")
    again = facts(Scheme.GITHUB, github(b"{}", delivery="another"), b"{}", known=set(first.keys).__contains__)
    assert check(again).rule == "gate10.replay"


def test_a_wrong_signature_leaves_nothing_to_be_remembered() -> None:
    """Else a stranger could make a delivery of the sender count as a replay."""
    asked: list[str] = []
    found = facts(
        Scheme.STANDARD, standard(b"{}", secret="whsec_" + "A" * 32), b"{}", known=lambda k: bool(asked.append(k))
    )
    assert found.signature is Signature.WRONG and found.keys == () and asked == []


TEXT = st.text(max_size=30)
NAMES = st.sampled_from(
    ["X-Hub-Signature-256", "X-GitHub-Delivery", "webhook-id", "webhook-timestamp", "webhook-signature", "host"]
)


@given(st.sampled_from(Scheme), st.lists(st.tuples(NAMES, TEXT), max_size=6), st.binary(max_size=40))
def test_nothing_unsigned_passes_whatever_it_looks_like(scheme: Scheme, headers: Headers, body: bytes) -> None:
    found = facts(scheme, headers, body)
    verdict = check(found)
    assert verdict.decision is Decision.DENY and verdict.reason
    assert SECRET not in found.model_dump_json() and "MfKQ9r8" not in found.model_dump_json()


@given(st.sampled_from(Scheme), st.binary(max_size=60), st.data())
def test_one_changed_bit_is_enough(scheme: Scheme, body: bytes, data: st.DataObject) -> None:
    headers = SIGN[scheme](body)
    assert check(facts(scheme, headers, body)).decision is Decision.ALLOW
    assert check(facts(scheme, headers, body + b"\0")).rule == "gate10.signature_wrong"
    if body:
        at, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
        other = bytes([*body[:at], body[at] ^ (1 << bit), *body[at + 1 :]])
        assert check(facts(scheme, headers, other)).rule == "gate10.signature_wrong"


@given(st.integers(0, 255))
def test_one_changed_bit_of_the_signature_is_enough(bit: int) -> None:
    digest = bytearray(hmac.digest(SECRET.encode(), b"{}", "sha256"))
    digest[bit // 8] ^= 1 << bit % 8
    headers = [("X-GitHub-Delivery", "d"), ("X-Hub-Signature-256", f"sha256={digest.hex()}")]
    assert check(facts(Scheme.GITHUB, headers, b"{}")).rule == "gate10.signature_wrong"
