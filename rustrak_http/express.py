"""The express lane: envelopes like most, taken in by the thread that reads them, without framework and without waiting.

What differs in any way (another path, an unknown key, a broken or a large body, no room) is not taken, and goes the
long way through the application, which alone says what becomes of it. So nothing here refuses anything.
"""

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

import attrs
from falcon.uri import parse_query_string

from rustrak_core.auth import Credentials, agreed_credentials, find_credentials
from rustrak_core.compression import decompress
from rustrak_core.dsn import Dsn
from rustrak_core.errors import RustrakError
from rustrak_core.ports import EagerIntake, KeyRing
from rustrak_core.project import ProjectId
from rustrak_core.receive import Admission, Context, EnvelopeReceiver, Limits, Received, receive_whole
from rustrak_http.ingest import answer_body, single_values
from rustrak_http.middleware import INGESTION_HEADERS
from rustrak_http.paths import ingestion_path, number

BODY_BYTES = 256 * 1024
"""A larger body takes long enough to hold up the others that the thread looks after."""

DECOMPRESSED_BYTES = 1024 * 1024

HEADERS = (("Content-Type", "application/json"), *INGESTION_HEADERS)
"""What every answer of the express lane bears; it has no others but the length, and its status is 200."""

Answered = Callable[[bytes | None], None]


@attrs.frozen(kw_only=True)
class Sender:
    """What the head of a request says that the express lane needs; the same for most requests of an SDK.

    Attributes:
        found: The credentials in headers and query.
        content_encoding: The header, None where it is absent.
    """

    project_id: ProjectId
    found: Credentials | None
    content_encoding: str | None


class Lane(Protocol):
    """What a server needs of an express lane."""

    def sender(self, *, method: str, path: str, query: str, headers: Mapping[str, str]) -> Sender | None:
        """Return who sends, if a request with this head may take the lane."""
        ...

    def take(self, sender: Sender, body: bytes, remote_addr: str | None, answered: Answered) -> bool:
        """Take a request in; False where it must go the long way."""
        ...

    def push(self) -> None:
        """Have kept what was taken."""
        ...


class ExpressLane(Lane):
    """Takes envelopes in, and has the answer given once they are on disk.

    Args:
        keys: Knows the projects' keys.
        intake: Where accepted events go.
        limits: As of the application.
        clock, new_id: Likewise.
        admission: What may come in; what may not, or is to be told of a quota, goes the long way.
    """

    def __init__(
        self,
        *,
        keys: KeyRing,
        intake: EagerIntake,
        limits: Limits,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        admission: Admission,
    ) -> None:
        self._keys = keys
        self._intake = intake
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._admission = admission
        self._body_bytes = min(limits.body_bytes, BODY_BYTES)
        self._decompressed_bytes = min(limits.decompressed_bytes, DECOMPRESSED_BYTES)

    def sender(self, *, method: str, path: str, query: str, headers: Mapping[str, str]) -> Sender | None:
        """Return who sends, if a request with this head may take the lane.

        Args:
            path: Percent-decoded.
            query: As sent.
            headers: By names as in WSGI without ``HTTP_``, such as ``CONTENT_ENCODING``.
        """
        place = ingestion_path(path)
        if method != "POST" or place is None or not place.endswith("/envelope"):
            return None
        project = number(place.split("/")[2])
        try:
            found = find_credentials(
                sentry_auth=headers.get("X_SENTRY_AUTH"),
                authorization=headers.get("AUTHORIZATION"),
                query=single_values(parse_query_string(query, keep_blank=True)) if query else {},
            )
        except RustrakError:
            return None
        if project is None:
            return None
        return Sender(
            project_id=ProjectId(project), found=found, content_encoding=headers.get("CONTENT_ENCODING") or None
        )

    def take(self, sender: Sender, body: bytes, remote_addr: str | None, answered: Answered) -> bool:
        """Take a request in; False where it must go the long way.

        Args:
            body: As sent.
            answered: Called once, later, by any thread: with the body of the answer, or with None where the request
                could not be kept and must go the long way after all.
        """
        key = self._keys.known_key_of(sender.project_id)
        if key is None or len(body) > self._body_bytes:
            return False
        try:
            received = self._receive(sender, key, body, remote_addr)
            if received is None or not received.accepted.events:
                return False
        except RustrakError:
            return False
        return self._submit(sender.project_id, received, answered)

    def _submit(self, project_id: ProjectId, received: Received, answered: Answered) -> bool:
        accepted, answer = received.accepted, answer_body(received)
        now = accepted.events[0].received_at
        if not self._admission.pass_freely(project_id, accepted, now):
            return False

        def settled(failure: RustrakError | None) -> None:
            if failure is not None:
                self._admission.give_back(project_id, accepted, now)
            answered(answer if failure is None else None)

        try:
            self._intake.submit(accepted, settled)
        except RustrakError:
            self._admission.give_back(project_id, accepted, now)
            return False
        return True

    def push(self) -> None:
        """Have kept what was taken; the server calls it when it has read what there is to read."""
        self._intake.push()

    def _receive(self, sender: Sender, key: str, body: bytes, remote_addr: str | None) -> Received | None:
        """Return what the envelope came to, None where its sender has not shown *key*."""
        found = sender.found
        if sender.content_encoding is not None:
            body = decompress(body, sender.content_encoding, limit_bytes=self._decompressed_bytes)
        context = Context(
            project_id=sender.project_id,
            received_at=self._clock(),
            limits=self._limits,
            new_id=self._new_id,
            remote_addr=remote_addr,
            sdk_client=None if found is None else found.client,
        )
        whole = receive_whole(body, context)
        if whole is None:
            receiver = EnvelopeReceiver(context)
            receiver.feed(body)
            received, dsn = receiver.finish(), receiver.dsn
        elif isinstance(whole.dsn, str | None):
            received, dsn = whole.received, None if whole.dsn is None else _parsed(whole.dsn)
        else:
            return None
        if found is None or dsn is not None:
            found = agreed_credentials(found, dsn, project_id=sender.project_id)
        return received if found.sentry_key == key else None


@functools.lru_cache(maxsize=1024)
def _parsed(dsn: str) -> Dsn:
    return Dsn.parse(dsn)
