"""Settings of the web tools. The hosts that may be contacted are in ``tool_policy.domains``."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class WebSettings(Frozen):
    """``[web]``."""

    timeout_s: float = Field(20.0, gt=0, description="seconds that a fetch may take, redirects and all")
    max_bytes: int = Field(1_048_576, ge=1024, description="bytes of a page that are read, after decompression")
    redirects: int = Field(5, ge=0, le=20, description="redirects that are followed; each target is checked, too")
    proxy: str = Field(
        "", description="HTTP proxy for the web tools. It resolves names, so their addresses are not checked then."
    )
    search_url: str = Field(
        "", description="JSON search endpoint of web_search, as `https://searx.example/search`; empty: no such tool"
    )
    search_results: int = Field(8, ge=1, le=50, description="results of a search that are shown")
