"""Report with sentry-sdk, whichever version is installed, and print what came back as JSON."""

import json
import sys
from typing import Any, NoReturn

import sentry_sdk
import urllib3.connectionpool

answers: list[tuple[str, int]] = []
_urlopen = urllib3.connectionpool.HTTPConnectionPool.urlopen


def urlopen(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
    """Note the status of every answer that the SDK gets."""
    response = _urlopen(self, method, url, *args, **kwargs)
    answers.append((url, response.status))
    return response


urllib3.connectionpool.HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]


class OutOfStockError(Exception):
    """What goes wrong."""


def take(fruit: str, wanted: int) -> NoReturn:
    """Fail, two calls deep."""
    raise OutOfStockError("not enough " + fruit + ": wanted " + str(wanted))


def order(fruit: str) -> None:
    """Call what fails."""
    take(fruit, wanted=2)


sentry_sdk.init(dsn=sys.argv[1], release="shop@1.2.3", environment="e2e", traces_sample_rate=1.0)
scope = sentry_sdk.get_isolation_scope() if hasattr(sentry_sdk, "get_isolation_scope") else sentry_sdk.Hub.current.scope
sessions = scope if hasattr(scope, "start_session") else sentry_sdk.Hub.current
sessions.start_session()
sentry_sdk.set_tag("customer", "acme")
sentry_sdk.set_user({"id": "42", "email": "ann@example.com"})
sentry_sdk.add_breadcrumb(category="cart", message="pear put into the cart", level="info")
scope.add_attachment(bytes=b'first\n{"type":"event"}\n{}\n', filename="log.txt")
exception_id = None
try:
    order("pear")
except OutOfStockError as error:
    exception_id = sentry_sdk.capture_exception(error)
message_id = sentry_sdk.capture_message("shop is open: ünïcödé 你好", level="warning")
with sentry_sdk.start_transaction(op="task", name="checkout"):
    pass
sessions.end_session()
sentry_sdk.flush(timeout=10)
print(json.dumps({"exception": exception_id, "message": message_id, "answers": answers}))
