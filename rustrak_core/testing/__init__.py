"""Unit-test how errors group, before a fingerprint or a rule ships: no database, no server, milliseconds.

    >>> from rustrak_core.grouping import Rules
    >>> from rustrak_core.testing import assert_grouped, assert_separate, error
    >>> rules = Rules(mechanism="anchor@1")
    >>> late = error("TimeoutError: order 17 took 31 s", at="shop/orders.py:load")
    >>> later = error("TimeoutError: order 18 took 44 s", at="shop/orders.py:load")
    >>> assert_grouped(late, later, rules=rules)
    >>> assert_separate(late, error("TimeoutError: order 17 took 31 s", at="shop/cart.py:load"), rules=rules)

Under pytest, the plugin `rustrak_core.testing.plugin` adds the fixture ``grouping_snapshot``.
"""

from rustrak_core.testing.assertions import assert_grouped, assert_separate, side_by_side
from rustrak_core.testing.events import Event, error, from_exception, from_recorded, message

__all__ = [
    "Event",
    "assert_grouped",
    "assert_separate",
    "error",
    "from_exception",
    "from_recorded",
    "message",
    "side_by_side",
]
