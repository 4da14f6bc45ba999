"""A whole op in whose tests every made-up secret is printed, and what of them is seen afterwards, place by place."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.control.messages import LogRequest, OpRef
from daemon.lifecycle.logs import LogSettings, RedactingFormatter
from ledger.vocabulary import OpOutcome
from sensors.requests.manual import manual_signal
from tests.e2e.completions import Asked, Model, Reply, calls, provider_at
from tests.e2e.serving import served
from tests.e2e.talking import swap
from tests.e2e.world import config_for, ended, repo_with
from tests.repos import git
from tests.secret_corpus import DRESSES, Secret

MESSAGE = 1_500  # characters of what one test prints: a message is cut at some length
BILL, TEST = "shop/bill.py", "tests/test_bill.py"
WRONG, RIGHT = "    return price - price * 7 // 100", "    return price + price * 7 // 100"
FILES = {
    "shop/__init__.py": "",
    BILL: f"def bill(price):\n{WRONG}\n",
    TEST: (
        "import base64, json, pathlib\nimport pytest\nfrom shop.bill import bill\n\n"
        "TOLD = json.loads(base64.b64decode(pathlib.Path(__file__).with_name('told').read_text()))\n\n\n"
        "@pytest.mark.parametrize('number', range(len(TOLD)))\n"
        "def test_bill(number):\n    assert bill(200) == 214, TOLD[number]\n"
    ),
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
}


def messages(secrets: Sequence[Secret]) -> list[str]:
    """What the tests say: each secret in one of the dresses, as many in a message as fit."""
    found, dresses = [""], list(DRESSES.values())
    for number, secret in enumerate(secrets):
        text = dresses[number % len(dresses)](secret.text)
        if len(found[-1]) + len(text) > MESSAGE:
            found.append("")
        found[-1] += f"{text}\n"
    return found


async def played(base: Path, secrets: Sequence[Secret], *, backend: str = "auto") -> dict[str, str]:
    """What is seen of the op, by place. Every test fails, a model runs them, quotes secrets and mends the bug."""
    told = messages(secrets)
    packed = base64.b64encode(json.dumps(told).encode()).decode()
    repo = repo_with(base / "shop", {**FILES, "tests/told": packed})
    ids = [f"{TEST}::test_bill[{number}]" for number in range(len(told))]
    quoted = "\n".join(secret.text for secret in secrets[::20])

    def say(asked: Asked) -> Reply:
        steps = [
            calls(("read_file", {"path": BILL}), ("get_callers", {"symbol": "bill"}), text=quoted),
            calls(("search_code", {"pattern": "bill"}), ("git_log", {"path": BILL}), ("list_dir", {"path": "tests"})),
            *(calls(("run_tests", {"ids": ids[at : at + 4]})) for at in range(0, len(ids), 4)),
            Reply(f"{swap(BILL, WRONG, RIGHT)}\nIt said: {quoted}"),
        ]
        return steps[min(asked.turn, len(steps)) - 1]

    model = Model(say, files=[BILL], changes=[BILL])
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter(LogSettings(level="debug", format="json")))
    logging.getLogger().addHandler(handler)
    try:
        config = config_for(base, repo, sandbox={"backend": backend})
        async with model.serve() as server, served(config, provider_at(server)) as (service, api):
            head = await service.core.repository.head()
            assert head.commit is not None
            found = await service.sensors.scan(None)  # the sensor of failing tests
            signal = manual_signal(
                f"Mend the bill. {quoted}", files=[BILL], closed_when=ids, base=head.commit, clock=service.clock
            )
            if not found.signals:
                await service.core.router.submit(signal)
            ending = await ended(service.core, within_s=240)
            logging.getLogger("tests.leaks").error("the op ended: %s", "\n".join(told))
            seen = {
                "prompts": "\n".join(json.dumps(asked.body, ensure_ascii=False) for asked in server.requests),
                "show": (await api.show(OpRef(op=ending.op.id))).model_dump_json(),
                "log of the record": (await api.log(LogRequest())).model_dump_json(),
                "status": (await api.status()).model_dump_json(),
                "told": await service.told(ending.op.id),
                "ending": f"{ending.state} {ending.reason}",
            }
            ledger = service.core.ledger
            seen["entries"] = "\n".join(entry.model_dump_json() for entry in await ledger.entries())
            blobs = [await ledger.get_blob(str(sha)) for (sha,) in await ledger.query("SELECT sha256 FROM blobs")]
            seen["blobs"] = "\n".join(blob.decode("utf-8", errors="replace") for blob in blobs)
    finally:
        logging.getLogger().removeHandler(handler)
    seen["log file"] = stream.getvalue()
    seen["commits"] = git(repo, "log", "--all", "--format=%B")
    if ending.state is not OpOutcome.COMPLETE:
        seen["not complete"] = ending.reason
    for file in config.places.state.glob("ledger*"):
        seen[file.name] = file.read_bytes().decode("utf-8", errors="replace")
    return seen


def leaks(seen: dict[str, str], secrets: Sequence[Secret]) -> Iterator[str]:
    """Place and name of each secret of which a piece stands somewhere, as it is or escaped once or twice."""
    for place, text in seen.items():
        for secret in secrets:
            if any(piece in text for piece in secret.windows()):
                yield f"{place}: {secret.name}"
