"""The sensors of one boot with all their ports. They outlive a runtime: its parts are looked up at each use."""

from __future__ import annotations

from collections.abc import Callable

from daemon.adapters.committed_tests import CommittedTests
from daemon.adapters.other_repositories import OtherRepositories
from daemon.adapters.sensor_manager import SensorManager, SignalIntake
from daemon.adapters.sensor_ports import CommittedNames, Gh, RepositoryIgnores
from daemon.adapters.test_setup import TestSetup
from daemon.app.core import Core
from daemon.views.scan_messages import INFILL_ONLY
from daemon.webhook.delivery_intake import find_secrets
from daemon.webhook.endpoint import WebhookEndpoint
from governance.irongate.op.g10_signatures import Scheme
from governance.irongate.secrets.redaction import redact
from governance.verification.suppressed_tests import SuppressedTests
from ledger.events.op import OpStarted
from ledger.vocabulary import Signal
from sensors.intake.records import Receipt
from sensors.ports import SensorPorts
from sensors.registry import build_sensors, named_places
from sensors.requests.deliveries import Deliveries
from sensors.runner import CodeFollower
from sensors.watch.watcher import Watcher
from tools.index.checkout import CheckoutFeed
from tools.ocr import SandboxedOcr


def build_sensor_manager(core: Core, tests: Callable[[], TestSetup]) -> SensorManager:
    """Build the sensors; nothing is watched yet. ``tests`` gives the test set-up of the present runtime."""
    config, settings = core.config, core.config.settings
    watcher = Watcher(
        places=config.places,
        ignore=RepositoryIgnores(git=core.git),
        settings=settings.watch,
        named=named_places(settings, str(config.places.repo)),
    )
    intake = SignalIntake(
        router=core.router, suppressed=SuppressedTests(refused=core.refused, repository=core.repository, git=core.git)
    )
    committed_tests = CommittedTests(
        workspaces=core.workspaces, runner=lambda: tests().runner, limit_s=settings.pipeline.suite_budget_s
    )
    ports = sensor_ports(core, tests=tests, committed_tests=committed_tests, intake=intake, watcher=watcher)
    return SensorManager(
        core=core,
        tests=tests,
        committed_tests=committed_tests,
        intake=intake,
        watcher=watcher,
        built=build_sensors(ports, settings),
        code=CodeFollower(index=CheckoutFeed(index=core.code, git=core.git, repository=core.repository)),
        webhooks=WebhookEndpoint(
            ledger=core.ledger,
            clock=core.clock,
            bus=core.bus,
            deliveries=Deliveries(ledger=core.ledger),
            lookup=config.secret,
            settings=settings.webhook,
        ),
    )


def sensor_ports(
    core: Core,
    *,
    tests: Callable[[], TestSetup],
    committed_tests: CommittedTests,
    intake: SignalIntake,
    watcher: Watcher,
) -> SensorPorts:
    """All ports of one boot's sensors."""
    config, router = core.config, core.router

    async def emit_for_owner(signal: Signal) -> Receipt:
        return await router.submit(signal, asked=True)

    async def depth_of(op_id: str) -> int:
        """Number of our own commits in the cause chain of an op; 0 for an unknown one."""
        started = await core.ledger.events(OpStarted, op_id=op_id, limit=1)
        return started[0][1].depth if started else 0

    def pressed_by() -> str:
        return core.health.vitals.surroundings().pressed_by

    async def busy_with() -> str:
        return pressed_by() if await router.idle() else "there is work"

    def ocr(program: str, languages: str, limit_s: float) -> SandboxedOcr:
        return SandboxedOcr(
            program=program,
            languages=languages,
            limit_s=limit_s,
            env=config.env,
            sandbox=lambda: tests().choice.sandbox,
            heavy=core.heavy,
        )

    def gh(timeout_s: float) -> Gh:
        return Gh(env=config.env, folder=config.places.state, lookup=config.secret, timeout_s=timeout_s)

    webhook = config.settings.webhook
    return SensorPorts(
        repository=core.repository,
        emit=intake.emit,
        ledger=core.ledger,
        clock=core.clock,
        depth_of=depth_of,
        redact=redact,
        unavailable=lambda: INFILL_ONLY if core.provider.capabilities.only_fills else "",
        tests=committed_tests,
        top=config.places.repo,
        spool=config.places.spool,
        emit_for_owner=emit_for_owner,
        withdraw=router.drop,
        is_known=router.knows,
        is_open=router.is_open,
        left_alone=intake.left_alone,
        pressed_by=pressed_by,
        busy_with=busy_with,
        follow=watcher.follow,
        elsewhere=OtherRepositories(places=config.places, env=config.env),
        names=CommittedNames(repository=core.repository, index=core.code, git=core.git),
        ocr=ocr,
        gh=gh,
        hindered=lambda: router.hindered,
        has_issue_webhook=bool(webhook.port) and Scheme.GITHUB in find_secrets(webhook, config.secret),
    )
