"""Calls in plain text: one form, read strictly; what cannot be read whole is not run at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.conversation.protocol import block, describe_tools, read_turn
from kernel.provider import ToolSchema

READ = block("read_file", '{"path": "a.py"}')
LIST = block("list_dir", "{}")
EDIT = "Because.\n\na.py\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"


def test_calls_are_read_in_their_order_and_prose_is_kept() -> None:
    read = read_turn(f"I look.\n{READ}\nand\n{LIST}\n", prefix="c-")
    assert [(c.id, c.name, json.loads(c.arguments)) for c in read.calls] == [
        ("c-1", "read_file", {"path": "a.py"}), ("c-2", "list_dir", {}),
    ]  # fmt: skip
    assert read.prose == "I look.\nand" and read.fault == ""


@pytest.mark.parametrize("text", ["", "It is done.", EDIT, '{"noop": "met"}', "```python\nx = 1\n```", "a `call` of b"])
def test_a_plain_answer_is_left_as_it_is(text: str) -> None:
    read = read_turn(text, prefix="")
    assert (read.calls, read.fault, read.prose) == ((), "", text)


FAULTS = {
    "not closed": ('```call\n{"tool": "list_dir", "arguments": {}}', "line 1 has no closing"),
    "not JSON": ('```call\n{"tool": "list_dir", "arguments": {}\n```', "block 1 of 1 is not one JSON object"),
    "prose in it": ("```call\nlist_dir()\n```", "(line 1, column 1)"),
    "two objects": ('```call\n{"tool": "a", "arguments": {}}\n{"tool": "b", "arguments": {}}\n```', "Extra data"),
    "no arguments": ('```call\n{"tool": "list_dir"}\n```', 'exactly the keys "tool" and "arguments"'),
    "more keys": ('```call\n{"tool": "a", "arguments": {}, "id": 1}\n```', "exactly the keys"),
    "a list": ('```call\n[{"tool": "a", "arguments": {}}]\n```', "must be an object"),
    "no name": ('```call\n{"tool": "", "arguments": {}}\n```', "needs the name"),
    "a number for a name": ('```call\n{"tool": 3, "arguments": {}}\n```', "needs the name"),
    "arguments as text": ('```call\n{"tool": "a", "arguments": "{}"}\n```', "needs an object"),
    "a key twice": ('```call\n{"tool": "a", "tool": "b", "arguments": {}}\n```', "stands in it twice"),
    "deep": ("```call\n" + "[" * 90_000 + "\n```", "is not one JSON object"),
    "calls and edits": (f"{READ}\n{EDIT}", "calls or edits, not both"),
    "another form": ('<tool_call>{"name": "a", "arguments": {}}</tool_call>', "opens with a line ```call"),
    "another fence": ('```json\n{"tool": "a", "arguments": {}}\n```', "opens with a line ```call"),
}


@pytest.mark.parametrize(("text", "why"), FAULTS.values(), ids=FAULTS.keys())
def test_one_sentence_says_what_is_wrong_and_nothing_is_run(text: str, why: str) -> None:
    read = read_turn(text, prefix="")
    assert why in read.fault and read.calls == ()
    assert read.fault.endswith(".") and "\n" not in read.fault


@pytest.mark.parametrize("bad", [text for name, (text, _) in FAULTS.items() if text.startswith("```call")])
def test_one_bad_block_stops_all_of_a_turn(bad: str) -> None:
    for text in (f"{READ}\n{bad}", f"{bad}\n{READ}"):
        read = read_turn(text, prefix="")
        assert read.fault and read.calls == (), text


def test_what_a_file_shall_hold_is_no_call() -> None:
    """An edit of a text that shows this very form."""
    text = f"docs/form.md\n<<<<<<< SEARCH\nold\n=======\n{READ}\n>>>>>>> REPLACE\n"
    read = read_turn(text, prefix="")
    assert (read.calls, read.fault, read.prose) == ((), "", text)


def test_results_that_a_model_writes_itself_are_no_results() -> None:
    """They stand in its prose, and only there."""
    read = read_turn(f'{READ}\nResult of call 1:\n<data name="read_file">\nAll is well.\n</data>', prefix="")
    assert len(read.calls) == 1 and "All is well." in read.prose


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
arguments = st.dictionaries(st.text(max_size=8), json_values, max_size=4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=12), arguments), min_size=1, max_size=4))
def test_what_is_written_in_the_form_is_read_back(made: list[tuple[str, dict[str, object]]]) -> None:
    text = "\n".join(block(name, json.dumps(given)) for name, given in made)
    read = read_turn(text, prefix="")
    assert [(c.name, json.loads(c.arguments)) for c in read.calls] == made and read.fault == ""


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from('`cal{}"tool:,[] \nargumentsx<=>SEARCH'), max_size=200))
def test_any_text_is_calls_or_a_fault_or_an_answer(text: str) -> None:
    read = read_turn(text, prefix="")
    assert not (read.calls and read.fault)


def test_every_tool_is_described_on_a_line_of_its_own() -> None:
    schema = {
        "properties": {"path": {"type": "string", "description": "a file"}, "limit": {"type": "integer"}},
        "required": ["path"],
    }
    text = describe_tools([ToolSchema(name="read_file", description="Reads.", parameters=schema)])
    assert '\n- read_file: Reads. Arguments: {"path": "a file", "limit?": "integer"}' in text
    assert read_turn(text, prefix="").calls[0].name == "read_file", "the form that is shown is the form that is read"
