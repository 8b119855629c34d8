"""The store in memory."""

from rustrak_storage.memory.store import MemoryStore

__all__ = ["MemoryStore"]
