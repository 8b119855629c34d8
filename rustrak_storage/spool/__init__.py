"""The spool: what was accepted, durable in files until it is digested."""

from rustrak_storage.spool.directory import DirectorySpool
from rustrak_storage.spool.examine import examine
from rustrak_storage.spool.machine import Presence, require_unused
from rustrak_storage.spool.quarantine import Quarantined, QuarantineFolder
from rustrak_storage.spool.reader import DirectorySpoolReader
from rustrak_storage.spool.survey import Survey

__all__ = [
    "DirectorySpool",
    "DirectorySpoolReader",
    "Presence",
    "QuarantineFolder",
    "Quarantined",
    "Survey",
    "examine",
    "require_unused",
]
