"""The owner's list: what is ready, what is marked, what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.ids import new_op_id
from ledger.vocabulary import EditKind, ItemDone, Source
from sensors.backlog import BacklogSettings
from sensors.backlog.items import MARKDOWN, TOML, BacklogItem, UnreadableBacklog, item_answer, items, mark_done, ready
from sensors.backlog.sensor import Backlog
from sensors.registry import closure_evaluator
from tests.repos import commit
from tests.sensors.looking import scene
from tests.sensors.trees import Held

OP = new_op_id("backlog")
LIST = """# What I would like
[[item]]  # soon
id = "refuse"
goal = "Refuse negative prices"
files = ["shop/cart.py"]

[[ item ]]
goal = '''Say so
in the manual'''
after = ["refuse"]

[[item]]
goal = "Not yet"
ready = false
"""
TASKS = "# Wishes\n\n- [ ] Refuse negative prices in `shop/cart.py`\n  * [ ] Say so\n- [x] Old one\nno item\n"


def names(found: tuple[BacklogItem, ...]) -> list[str]:
    return [item.name for item in found]


def test_ready_is_what_is_open_and_comes_after_done_things_only() -> None:
    found = items(TOML, LIST.encode())
    assert names(ready(found)) == ["refuse"] and found[0].files == ("shop/cart.py",)
    done = mark_done(TOML, LIST.encode(), found[0].digest, OP)
    assert done is not None
    assert names(ready(items(TOML, done))) == ["Say so\nin the manual"]
    assert done.decode() == LIST.replace("# soon\n", f'# soon\ndone = "{OP}"\n')
    assert mark_done(TOML, done, found[0].digest, OP) is None  # once
    open_ = items(MARKDOWN, TASKS.encode())
    assert names(ready(open_)) == ["Refuse negative prices in `shop/cart.py`", "Say so"]
    assert open_[0].files == ("shop/cart.py",)
    done = mark_done(MARKDOWN, TASKS.encode(), open_[1].digest, OP)
    assert done is not None and done.decode() == TASKS.replace("* [ ] Say so", f"* [x] Say so ({OP})")


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (TOML, "[[item]\n", "not valid TOML"),
        (TOML, "[[item]]\n", "item goal"),
        (TOML, '[[item]]\ngoal = "x"\nurgent = true\n', "item urgent"),
        (TOML, '[[item]]\ngoal = "x"\nfiles = ["../y"]\n', "item files.0"),
        (TOML, '[other]\ngoal = "x"\n', "[[item]] tables only"),
        (TOML, '[[item]]\ngoal = "x"\n[[item]]\ngoal = "x"\n', "same name: x"),
        (MARKDOWN, "- [ ] x\n- [x] x\n", "same name: x"),
        (TOML, "a = " + "[" * 60_000, "nested deeper"),
        (TOML, "a." * 60_000 + "a = 1", "dotted parts"),
        (TOML, "#" * 300_000, "larger than"),
        (MARKDOWN, "".join(f"- [ ] {number}\n" for number in range(100_000)), "larger than"),
    ],
)
def test_what_cannot_be_read_is_named(path: str, text: str, words: str) -> None:
    with pytest.raises(UnreadableBacklog) as caught:
        items(path, text.encode())
    assert words in str(caught.value)


goals = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(goals, min_size=1, max_size=4), st.data())
def test_a_mark_changes_nothing_else_or_is_not_made(texts: list[str], data: st.DataObject) -> None:
    text = "".join(f"- [ ] {goal}\n" for goal in texts)
    try:
        before = items(MARKDOWN, text.encode())
    except UnreadableBacklog:
        return
    if before:
        chosen = data.draw(st.sampled_from(before))
        after = mark_done(MARKDOWN, text.encode(), chosen.digest, OP)
        if after is not None:
            wanted = [item.model_copy(update={"done": OP}) if item == chosen else item for item in before]
            assert list(items(MARKDOWN, after)) == wanted


async def test_an_item_is_closed_by_the_mark_of_an_op_and_by_no_other() -> None:
    evaluator, item = closure_evaluator(), items(TOML, LIST.encode())[0]
    check = ItemDone(path=TOML, item=item.digest)
    tree = Held({TOML: LIST})
    assert not (await evaluator.is_closed(check, tree)).closed
    edit = await evaluator.mark(check, tree, OP)
    assert edit is not None and edit.after is not None and edit.kind is EditKind.MODIFY
    assert (await evaluator.is_closed(check, Held({TOML: edit.after.decode()}))).closed
    by_owner = item_answer(check, LIST.replace("files", "done = true\nfiles").encode())
    assert (by_owner.closed, by_owner.gone) == (False, True)
    assert item_answer(check, b"").gone and item_answer(check, None).gone
    assert not item_answer(check, b"[[item").gone
    assert await evaluator.mark(check, Held({TOML: "[[item"}), OP) is None


async def test_ready_items_are_said_one_at_a_time_and_once(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        sensor = Backlog(ports=s.ports(), settings=BacklogSettings())
        assert await sensor.scan_once() == () and sensor.state().line == ""
        wished = commit(s.repo, "wishes", {MARKDOWN: TASKS})
        (first,) = await sensor.scan_once()
        assert (first.source, first.base, first.targets) == (Source("backlog"), wished, ("shop/cart.py",))
        assert isinstance(first.closure, ItemDone) and first.closure.needs_yes
        sensor = Backlog(ports=s.ports(), settings=BacklogSettings())
        assert [found.goal for found in await sensor.scan_once()] == ["Say so"]
        commit(s.repo, "touched", {MARKDOWN: TASKS + "\n"})
        assert await sensor.scan_once() == ()
        commit(s.repo, "broken", {TOML: "[[item"})
        assert await sensor.scan_once() == ()
        assert sensor.state().problem.startswith(".ouro/backlog.toml cannot be read: it is not valid TOML")
