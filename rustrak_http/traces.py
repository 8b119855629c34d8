"""Where an exception came from, for logs: types and places, no text of a foreign one, which may quote a payload."""

import traceback
from collections.abc import Iterator

from rustrak_core.errors import RustrakError


def places(error: BaseException) -> Iterator[str]:
    """Yield type and places of *error* and its causes; texts of our own errors only, since they hold no payload."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        text = f": {current}" if isinstance(current, RustrakError) else ""
        yield f"{type(current).__module__}.{type(current).__qualname__}{text}"
        yield from (line.rstrip() for line in traceback.format_list(traceback.extract_tb(current.__traceback__)))
        current = current.__cause__ or current.__context__
