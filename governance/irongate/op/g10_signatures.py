"""Gate 10, signatures: a webhook counts only when its body is signed with the owner's secret, is fresh, and is new.

Two schemes. *GitHub*: ``X-Hub-Signature-256`` over the body; it signs neither a time nor the delivery's id, so the
signature itself must not have been seen before either. *Standard Webhooks* (https://www.standardwebhooks.com), for
everything else: id, time and body are signed together. :func:`gather` does the arithmetic, in constant time; what it
finds holds no secret and no body, so a verdict can be made again from the record.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from enum import StrEnum

from pydantic import Field

from governance.irongate.gate import Gate, Subject
from governance.irongate.verdicts import denied, passed
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 10
WINDOW_S = 300
SHORTEST_SECRET = 16  # bytes
MOST_SIGNATURES = 8
"""Signatures that one header may list: a sender lists two while it changes its key."""
_HEX = re.compile(r"sha256=([0-9a-f]{64})")
_SECONDS = re.compile(r"[0-9]{1,12}")
_ID = re.compile(r"[A-Za-z0-9_\-]{1,128}")  # no dot: it separates the signed parts, and could be moved
_PREFIX = "whsec_"
Headers = Sequence[tuple[str, str]]


class Scheme(StrEnum):
    """How a sender signs."""

    GITHUB = "github"
    STANDARD = "standard"


class Signature(StrEnum):
    """What the headers hold."""

    MISSING = "missing"
    MALFORMED = "malformed"
    WRONG = "wrong"
    RIGHT = "right"


class SignatureFacts(Frozen):
    """What was found of one delivery. ``keys``: by what it will be known again; ``seen``: one of them was known.

    ``sent_s`` and ``now_s`` are seconds since 1970; GitHub sends no time.
    """

    scheme: Scheme
    secrets: int = Field(ge=0)  # how many usable secrets the owner has set
    signature: Signature
    delivery: str = ""
    sent_s: int | None = None
    now_s: int
    window_s: int = Field(WINDOW_S, ge=1)
    keys: tuple[str, ...] = ()
    seen: bool = False


def check(facts: SignatureFacts) -> Verdict:
    """Deny whatever is not signed, fresh and new. What is not signed rightly is not looked at further."""
    if not facts.secrets:
        return denied(NUMBER, "no_secret", "No usable secret is set for this webhook, so anybody could be its sender.")
    if facts.signature is not Signature.RIGHT:
        return denied(NUMBER, f"signature_{facts.signature.value}", f"The signature is {facts.signature.value}.")
    if not _ID.fullmatch(facts.delivery):
        return denied(NUMBER, "no_delivery", "The delivery has no usable id, so it could be sent again.")
    if facts.scheme is Scheme.STANDARD and facts.sent_s is None:
        return denied(NUMBER, "no_time", "The delivery does not say when it was sent.")
    if facts.sent_s is not None and abs(facts.now_s - facts.sent_s) > facts.window_s:
        reason = f"The delivery is {facts.now_s - facts.sent_s} s old; {facts.window_s} s are allowed, either way."
        return denied(NUMBER, "window", reason)
    if facts.seen:
        return denied(NUMBER, "replay", "The same delivery has been taken before.", evidence=(facts.delivery,))
    return passed(NUMBER, "signed", evidence=(facts.delivery,))


def gather(
    scheme: Scheme,
    headers: Headers,
    body: bytes,
    *,
    secrets: Sequence[str],
    now_s: int,
    known: Callable[[str], bool],
    window_s: int = WINDOW_S,
) -> SignatureFacts:
    """The facts of a delivery as it came. ``secrets``: the one in use, and the one before while it is changed.

    ``known``: whether a key was taken before. The caller keeps the ``keys`` of a delivery that it takes: for twice
    ``window_s`` (Standard), or for good (GitHub).
    """
    usable = tuple(key for secret in secrets if len(key := _signing_key(scheme, secret)) >= SHORTEST_SECRET)
    if scheme is Scheme.GITHUB:
        delivery, sent = _single_value(headers, "x-github-delivery"), ""
        given, signed = _github_signatures(_header_values(headers, "x-hub-signature-256")), body
    else:
        delivery, sent = _single_value(headers, "webhook-id"), _single_value(headers, "webhook-timestamp")
        given = _standard_signatures(_header_values(headers, "webhook-signature"))
        signed = f"{delivery}.{sent}.".encode(errors="replace") + body
    signature = _compare_signatures(given, signed, usable)
    keys = _delivery_keys(scheme, delivery, given) if signature is Signature.RIGHT else ()
    return SignatureFacts(
        scheme=scheme,
        secrets=len(usable),
        signature=signature,
        delivery=delivery if _ID.fullmatch(delivery) else "",
        sent_s=int(sent) if _SECONDS.fullmatch(sent) else None,
        now_s=now_s,
        window_s=window_s,
        keys=keys,
        seen=any(known(key) for key in keys),
    )


def _header_values(headers: Headers, name: str) -> tuple[str, ...]:
    return tuple(value.strip() for key, value in headers if key.lower() == name)


def _single_value(headers: Headers, name: str) -> str:
    """The header's value; empty where it is missing or given twice."""
    found = _header_values(headers, name)
    return found[0] if len(found) == 1 else ""


def _signing_key(scheme: Scheme, secret: str) -> bytes:
    """The bytes that sign; empty for a secret that cannot be read."""
    if scheme is Scheme.GITHUB:
        return secret.encode(errors="replace")
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        return b""


def _github_signatures(values: tuple[str, ...]) -> tuple[bytes, ...] | None:
    """The signatures of the header; None where there is no such header, nothing where it cannot be read."""
    if not values:
        return None
    match = _HEX.fullmatch(values[0]) if len(values) == 1 else None
    return (bytes.fromhex(match[1]),) if match else ()


def _standard_signatures(values: tuple[str, ...]) -> tuple[bytes, ...] | None:
    """As above: several, each as ``v1,<base64>``. Those of other versions (public keys) are left out."""
    if not values:
        return None
    items = values[0].split()[:MOST_SIGNATURES] if len(values) == 1 else []
    found = []
    for version, _, code in (item.partition(",") for item in items):
        try:
            found.append(base64.b64decode(code, validate=True) if version == "v1" else b"")
        except (ValueError, binascii.Error):
            continue
    return tuple(each for each in found if len(each) == hashlib.sha256().digest_size)


def _compare_signatures(given: tuple[bytes, ...] | None, signed: bytes, keys: tuple[bytes, ...]) -> Signature:
    """Every signature against every key: the duration does not depend on which of them matches."""
    if given is None:
        return Signature.MISSING
    if not given:
        return Signature.MALFORMED
    right = False
    for key in keys:
        expected = hmac.digest(key, signed, "sha256")
        for each in given:
            right |= hmac.compare_digest(each, expected)
    return Signature.RIGHT if right else Signature.WRONG


def _delivery_keys(scheme: Scheme, delivery: str, given: tuple[bytes, ...] | None) -> tuple[str, ...]:
    """By what a delivery is known again: its id, and with GitHub the signature, because the id is not signed."""
    signatures = given if scheme is Scheme.GITHUB and given else ()
    return (f"id:{delivery}", *(f"signature:{each.hex()}" for each in signatures))


def _example(scheme: Scheme = Scheme.STANDARD, **facts: object) -> SignatureFacts:
    known = {"secrets": 1, "signature": Signature.RIGHT, "delivery": "msg_1", "now_s": 1_000, "sent_s": 1_000}
    return SignatureFacts.model_validate({"scheme": scheme, **known, **facts})


EXAMPLES: tuple[tuple[SignatureFacts, Decision], ...] = (
    (_example(), Decision.ALLOW),
    (_example(Scheme.GITHUB, sent_s=None), Decision.ALLOW),
    (_example(sent_s=700), Decision.ALLOW),
    (_example(sent_s=699), Decision.DENY),
    (_example(sent_s=1_301), Decision.DENY),
    (_example(sent_s=None), Decision.DENY),
    (_example(secrets=0), Decision.DENY),
    (_example(signature=Signature.MISSING), Decision.DENY),
    (_example(signature=Signature.MALFORMED), Decision.DENY),
    (_example(signature=Signature.WRONG), Decision.DENY),
    (_example(delivery=""), Decision.DENY),
    (_example(seen=True), Decision.DENY),
    (_example(Scheme.GITHUB, sent_s=None, seen=True), Decision.DENY),
)
GATE = Gate(
    number=NUMBER,
    name="signatures",
    summary="deliveries that are not signed, not fresh or not new",
    subjects=(Subject.DELIVERY,),
    facts=SignatureFacts,
    check=check,
    examples=EXAMPLES,
)
