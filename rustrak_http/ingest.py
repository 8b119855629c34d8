"""``/api/{project_id}/envelope/``, ``/store/`` and ``/security/``: where SDKs send (SDK.md; API.md, Ingestion).

In this order: the project, then its key, then the body, read in pieces and bounded at each step, then the intake. An
answer of 200 means that what was accepted is kept.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import attrs
import falcon

from rustrak_core.accepted import Accepted
from rustrak_core.auth import Credentials, agreed_credentials, find_credentials
from rustrak_core.compression import Decompressor
from rustrak_core.errors import (
    ConflictingCredentialsError,
    CredentialsError,
    MalformedEnvelopeError,
    OverloadError,
    RateLimit,
    RustrakError,
    SpoolUnavailableError,
    StoreUnavailableError,
    UnsupportedContentTypeError,
)
from rustrak_core.ports import Intake, KeyRing
from rustrak_core.project import ProjectId
from rustrak_core.receive import (
    Admission,
    Context,
    EnvelopeReceiver,
    Limits,
    Received,
    receive_security,
    receive_store,
    refused,
)
from rustrak_http.body import chunks
from rustrak_http.errors import rate_limits
from rustrak_http.paths import project_id

_log = logging.getLogger("rustrak.http")
_REPORT_TYPES = frozenset({"application/csp-report", "application/reports+json", "application/json"})
_OUTAGE_RETRY_S = 10
_SENDING_HINTS = (("sentry_release", "release"), ("sentry_environment", "environment"))


@attrs.define(kw_only=True)
class Delivery:
    """One request on its way in.

    Attributes:
        key: The project's key, 32 hex digits.
        found: The credentials in headers and query, if there are any; an envelope may name a DSN instead.
        trusted: Its sender has shown that key; until then nothing is counted for the project.
    """

    project_id: ProjectId
    key: str = attrs.field(repr=False)
    received_at: datetime
    remote_addr: str | None
    found: Credentials | None = None
    trusted: bool = False

    @property
    def sdk_client(self) -> str | None:
        """What the sender calls itself, where headers or query say so."""
        return None if self.found is None else self.found.client


class Door:
    """What the ingestion routes have in common: who may come in, and where things are kept."""

    def __init__(
        self,
        *,
        keys: KeyRing,
        intake: Intake,
        limits: Limits,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        admission: Admission,
    ) -> None:
        self.limits = limits
        self._new_id = new_id
        self._keys = keys
        self._intake = intake
        self._clock = clock
        self._admission = admission

    def open(self, req: falcon.Request, project_text: str) -> Delivery:
        """Return the delivery that *req* makes, its sender checked if headers or query name a key.

        Raises:
            UnknownProjectError: no such project, whatever the credentials.
            CredentialsError: the credentials are not those of the project.
            ConflictingCredentialsError: they contradict each other.
            StoreUnavailableError: the project is not known here, and the store cannot be asked.
        """
        project = project_id(project_text)
        key = self._keys.key_of(project)
        env = req.env
        delivery = Delivery(
            project_id=project, key=key, received_at=self._clock(), remote_addr=env.get("REMOTE_ADDR") or None
        )
        found = find_credentials(
            sentry_auth=env.get("HTTP_X_SENTRY_AUTH"),
            authorization=env.get("HTTP_AUTHORIZATION"),
            query=single_values(req.params),
        )
        if found is not None:
            admit(delivery, found)
            delivery.found = found
        return delivery

    def context(self, delivery: Delivery, hints: tuple[tuple[str, str], ...] = ()) -> Context:
        """Return what is known of *delivery* beside its body."""
        return Context(
            project_id=delivery.project_id,
            received_at=delivery.received_at,
            limits=self.limits,
            new_id=self._new_id,
            remote_addr=delivery.remote_addr,
            sdk_client=delivery.sdk_client,
            hints=hints,
        )

    def keep(self, delivery: Delivery, accepted: Accepted) -> Sequence[RateLimit]:
        """Hand *accepted* over; on return it is kept, but for what is over a quota. The sender is told what returns.

        Raises:
            OverloadError: it cannot be kept just now. An outage is one too: SDKs pause for a 429, and ignore what a 503
                says.
        """
        try:
            return self._admission.keep(self._intake, delivery.project_id, accepted, self._clock())
        except (SpoolUnavailableError, StoreUnavailableError) as error:
            _log.error("events_refused reason=%s", error)
            raise OverloadError(
                "events cannot be kept just now; see /health/ready", retry_after_s=_OUTAGE_RETRY_S, reason="unavailable"
            ) from error

    def count_refusal(self, delivery: Delivery, error: RustrakError) -> None:
        """Count a request that was refused for what it is, if its sender is known; failing that changes no answer."""
        count = None
        if delivery.trusted:
            count = refused(error, project_id=delivery.project_id, received_at=delivery.received_at)
        if count is not None:
            self._count(count)

    def _count(self, counts: Accepted) -> None:
        with contextlib.suppress(OverloadError, SpoolUnavailableError, StoreUnavailableError):
            self._intake.accept(counts)


class EnvelopeResource:
    """``/api/{project_id}/envelope/``: envelopes, in pieces through a push parser."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def on_post(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Take an envelope in, and answer with its event's id, or ``{}`` where it has and needs none."""
        door = self._door
        delivery = door.open(req, project_id)
        receiver = EnvelopeReceiver(door.context(delivery))
        try:
            received = _pour(req, receiver, delivery, door.limits)
        except RustrakError as error:
            door.count_refusal(delivery, error)
            raise
        _answer(resp, received, door.keep(delivery, received.accepted))


class StoreResource:
    """``/api/{project_id}/store/``: single events, as SDKs sent them before there were envelopes."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def on_post(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Take an event in, and answer with its id."""
        door = self._door
        delivery = door.open(req, project_id)
        _require_trusted(delivery)
        try:
            received = receive_store(_whole_body(req, door.limits), door.context(delivery))
        except RustrakError as error:
            door.count_refusal(delivery, error)
            raise
        _answer(resp, received, door.keep(delivery, received.accepted))


class SecurityResource:
    """``/api/{project_id}/security/``, also ``/csp-report/``: what browsers report of a Content Security Policy."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def on_post(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Take a report in; the answer is ``{}``.

        Raises:
            UnsupportedContentTypeError: the body is said to be something else.
        """
        door = self._door
        delivery = door.open(req, project_id)
        _require_trusted(delivery)
        try:
            if (req.content_type or "").partition(";")[0].strip().lower() not in _REPORT_TYPES:
                raise UnsupportedContentTypeError(f"Content-Type must be one of {', '.join(sorted(_REPORT_TYPES))}")
            query = single_values(req.params)
            hints = tuple((hint, query[name]) for name, hint in _SENDING_HINTS if query.get(name))
            received = receive_security(_whole_body(req, door.limits), door.context(delivery, hints))
        except RustrakError as error:
            door.count_refusal(delivery, error)
            raise
        _answer(resp, received, door.keep(delivery, received.accepted))


def admit(delivery: Delivery, credentials: Credentials) -> None:
    """Let *delivery* in, if *credentials* are those of its project.

    Raises:
        CredentialsError: they are not.
    """
    if credentials.sentry_key != delivery.key:
        raise CredentialsError("this sentry_key is not that of the project; take the DSN that the project shows now")
    delivery.trusted = True


def single_values(params: Mapping[str, str | list[str]]) -> dict[str, str]:
    """Return a query with one value a name.

    Raises:
        ConflictingCredentialsError: it holds two different keys.
    """
    keys = params.get("sentry_key")
    if isinstance(keys, list) and len(set(keys)) > 1:
        raise ConflictingCredentialsError("the query gives two different sentry_key; send one")
    return {name: value if isinstance(value, str) else value[0] for name, value in params.items()}


def _pour(req: falcon.Request, receiver: EnvelopeReceiver, delivery: Delivery, limits: Limits) -> Received:
    """Read the body through *receiver*; the envelope's ``dsn`` is judged before anything else that it holds."""
    agreed = False
    try:
        for piece in _pieces(req, body_bytes=limits.body_bytes, decompressed_bytes=limits.decompressed_bytes):
            receiver.feed(piece)
            if not agreed and receiver.header_done:
                _agree(receiver, delivery)
                agreed = True
        received = receiver.finish()
    except RustrakError as error:
        # A stranger learns that he is one, not what is wrong with his envelope.
        if not agreed and (receiver.header_done or isinstance(error, MalformedEnvelopeError)):
            _agree(receiver, delivery)
        raise
    if not agreed:
        _agree(receiver, delivery)
    return received


def _agree(receiver: EnvelopeReceiver, delivery: Delivery) -> None:
    """Check the envelope's ``dsn``, if any, against headers, query and path; raises as the two calls in it do."""
    admit(delivery, agreed_credentials(delivery.found, receiver.dsn, project_id=delivery.project_id))


def _pieces(req: falcon.Request, *, body_bytes: int, decompressed_bytes: int) -> Iterator[bytes]:
    decoder = Decompressor(req.env.get("HTTP_CONTENT_ENCODING"), limit_bytes=decompressed_bytes)
    for chunk in chunks(req.env, limit_bytes=body_bytes):
        yield from decoder.feed(chunk)
    yield from decoder.finish()


def _require_trusted(delivery: Delivery) -> None:
    """Return if the sender has shown the key, which stands nowhere but in headers or query where there is no envelope.

    Raises:
        CredentialsError: neither named a key.
    """
    if not delivery.trusted:
        raise CredentialsError("missing credentials: send the DSN's key in X-Sentry-Auth or the query")


def _whole_body(req: falcon.Request, limits: Limits) -> bytes:
    """Return the body of one event, decoded.

    Raises:
        TooLargeError: it is over twice what an event may have; base64 and a sender's blanks have room in that.
    """
    most = min(limits.decompressed_bytes, 2 * limits.event_bytes)
    return b"".join(_pieces(req, body_bytes=limits.body_bytes, decompressed_bytes=most))


def answer_body(received: Received) -> bytes:
    """Return what a request is answered with that came to *received*."""
    return b"{}" if received.event_id is None else b'{"id":"%s"}' % received.event_id.hex.encode()


def _answer(resp: falcon.Response, received: Received, limits: Sequence[RateLimit]) -> None:
    resp.content_type = falcon.MEDIA_JSON
    resp.data = answer_body(received)
    if limits:
        resp.set_header("X-Sentry-Rate-Limits", rate_limits(limits))
        resp.set_header("Retry-After", str(max(limit.retry_after_s for limit in limits)))
