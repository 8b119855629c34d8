"""Items that are counted, not kept: their rate-limit categories (SDK.md, sections 7 and 9), and client reports."""

import re
from collections.abc import Mapping
from typing import Any, Final

from rustrak_core.accepted import Outcome
from rustrak_core.envelope import item_type
from rustrak_core.errors import MalformedJsonError
from rustrak_core.jsontext import loads
from rustrak_core.receive.context import Tally

CLIENT_REPORT_BYTES: Final = 16 * 1024
"""Four times what the protocol allows; a longer one is dropped."""

_CATEGORIES: Final[Mapping[str, str]] = {
    "event": "error",
    "transaction": "transaction",
    "attachment": "attachment",
    "user_report": "feedback",
    "feedback": "feedback",
    "session": "session",
    "sessions": "session",
    "check_in": "monitor",
    "log": "log_item",
    "span": "span",
    "trace_metric": "trace_metric",
    "profile": "profile",
    "profile_chunk": "profile_chunk",
    "replay_event": "replay",
    "replay_recording": "replay",
    "replay_video": "replay",
    "statsd": "metric_bucket",
    "metric_buckets": "metric_bucket",
    "security": "security",
    "raw_security": "security",
    "client_report": "internal",
}
_NEED_ID: Final = frozenset({"event", "transaction", "attachment", "user_report", "feedback"})
_ITEM_COUNT_MAX = 1_000_000
_REPORT_ROWS_MAX = 100
_REPORT_QUANTITY_MAX = 2**31
_TEXT_MAX = 64
_ODD = re.compile(r"[^A-Za-z0-9_.:/ -]")


def category(type_: str) -> str:
    """Return the rate-limit category of items of *type_*."""
    return _CATEGORIES.get(type_, "default")


def needs_event_id(type_: str) -> bool:
    """Tell whether items of *type_* belong to an event id, so that the answer names one."""
    return type_ in _NEED_ID


def count_discarded(tally: Tally, headers: Mapping[str, Any]) -> None:
    """Count an item that is not kept, as many times as its ``item_count`` says."""
    number = headers.get("item_count")
    quantity = number if type(number) is int and 0 < number <= _ITEM_COUNT_MAX else 1
    tally.add(category(item_type(headers)), Outcome.DISCARDED, quantity=quantity)


def count_client_report(tally: Tally, payload: bytes) -> None:
    """Count what an SDK says it dropped; entries that are broken are ignored, and kinds beyond the first 100."""
    try:
        report = loads(payload)
    except MalformedJsonError:
        return
    entries = report.get("discarded_events") if isinstance(report, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            _count_dropped(tally, entry)


def _count_dropped(tally: Tally, entry: Mapping[str, Any]) -> None:
    quantity = entry.get("quantity")
    reason, of = _word(entry.get("reason")), _word(entry.get("category"))
    if type(quantity) is not int or not 0 < quantity <= _REPORT_QUANTITY_MAX or reason is None or of is None:
        return
    if len(tally) < _REPORT_ROWS_MAX or tally.knows(of, Outcome.SDK_DROPPED, reason):
        tally.add(of, Outcome.SDK_DROPPED, reason=reason, quantity=quantity)


def _word(value: object) -> str | None:
    return _ODD.sub("?", value[:_TEXT_MAX]) if isinstance(value, str) and value else None
