"""``rustrak send-event``: does an event get through? Sent as an SDK sends one, with the standard library alone."""

import http.client
import json
import sys
import traceback
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import attrs
import click

from rustrak_core import ambient
from rustrak_core.dsn import Dsn
from rustrak_core.envelope import Envelope, Item
from rustrak_core.errors import MalformedJsonError, RustrakError
from rustrak_core.jsontext import loads
from rustrak_core.times import to_rfc3339
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Number, json_option, option
from rustrak_http.cli.output import print_json, safe

CLIENT = "rustrak-cli/1"
ANSWER_MAX = 64 * 1024


class NotDeliveredError(RustrakError):
    """The test event did not arrive; the text says why, and what to look at."""


class RustrakTestError(Exception):
    """What a test event is about."""


@attrs.frozen(kw_only=True)
class Arrived:
    """Where a test event arrived.

    Attributes:
        id: Its id, hyphenated.
        url: Where the API shows it, given a token.
    """

    id: str
    project_id: int
    url: str


@click.command(
    "send-event",
    epilog=examples(
        "rustrak send-event http://KEY@127.0.0.1:8080/1",
        'SENTRY_DSN=http://KEY@127.0.0.1:8080/1 rustrak send-event --message "Hello from CI"',
    ),
)
@click.argument("dsn", envvar="SENTRY_DSN", required=False)
@option("--message", metavar="TEXT", default="This is a test event.", show_default=True, help="What it says.")
@option("--environment", metavar="NAME", help="Environment that it names.")
@option("--release", metavar="NAME", help="Release that it names.")
@option("--timeout", "timeout_s", type=Number(0.1), default=10.0, show_default=True, help="Seconds to wait.")
@json_option
def send_event(
    *, dsn: str | None, message: str, environment: str | None, release: str | None, timeout_s: float, as_json: bool
) -> None:
    """Send a test event to DSN (default: SENTRY_DSN), and tell where it arrived."""
    if dsn is None:
        raise click.UsageError("give a DSN, or set SENTRY_DSN; `rustrak project list` shows those of all projects")
    extra = {name: value for name, value in (("environment", environment), ("release", release)) if value is not None}
    arrived = send(Dsn.parse(dsn), _test_event(message) | extra, timeout_s=timeout_s)
    if as_json:
        print_json(attrs.asdict(arrived))
        return
    click.echo(
        f"Event {arrived.id} arrived in project {arrived.project_id}. Read it with\n\n"
        f"  rustrak event {arrived.id}\n\n"
        f'  curl -H "Authorization: Bearer TOKEN" "{arrived.url}"'
    )


def send(dsn: Dsn, event: dict[str, Any], *, timeout_s: float) -> Arrived:
    """Send *event* to *dsn*, and return where it arrived.

    Raises:
        NotDeliveredError: it did not arrive.
    """
    event_id = ambient.new_uuid()
    payload = json.dumps(event | {"event_id": event_id.hex}).encode()
    now = datetime.now(UTC)
    envelope = Envelope(
        headers={"event_id": event_id.hex, "sent_at": to_rfc3339(now)},
        items=(Item(headers={"type": "event"}, payload=payload),),
    )
    request = urllib.request.Request(  # noqa: S310 - a Dsn is of http or https
        dsn.envelope_url(),
        data=envelope.serialize(),
        headers={
            "Content-Type": "application/x-sentry-envelope",
            "User-Agent": CLIENT,
            "X-Sentry-Auth": f"Sentry sentry_version=7, sentry_client={CLIENT}, sentry_key={dsn.public_key}",
        },
    )
    answer = _answer(request, dsn, timeout_s)
    if not isinstance(answer, dict) or answer.get("id") != event_id.hex:
        raise NotDeliveredError(f"{dsn.base_url} answered, but not as an error tracker does; is the DSN's host right?")
    url = f"{dsn.base_url}/api/events/{event_id}?project_id={dsn.project_id}"
    return Arrived(id=str(event_id), project_id=dsn.project_id, url=url)


def _answer(request: urllib.request.Request, dsn: Dsn, timeout_s: float) -> Any:
    """Return the JSON that the server answers; None where it is no JSON."""
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310 - as above
            return loads(response.read(ANSWER_MAX))
    except urllib.error.HTTPError as refused:
        with refused:
            raise NotDeliveredError(f"{dsn.base_url} refused the event: {_reason(refused)}") from None
    except urllib.error.URLError as unreachable:
        reason = unreachable.reason
        text = getattr(reason, "strerror", None) or str(reason)
    except TimeoutError:
        text = f"no answer within {timeout_s:g} s"
    except (OSError, http.client.HTTPException) as broken:
        text = str(broken) or type(broken).__name__
    except MalformedJsonError:
        return None
    raise NotDeliveredError(f"cannot reach {dsn.base_url}: {safe(text)}; is the server running there?")


def _reason(refused: urllib.error.HTTPError) -> str:
    try:
        answer = loads(refused.read(ANSWER_MAX))
        text = str(answer.get("error") or answer.get("detail") or "")
    except (MalformedJsonError, OSError, AttributeError, http.client.HTTPException):
        text = ""
    return f"{refused.code} {safe(text or refused.reason)}"


def _test_event(message: str) -> dict[str, Any]:
    """Return an event as sentry-sdk builds one, of an exception with a stack of one frame: this function's."""
    try:
        raise RustrakTestError(message)  # noqa: TRY301 - its stack is what the event shows
    except RustrakTestError as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
    frames = [
        {
            "filename": "rustrak_http/cli/send_event.py",
            "abs_path": frame.filename,
            "module": __name__,
            "function": frame.name,
            "lineno": frame.lineno,
            "context_line": frame.line,
            "in_app": True,
        }
    ]
    value = {
        "type": RustrakTestError.__name__,
        "module": __name__,
        "value": message,
        "mechanism": {"type": "generic", "handled": True},
        "stacktrace": {"frames": frames},
    }
    return {
        "timestamp": to_rfc3339(datetime.now(UTC)),
        "platform": "python",
        "level": "error",
        "logger": "rustrak",
        "exception": {"values": [value]},
        "tags": {"rustrak.test": "true"},
        "contexts": {"runtime": {"name": "CPython", "version": sys.version.split()[0]}},
        "sdk": {"name": "rustrak-cli", "version": "1"},
    }
