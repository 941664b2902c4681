"""create_app: the only place that knows every part of the app."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from chirp import App, AppConfig
from chirp.contracts import Severity

from app import routes
from app.contacts.contact import now
from app.contacts.samples import samples
from app.settings import Settings, refuse_unfit_demo
from app.store import ContactStore, open_store
from app.store.sandbox import SandboxStore
from app.web import rendering, sandboxes, view
from app.web.credentials import Keys, Passwords
from app.web.errors import Middleware, error_pages
from app.web.forms import method_override
from app.web.gate import Gate, mark_forms, visitor
from app.web.lab import Lab, stage_faults, staged
from app.web.lists import INDEX
from app.web.live import Live
from app.web.metrics import Metrics
from app.web.probes import Readiness
from app.web.problems import api_problems
from app.web.sandboxes import Sandboxes
from app.web.security import (
    caching_rules,
    close_odd_paths,
    refuse_before_middleware,
    refuse_cross_site_writes,
)
from app.web.static import StaticFiles
from app.web.streaming import send_streamed
from app.web.uploads import Uploads

Current = Callable[[], ContactStore]  # the store of the request that is being answered

ROOT = Path(__file__).resolve().parents[1]
BODY_LIMIT = 1_048_576  # bytes; the longest form is about 100 kB. Uploads: app.web.transfer
NOBODY = "nobody can sign in yet: make a user with `python -m app user add NAME`"

log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    store: ContactStore | None = None,
    *,
    passwords: Passwords | None = None,
    clock: Callable[[], datetime] = now,
) -> App:
    """The app, frozen and ready to serve.

    settings: those of the environment when not given. store: a store that is open already;
    otherwise the one that the settings name is opened, migrated and, if it is new, given
    its sample contacts. A demo uses neither. passwords, clock: how sign-in hashes and tells
    the time. CannotOpen or BadSetting says what is wrong.
    """
    rendering.apply_fixes()
    settings = settings or Settings.from_env()
    refuse_unfit_demo(settings)
    metrics = Metrics()
    app = App(_config(settings))
    app.provide(Settings, lambda: settings)
    app.template_global("demo")(sandboxes.banner)
    app.template_global("owner_of_contacts")(sandboxes.owner_of_contacts)
    app.provide(Metrics, lambda: metrics)
    app.add_middleware(metrics.count_requests(app))  # outermost, to see what the client gets
    app.template_global("has_lab")(lambda: settings.can_stage)
    if settings.demo:
        store, uploads, current = _add_demo(app, settings, metrics)
    else:
        store, gate = metrics.watch(store or open_with_samples(settings)), None
        if settings.auth == "password":
            gate = Gate(app, metrics.watch(store.accounts()), Keys(settings.secret), clock)
            _add_sign_in(app, gate, passwords or Passwords())
            store.close_worker()  # as in open_with_samples
        uploads, current = _add_store(app, settings, store, gate)
    if settings.can_stage:
        _add_lab(app, current)
    _explain_to_check(app)
    _add_lifecycle(app, store, uploads)
    routes.register(app)
    # Freezing here and not at the first request: a mistake in a route stops the start.
    app.freeze()
    return app


def _add_store(
    app: App, settings: Settings, store: ContactStore, gate: Gate | None
) -> tuple[Uploads, Current]:
    """One store for everyone. gate: asks who that is; None lets everyone in."""
    uploads, live = Uploads(_folder_of_uploads(settings)), Live(store)
    app.provide(ContactStore, lambda: store)
    app.provide(Uploads, lambda: uploads)
    app.provide(Live, lambda: live)
    _add_middleware(app, gate=gate)
    return uploads, lambda: store


def _add_demo(app: App, settings: Settings, metrics: Metrics) -> tuple[ContactStore, Uploads, Current]:
    """A store for each visitor, see app.web.sandboxes. The one that is returned has the samples of all."""
    first = SandboxStore()
    first.import_many(samples(settings.sample), kind="sample")
    store = metrics.watch(first)
    demo = Sandboxes(store, lambda: metrics.watch(SandboxStore(first)))
    uploads, live = Uploads(None, sandboxes.UPLOADS), Live(store, demo)
    app.provide(ContactStore, demo.store)
    app.provide(Uploads, lambda: demo.uploads(uploads))
    app.provide(Live, lambda: live)
    _add_middleware(app, sandboxes.visitors(demo))
    routes.register_demo(app)
    return store, uploads, demo.store


def open_with_samples(settings: Settings) -> ContactStore:
    """Open the settings' store; a store in which nothing ever happened gets the sample contacts."""
    store = open_store(settings.store)
    if settings.sample and store.last_change() == 0:
        store.import_many(samples(settings.sample), kind="sample")
    store.close_worker()  # the workers open their own; processes must not inherit this one
    return store


def _folder_of_uploads(settings: Settings) -> Path | None:
    """Where uploaded files wait: beside the database, which its processes share; None beside no file."""
    if not settings.store.startswith("sqlite:///"):
        return None
    return Path(settings.store.removeprefix("sqlite:///") + ".imports").absolute()


def _config(settings: Settings) -> AppConfig:
    return AppConfig(
        template_dir=ROOT / "templates",
        static_dir=None,  # StaticFiles below
        safe_target=False,  # it and the next inject inline scripts, which our policy forbids
        sse_lifecycle=False,
        health_path="",  # app.web.probes has one that no cache keeps,
        ready_path="",  # and one that says more
        worker_mode="async",
        workers=settings.workers,
        max_request_body_size=BODY_LIMIT,
    )


def _add_sign_in(app: App, gate: Gate, passwords: Passwords) -> None:
    """What lets people through the gate."""
    if not gate.accounts.users():
        # At the start, because nobody has set up the log before.
        app.on_startup(lambda: log.warning(NOBODY))
    app.provide(Gate, lambda: gate)
    app.provide(Passwords, lambda: passwords)
    routes.register_sign_in(app)


def _add_middleware(app: App, *visitors: Middleware, gate: Gate | None = None) -> None:
    """The chain, outermost first. visitors: who knows them, in a demo. gate: None lets everyone in."""
    static = StaticFiles(ROOT / "static")
    app.template_global("static")(static.url)
    for function in (*view.GLOBALS, visitor):
        app.template_global(function.__name__)(function)
    for middleware in (
        caching_rules,
        static,
        *visitors,
        *([mark_forms] if gate else []),
        error_pages(app),
        api_problems,
        close_odd_paths,
        refuse_cross_site_writes,
        *([gate] if gate else []),
        method_override,
        send_streamed,
    ):
        app.add_middleware(middleware)
    for status in (400, 404, 405):
        app.error(status)(refuse_before_middleware)


def _add_lab(app: App, current: Current) -> None:
    """What lets a person cause trouble, see app.web.lab. current: the store of the present request."""
    lab = Lab()
    app.provide(Lab, lambda: lab)
    app.provide(ContactStore, lambda: staged(current()))
    app.add_middleware(stage_faults(lab, current))
    routes.register_lab(app)


def _explain_to_check(app: App) -> None:
    """Tell `chirp check` what it cannot see; tests/ prove each point instead."""
    app.declare_template("error.html")  # rendered by error_pages, not by a handler
    for template in ("lab.html", "sign_in.html", "account.html", "signed_out.html"):
        app.declare_template(template)  # of routes that are not always there
    app.declare_template(INDEX)  # it looks for names in the module of the handler only
    # It takes every form for an htmx request that inherits the target of a layout of its own.
    app.override_contract_severity("swap_safety", Severity.INFO)
    # It looks for its own middleware; app.web.headers takes its place.
    app.override_contract_severity("security_stack", Severity.INFO)


def _add_lifecycle(app: App, store: ContactStore, uploads: Uploads) -> None:
    readiness = Readiness(store)
    app.provide(Readiness, lambda: readiness)
    app.on_startup(uploads.open)
    app.on_startup(readiness.started)
    app.on_worker_startup(store.open_worker)
    app.on_worker_startup(readiness.enter)
    app.on_worker_shutdown(readiness.leave)
    app.on_worker_shutdown(store.close_worker)
    app.on_shutdown(uploads.close)
    app.on_shutdown(store.close)
