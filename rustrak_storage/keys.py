"""The keys of projects, known without asking the store each time, also while it is away and after a restart."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import attrs

from rustrak_core.errors import StoreUnavailableError, UnknownProjectError
from rustrak_core.ports import KeyRing, ProjectStore
from rustrak_core.project import ProjectId
from rustrak_storage.key_files import FileGeneration, KeyFile, MemoryGeneration

KNOWN_S = 4.0
REFUSED_S = 1.0
AWAY_S = 1.0
_AGEING_S = KNOWN_S / 2
_SAVE_S = 1.0
_WAIT_S = 1.0
_REFUSALS_MAX = 10_000
_VERIFIED_MAX = 1_000
_AWAY = "the store cannot be asked for this project's key just now; try again in a second"
_GONE = "no such project; take the DSN that the project shows now"


@attrs.frozen
class Known:
    """What the store said about a project.

    Attributes:
        key: 32 hex digits.
        generation: The generation that held before the store was asked; what was said under another is worth nothing
            until the store says it again.
        asked_at: Monotonic seconds; minus infinity for what was read from disk.
    """

    key: str
    generation: int
    asked_at: float


@attrs.define(eq=False)
class _Asking:
    """A question on its way to the store, for all that wait for its answer."""

    done: threading.Event = attrs.field(factory=threading.Event)
    error: Exception | None = None


class StoredKeyRing(KeyRing):
    """Remembers keys in memory and, given a folder, on disk. Thread-safe; processes share the folder.

    * What is known is served for four seconds; then one thread asks again, while others go on with it. So a deletion on
      another machine is noticed within five seconds.
    * In the folder is a number, the generation, that `changed` counts up. Each call of `key_of` compares it, without a
      system call; under a new one, nothing is served before the store has confirmed it. So a deletion is noticed at
      once by every process of the folder, and by those to come: also while the store is away, when unconfirmed keys are
      refused with StoreUnavailableError. Whoever calls `changed` confirms for all processes what it can.
    * While the store is away, what is known (of this generation) is served for as long as it takes.
    * A project that is not known is asked for once, for many threads; a refusal is remembered for a second.

    Args:
        directory: The data directory, which gets ``keys.json`` and ``keys.generation``; None keeps keys in memory only.
        clock: Seconds that only grow.

    Raises:
        ConfigurationError: the folder cannot be used.
    """

    def __init__(
        self, store: ProjectStore, *, directory: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._generation = MemoryGeneration() if directory is None else FileGeneration(directory)
        self._file = None if directory is None else KeyFile(directory)
        self._lock = threading.Lock()
        self._known: dict[ProjectId, Known] = {}
        self._refused: dict[ProjectId, tuple[int, float]] = {}
        self._asking: dict[ProjectId, _Asking] = {}
        self._away_until = float("-inf")
        self._ageing: set[ProjectId] = set()
        self._unsaved: dict[int, tuple[str, int] | None] = {}
        self._saved_at = float("-inf")
        if self._file is not None:
            for number, (key, generation) in self._file.load().items():
                self._known[ProjectId(number)] = Known(key, generation, float("-inf"))

    def key_of(self, project_id: ProjectId) -> str:
        """Return a project's key as 32 hex digits.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
            StoreUnavailableError: it is not known here, or not confirmed since projects changed, and the store cannot
                be asked.
        """
        generation, now = self._generation.get(), self._clock()
        known = self._known.get(project_id)
        if self._unsaved and now - self._saved_at >= _SAVE_S:
            self._save(now)
        if known is not None and known.generation == generation:
            if now - known.asked_at < KNOWN_S or now < self._away_until:
                return known.key
        else:
            known = None
            refused = self._refused.get(project_id)
            if refused is not None and refused[0] == generation and now < refused[1]:
                raise UnknownProjectError(_GONE)
            if now < self._away_until:
                raise StoreUnavailableError(_AWAY)
        return self._ask(project_id, known)

    def known_key_of(self, project_id: ProjectId) -> str | None:
        """Return a project's key where `key_of` would neither ask the store nor write, else None."""
        known = self._known.get(project_id)
        if known is None or self._unsaved or known.generation != self._generation.get():
            return None
        now = self._clock()
        age_s = now - known.asked_at
        if age_s > _AGEING_S:
            self._ageing.add(project_id)
        return known.key if age_s < KNOWN_S or now < self._away_until else None

    def refresh(self) -> None:
        """Ask again for keys in use that will soon be too old, so that no request has to; call it each second."""
        ageing, self._ageing = self._ageing, set()
        for project_id in ageing:
            with suppress(UnknownProjectError, StoreUnavailableError):
                self._ask(project_id, self._known.get(project_id))

    def changed(self) -> None:
        """A project was created or deleted here: what is known must be confirmed, in every process of the folder.

        Call it after the store has committed. Keys in use are confirmed at once where the store can be asked, so that
        accepting goes on if it goes away later.
        """
        self._generation.advance()
        with self._lock:
            self._away_until = float("-inf")
            numbers = set(self._known)
        if self._file is not None:
            numbers.update(ProjectId(number) for number in self._file.load())
        for number in sorted(numbers)[:_VERIFIED_MAX]:
            try:
                self._answer(number, None)
            except UnknownProjectError:
                continue
            except StoreUnavailableError:
                break
        self._save(self._clock())

    def close(self) -> None:
        """Write what is not on disk yet, and release the files."""
        self._save(self._clock())
        self._generation.close()

    def _ask(self, project_id: ProjectId, known: Known | None) -> str:
        with self._lock:
            asking = self._asking.get(project_id)
            mine = asking is None
            if asking is None:
                asking = self._asking[project_id] = _Asking()
        if not mine:
            return self._wait_for(asking, project_id, known)
        try:
            return self._answer(project_id, known)
        except Exception as error:
            asking.error = error
            raise
        finally:
            with self._lock:
                del self._asking[project_id]
            asking.done.set()

    def _wait_for(self, asking: _Asking, project_id: ProjectId, known: Known | None) -> str:
        if known is not None:
            if self._clock() - known.asked_at < KNOWN_S + 0.5:
                return known.key
            if not asking.done.wait(_WAIT_S):  # the store takes its time; accepting does not wait for it
                return known.key
        asking.done.wait()
        if isinstance(asking.error, UnknownProjectError):
            raise UnknownProjectError(_GONE)
        if isinstance(asking.error, StoreUnavailableError):
            if known is not None:
                return known.key
            raise StoreUnavailableError(str(asking.error))
        return self.key_of(project_id)

    def _answer(self, project_id: ProjectId, known: Known | None) -> str:
        generation, began = (
            self._generation.get(),
            self._clock(),
        )  # before asking: a deletion meanwhile voids the answer
        try:
            key = self._store.project(project_id).sentry_key.replace("-", "")
        except UnknownProjectError:
            self._refuse(project_id, generation)
            raise UnknownProjectError(_GONE) from None
        except StoreUnavailableError:
            # One that is slow to fail is left alone for a second, so that it does not hold every thread.
            now = self._clock()
            self._away_until = now + min(AWAY_S, 10 * (now - began))
            if known is None or known.generation != self._generation.get():
                known = self._known_on_disk(project_id)
            if known is None:
                raise
            return known.key
        self._learn(project_id, Known(key, generation, self._clock()))
        return key

    def _known_on_disk(self, project_id: ProjectId) -> Known | None:
        """Return what another process had confirmed and written, if that still holds."""
        entry = self._file.load().get(project_id) if self._file is not None else None
        if entry is None or entry[1] != self._generation.get():
            return None
        known = Known(*entry, float("-inf"))
        with self._lock:
            self._known[project_id] = known
        return known

    def _learn(self, project_id: ProjectId, known: Known) -> None:
        with self._lock:
            before = self._known.get(project_id)
            self._known[project_id] = known
            self._refused.pop(project_id, None)
            self._away_until = float("-inf")
            if before is None or (before.key, before.generation) != (known.key, known.generation):
                self._unsaved[project_id] = (known.key, known.generation)
        if self._unsaved and known.asked_at - self._saved_at >= _SAVE_S:
            self._save(known.asked_at)

    def _refuse(self, project_id: ProjectId, generation: int) -> None:
        now = self._clock()
        with self._lock:
            before = self._known.pop(project_id, None)
            while len(self._refused) >= _REFUSALS_MAX:
                del self._refused[next(iter(self._refused))]
            self._refused[project_id] = (generation, now + REFUSED_S)
            if before is not None:
                self._unsaved[project_id] = None
        if before is not None:
            self._save(now)

    def _save(self, now: float) -> None:
        """Write what changed to the disk: at most once a second, but for deletions."""
        with self._lock:
            changes, self._unsaved = self._unsaved, {}
            self._saved_at = now
        if changes and self._file is not None:
            self._file.change(changes)
