"""The application: a WSGI callable, to be served by itself or mounted under a prefix of someone else's."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import falcon

from rustrak_core import ambient
from rustrak_core.ports import Intake, KeyRing, Spool, Store
from rustrak_core.quota import QuotaKeeper
from rustrak_core.receive import Admission, Limits
from rustrak_core.tracker import DirectIntake
from rustrak_core.tracker.mechanisms import Digester
from rustrak_http import errors
from rustrak_http.base_url import BaseUrl
from rustrak_http.gate import TokenGate
from rustrak_http.ingest import Door, EnvelopeResource, SecurityResource, StoreResource
from rustrak_http.keyring import StoreKeyRing
from rustrak_http.listing import Listing
from rustrak_http.middleware import Front
from rustrak_http.openapi import OpenApiResource
from rustrak_http.resources.events import EventResource, IssueEventsResource
from rustrak_http.resources.grouping import GroupingResource
from rustrak_http.resources.health import LiveResource, ReadyResource, WorkerProbe
from rustrak_http.resources.issues import IssueResource, ProjectIssuesResource
from rustrak_http.resources.merges import MergeResource, UnmergeResource
from rustrak_http.resources.projects import ProjectResource, ProjectsResource
from rustrak_http.resources.similar import SimilarResource
from rustrak_http.resources.stats import StatsResource
from rustrak_http.resources.tokens import TokenResource, TokensResource
from rustrak_http.rules_log import log_unreadable_rules

App = falcon.App[falcon.Request, falcon.Response]


def create_app(
    store: Store,
    *,
    spool: Spool | None = None,
    keys: KeyRing | None = None,
    public_url: str | None = None,
    quotas: QuotaKeeper | None = None,
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    clock: Callable[[], datetime] = ambient.utc_now,
    new_id: Callable[[], UUID] = ambient.new_uuid,
    new_token: Callable[[], str] = ambient.new_token_hex,
    worker_alive: WorkerProbe | None = None,
    undigested_max_s: float = 300.0,
    role: str | None = None,
) -> App:
    """Return the whole HTTP API as a WSGI callable. It starts no thread, and owns neither *store* nor *spool*.

    Args:
        store: Where projects, tokens, issues and events are kept.
        spool: Where accepted events wait for a digest worker, which the caller runs. Without one, each request digests
            and records what it brought.
        keys: Knows the projects' keys; without one, they are asked of *store* every few seconds.
        public_url: As applications reach this server, for DSNs and links; without one, each request's own host.
        quotas: Counts what is accepted against quotas, as `rustrak_storage.quota_file.QuotaFile` does; None for none.
        limits: How large things may be.
        clock, new_id, new_token: Time, ids and token entropy, to be replaced in tests.
        worker_alive: Asked by ``/health/ready`` whether the digest worker lives.
        undigested_max_s: Not ready once the oldest undigested event has waited for longer.
        role: What this server is there for where several share a database, said by ``/health/ready``.

    Raises:
        ConfigurationError: *public_url* is no URL.
    """
    base_url = BaseUrl(public_url)
    listing = Listing(base_url)
    ring = StoreKeyRing(store) if keys is None else keys
    digester = Digester(store, unreadable=log_unreadable_rules)
    intake: Intake = DirectIntake(store, digester=digester) if spool is None else spool
    app: App = falcon.App(middleware=[Front(TokenGate(store, clock=clock))])
    app.req_options.strip_url_path_trailing_slash = True
    errors.install(app)

    admission = Admission(quotas)
    door = Door(keys=ring, intake=intake, limits=limits, clock=clock, new_id=new_id, admission=admission)
    _route(
        app,
        ("/api/{project_id}/envelope", EnvelopeResource(door)),
        ("/api/{project_id}/store", StoreResource(door)),
        ("/api/{project_id}/security", SecurityResource(door)),
        ("/api/{project_id}/csp-report", SecurityResource(door)),
    )
    _route(
        app,
        (
            "/api/projects",
            ProjectsResource(store, keys=ring, listing=listing, base_url=base_url, clock=clock, new_id=new_id),
        ),
        ("/api/projects/{project_id}", ProjectResource(store, keys=ring, base_url=base_url, clock=clock)),
        ("/api/projects/{project_id}/stats", StatsResource(store, spool=spool, clock=clock)),
        (
            "/api/projects/{project_id}/grouping",
            GroupingResource(store, clock=clock, changed=digester.forget),
        ),
        ("/api/projects/{project_id}/issues", ProjectIssuesResource(store, listing=listing)),
        ("/api/issues/{issue_id}", IssueResource(store, clock=clock)),
        ("/api/issues/{issue_id}/merge", MergeResource(store, clock=clock)),
        ("/api/issues/{issue_id}/unmerge", UnmergeResource(store)),
        ("/api/issues/{issue_id}/similar", SimilarResource(store)),
        ("/api/issues/{issue_id}/events", IssueEventsResource(store, listing=listing)),
        ("/api/events/{event_id}", EventResource(store)),
        ("/api/tokens", TokensResource(store, listing=listing, clock=clock, new_token=new_token)),
        ("/api/tokens/{token_id}", TokenResource(store)),
    )
    ready = ReadyResource(
        store, spool=spool, worker_alive=worker_alive, clock=clock, undigested_max_s=undigested_max_s, role=role
    )
    _route(
        app,
        ("/health", LiveResource()),
        ("/health/ready", ready),
        ("/openapi.json", OpenApiResource()),
    )
    return app


def _route(app: App, *routes: tuple[str, Any]) -> None:
    for template, resource in routes:
        app.add_route(template, resource)
