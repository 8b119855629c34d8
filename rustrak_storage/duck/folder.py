"""A dataset as a folder of Parquet files, by day and project, and a manifest that says which of them count.

Files are written aside under names of their own and never changed. The manifest is put in place at the end, in one
step: whoever is killed before leaves files that the next export removes, and whoever reads sees one export or the
other.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import duckdb

from rustrak_storage.duck.about import MANIFEST, About, Manifest
from rustrak_storage.duck.errors import DatasetError, reading, writing
from rustrak_storage.duck.lock import locked
from rustrak_storage.duck.schema import EVENTS, ISSUES, PROJECTS, TAG_DAYS, TAG_DAYS_OF, VERSION
from rustrak_storage.duck.sources import by_partition, rows_of
from rustrak_storage.duck.stage import PARQUET, PARTED, Stage, quoted, quoted_list
from rustrak_storage.duck.target import MOVED_SQL, Target
from rustrak_storage.interrupting import executed

FILES_MAX = 8
"""So many small files a day of a project has at most; more are written anew as one."""

SMALL_BYTES = 4 * 1024 * 1024
"""From this size on, a file stays as it is: to write it anew would cost more than reading many of them does."""

_LOCK = ".export.lock"
_WORK = ".export"
_SINGLE = ("issues-*.parquet", "projects-*.parquet", f"{MANIFEST}.new")
_OURS = frozenset({MANIFEST, _LOCK, _WORK})


class Folder(Target):
    """See `rustrak_storage.duck.target.Target`."""

    def __init__(self, path: Path) -> None:
        """Open the dataset in the folder *path*, or begin one.

        Raises:
            DatasetError: it holds something else, cannot be written, or is being exported to.
        """
        self.path = path
        with writing(str(path)):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            there = {entry.name for entry in path.iterdir()}
            if there and not there & _OURS:
                raise DatasetError(f"{path} is no dataset and not empty; name another folder, or a new one")
            self._lock = locked(path / _LOCK, path)
        self.work = path / _WORK / uuid4().hex  # of this export alone: processes of one that was killed may still write
        try:
            manifest = Manifest.read(path) if (path / MANIFEST).exists() else None
            with writing(str(path)):
                shutil.rmtree(path / _WORK, ignore_errors=True)
                self.work.mkdir(parents=True)
                self.connection = duckdb.connect(config={"temp_directory": str(self.work / "spill")})
        except BaseException:
            os.close(self._lock)
            raise
        self.about = None if manifest is None else manifest.about
        self._files = {} if manifest is None else {name: _under(path, files) for name, files in manifest.files.items()}
        version = VERSION if manifest is None else manifest.about.version
        try:
            with reading(str(path)):
                for view, table in (("kept", EVENTS), ("known_projects", PROJECTS)):
                    rows = rows_of(table.of_version(version), self._files.get(table.name, ()))
                    executed(self.connection, f"CREATE TEMP VIEW {view} AS {rows}")
        except BaseException:
            self.close()
            raise

    def commit(self, stage: Stage, about: About) -> int:
        """See `rustrak_storage.duck.target.Target.commit`."""
        with writing(str(self.path)):
            parts = by_partition([*self._files.get("events", ()), *stage.files()])
            changed = set(by_partition(stage.files()))
            rewritten = self._rewrite(parts)
            files: dict[str, Sequence[Path]] = {
                "events": [file for each in parts.values() for file in each],
                "tag_days": self._tag_days(parts, changed | rewritten),
                "issues": [self._single("SELECT * FROM new_issues ORDER BY id", ISSUES.name)],
                "projects": [self._single("SELECT * FROM new_projects ORDER BY id", PROJECTS.name)],
            }
            placed = {name: [self._place(file) for file in several] for name, several in files.items()}
            Manifest(about, placed).write(self.path)
            return self._count([self.path / name for name in placed["events"]])

    def close(self) -> None:
        """See `rustrak_storage.duck.target.Target.close`."""
        self.connection.close()
        shutil.rmtree(self.path / _WORK, ignore_errors=True)
        with suppress(OSError, DatasetError):  # what stays is the next export's to remove
            self._sweep()
        os.close(self._lock)

    def _rewrite(self, parts: dict[str, list[Path]]) -> set[str]:
        """Write files anew that have events which moved or are gone, and small ones of which a day has very many.

        Returns:
            The days of projects of which there were any.
        """
        stale = self._stale([file for files in parts.values() for file in files])
        rewritten = set()
        for name, files in sorted(parts.items()):
            small = [file for file in files if file.stat().st_size < SMALL_BYTES]
            together = small if len(small) > FILES_MAX else []
            anew = [[file] for file in files if file in stale and file not in together]
            if together:
                anew.append(together)
            if anew:
                gone = {file for several in anew for file in several}
                written = [self._anew(name, several) for several in anew]
                parts[name] = [file for file in files if file not in gone] + [file for file in written if file]
                rewritten.add(name)
        return rewritten

    def _stale(self, files: Sequence[Path]) -> set[Path]:
        """Return those of *files* that have events which moved or are gone."""
        if not files:
            return set()
        found = executed(
            self.connection,
            "SELECT DISTINCT filename "
            f"FROM read_parquet({quoted_list(files)}, filename = true, hive_partitioning = false) "
            "WHERE number IN (SELECT number FROM moved UNION ALL FROM gone) "
            "OR issue_id NOT IN (SELECT id FROM new_issues)",
        )
        return {Path(name) for (name,) in found}

    def _anew(self, part: str, files: Sequence[Path]) -> Path | None:
        """Write *files* of a day and project as one, as events are now; return it, None where no event is left."""
        target = self.work / "rewritten" / part
        target.mkdir(parents=True, exist_ok=True)
        file = target / f"part-{uuid4()}.parquet"
        rows = MOVED_SQL.format(events=rows_of(EVENTS, files))
        bare = f"SELECT * EXCLUDE (day, project_id) FROM ({rows}) ORDER BY issue_id, number"
        executed(self.connection, f"COPY ({bare}) TO {quoted(file)} ({PARQUET})")
        return file if self._count([file]) else None

    def _tag_days(self, parts: Mapping[str, Sequence[Path]], changed: set[str]) -> list[Path]:
        """Return the files of tags by day; those of days that *changed* are counted anew."""
        kept = [
            file
            for name, files in by_partition(self._files.get("tag_days", ())).items()
            for file in files
            if name not in changed
        ]
        events = [file for name in sorted(changed) for file in parts[name]]
        if not events:
            return kept
        target = self.work / TAG_DAYS.name
        rows = TAG_DAYS_OF.format(events=f"({rows_of(EVENTS, events)})")
        executed(self.connection, f"COPY ({rows}) TO {quoted(target)} ({PARTED})")
        return kept + sorted(target.glob("*/*/*.parquet"))

    def _single(self, rows: str, name: str) -> Path:
        file = self.work / f"{name}-{uuid4()}.parquet"
        executed(self.connection, f"COPY ({rows}) TO {quoted(file)} ({PARQUET})")
        return file

    def _place(self, file: Path) -> str:
        """Move *file* where it belongs, if it is not there already; return its path within the folder."""
        if self.work not in file.parents:
            return str(file.relative_to(self.path))
        parts = file.relative_to(self.work).parts
        table = "tag_days" if parts[0] == "tag_days" else "events"
        place = self.path / file.name if len(parts) == 1 else self.path.joinpath(table, *parts[-3:])
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
        return str(place.relative_to(self.path))

    def _sweep(self) -> None:
        """Remove files that do not count, by what the manifest says, whether this export got it in place or not."""
        files = Manifest.read(self.path).files if (self.path / MANIFEST).exists() else {}
        counting = {name for names in files.values() for name in names}
        for pattern in ("events/*/*/*.parquet", "tag_days/*/*/*.parquet", *_SINGLE):
            for file in self.path.glob(pattern):
                if str(file.relative_to(self.path)) not in counting:
                    file.unlink(missing_ok=True)

    def _count(self, files: Sequence[Path]) -> int:
        ((count,),) = executed(self.connection, f"SELECT count(*) FROM ({rows_of(EVENTS, files)})")
        return int(count)


def _under(path: Path, names: Sequence[str]) -> list[Path]:
    return [path / name for name in names]
