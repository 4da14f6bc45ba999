"""What one look of ``ouro doctor`` found."""

from __future__ import annotations

from ledger.vocabulary import Frozen


class Check(Frozen):
    """One look. A failed essential one means that nothing can be repaired here."""

    name: str
    ok: bool
    detail: str
    essential: bool = False
    remedy: str = ""
