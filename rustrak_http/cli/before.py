"""What ``rustrak serve`` looks at before it accepts anything: can all that it will need be used, and by it alone?"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rustrak_core.quota import Quotas
from rustrak_http.cli.options import Place

if TYPE_CHECKING:
    from rustrak_core.ports import Store
    from rustrak_storage.spool import DirectorySpool, Presence


def check_spool(place: Place) -> None:
    """Return if what is in the spool's folder is for this version and this machine. Changes nothing.

    Raises:
        ConfigurationError: it is not; the text says what to do.
    """
    from rustrak_storage.spool import examine, require_unused

    examine(place.spool_dir)
    require_unused(place.spool_dir)


def spool_opener(
    place: Place, *, max_bytes: int, max_events: int, min_free_bytes: int
) -> "Callable[..., DirectorySpool]":
    """Return what opens the accepting end of the spool, for the process that is to accept to call."""
    from rustrak_storage.spool import DirectorySpool

    return partial(
        DirectorySpool, place.spool_dir, max_bytes=max_bytes, max_events=max_events, min_free_bytes=min_free_bytes
    )


def check_files(
    place: Place, store: "Store", open_spool: "Callable[..., DirectorySpool] | None", quotas: Quotas
) -> "Presence":
    """Say that the spool is in use here, having seen that it and the files of keys and quotas can be used.

    Args:
        open_spool: Opens the accepting end; None where nothing will be accepted, so that keys and quotas do not matter.

    Raises:
        ConfigurationError: they cannot.
    """
    from rustrak_storage.keys import StoredKeyRing
    from rustrak_storage.quota_file import QuotaFile

    # The reader: so that the worker shares it.
    from rustrak_storage.spool import DirectorySpoolReader, Presence

    if open_spool is not None:
        open_spool().close()
        StoredKeyRing(store, directory=place.data_dir).close()
        QuotaFile(place.quota_file, quotas).close()
    DirectorySpoolReader(place.spool_dir).close()
    presence = Presence(place.spool_dir)
    presence.take()
    return presence
