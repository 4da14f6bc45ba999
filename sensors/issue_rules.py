"""Which news of an issue ask for work, which end it, and which rule turns the rest away. Pure."""

from __future__ import annotations

from ledger.vocabulary import Frozen
from sensors.news import IssueNews, same_login
from sensors.settings import GitHubIssueSettings

ASKING = frozenset({"opened", "reopened", "edited", "labeled"})
ENDING = frozenset({"closed", "deleted", "transferred"})


class Judged(Frozen):
    """``rule`` is what the ledger names; neither ``asks`` nor ``ends``: nothing follows."""

    rule: str
    reason: str
    asks: bool = False
    ends: bool = False


def judge(news: IssueNews, settings: GitHubIssueSettings) -> Judged:
    """What follows from ``news``.

    Not only the author has to be on the list but also who did this: an issue can be edited by others, and a label is
    given by whoever may.
    """
    listed = {same_login(name) for name in settings.authors}
    places = {name.casefold() for name in settings.repositories}
    if places and news.repository.casefold() not in places:
        return Judged(rule="issue.repository", reason="Its repository is not on the list.")
    if news.action in ENDING or (news.action == "unlabeled" and news.label == settings.label):
        return Judged(rule="issue.ended", reason=f"The issue was {news.action}.", ends=True)
    if news.action not in ASKING:
        return Judged(rule="issue.action", reason="Nothing follows from this.")
    if same_login(news.author) not in listed:
        return Judged(rule="issue.author", reason="Its author is not on the list.")
    if same_login(news.sender) not in listed:
        return Judged(rule="issue.sender", reason="Who did this is not on the list.")
    if settings.label not in news.labels:
        return Judged(rule="issue.label", reason=f"It does not have the label {settings.label}.")
    if not news.is_open:
        return Judged(rule="issue.closed", reason="It is closed.")
    return Judged(rule="issue.asked", reason="It asks for work.", asks=True)
