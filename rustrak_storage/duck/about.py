"""What a dataset says of itself, and the manifest in which a folder says it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import orjson

from rustrak_core.ports import Selection
from rustrak_core.project import ProjectId
from rustrak_core.times import to_rfc3339, utc
from rustrak_storage.duck.errors import DatasetError
from rustrak_storage.duck.schema import FORMAT, STORED, VERSION

MANIFEST = "dataset.json"
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
FILE_SUFFIX = ".duckdb"


@attrs.frozen(kw_only=True)
class About:
    """What a dataset is.

    Attributes:
        version: Of its schema.
        exported_at: When it was exported last.
        watermark: The highest number that the store's events had then.
        selection: Which events were chosen.
        refilings: What `rustrak_core.ports.ExportStore.refilings` said then; None where an older Rustrak exported,
            which did not ask. It is the exporter's own, and stands in no table.
    """

    version: int = VERSION
    exported_at: datetime = attrs.field(validator=utc)
    watermark: int
    selection: Selection = attrs.field(factory=Selection)
    refilings: Mapping[ProjectId, int] | None = None

    def row(self) -> tuple[Any, ...]:
        """Return the values of the table ``about``."""
        chosen = self.selection
        moments = [None if moment is None else moment.replace(tzinfo=None) for moment in (chosen.since, chosen.until)]
        projects = None if chosen.project_ids is None else list(chosen.project_ids)
        return (FORMAT, self.version, self.exported_at.replace(tzinfo=None), self.watermark, projects, *moments)

    @classmethod
    def of_row(cls, row: Sequence[Any], comment: str | None = None) -> "About":
        """Return what a row of the table ``about`` says, and the table's comment, which is its `refilings` as JSON."""
        _format, version, exported_at, watermark, projects, since, until = row
        return cls(
            version=version,
            exported_at=exported_at.replace(tzinfo=UTC),
            watermark=watermark,
            selection=Selection(
                project_ids=None if projects is None else tuple(map(ProjectId, projects)),
                since=None if since is None else since.replace(tzinfo=UTC),
                until=None if until is None else until.replace(tzinfo=UTC),
            ),
            refilings=None if comment is None else _refilings(orjson.loads(comment)),
        )

    def comment(self) -> str:
        """Return what `of_row` takes beside the row."""
        return orjson.dumps(self.refilings, option=orjson.OPT_NON_STR_KEYS).decode()


@attrs.frozen
class Manifest:
    """A folder's dataset: what it is, and which files it has; only these count.

    Attributes:
        files: For each stored table its files, relative to the folder.
    """

    about: About
    files: Mapping[str, Sequence[str]]

    def write(self, folder: Path) -> None:
        """Put it in place of the one that *folder* has; whoever reads sees the one or the other."""
        chosen = self.about.selection
        body = {
            "format": FORMAT,
            "version": self.about.version,
            "exported_at": to_rfc3339(self.about.exported_at),
            "watermark": self.about.watermark,
            "project_ids": chosen.project_ids,
            "since": None if chosen.since is None else to_rfc3339(chosen.since),
            "until": None if chosen.until is None else to_rfc3339(chosen.until),
            "refilings": self.about.refilings,
            "files": self.files,
        }
        aside = folder / f"{MANIFEST}.new"
        aside.write_bytes(orjson.dumps(body, option=_OPTIONS))
        aside.replace(folder / MANIFEST)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Return the manifest of *folder*.

        Raises:
            DatasetError: there is none, it cannot be read, or is of a newer version.
        """
        file = folder / MANIFEST
        try:
            body = orjson.loads(file.read_bytes())
            if body["format"] != FORMAT:
                raise DatasetError(f"{file} is of another program; name another folder")
            check_version(body["version"], folder)
            return cls(
                _about(body), {table.name: [str(name) for name in body["files"][table.name]] for table in STORED}
            )
        except FileNotFoundError:
            raise DatasetError(f"{folder} is no dataset (it has no {MANIFEST}); `rustrak export` makes one") from None
        except OSError as error:
            raise DatasetError(f"{file} cannot be read: {error.strerror}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{file} is damaged; delete the dataset and export it anew") from error


def check_version(version: object, path: Path) -> None:
    """Return if a dataset of *version* can be read.

    Raises:
        DatasetError: it was made by a newer Rustrak.
    """
    if isinstance(version, int) and version > VERSION:
        reason = f"{path} has version {version} of the schema, and this Rustrak knows {VERSION}"
        raise DatasetError(f"{reason}; use a newer Rustrak, or export to another path")


def is_file(path: Path) -> bool:
    """Tell whether a dataset at *path* is a DuckDB file rather than a folder.

    Raises:
        DatasetError: DuckDB takes no such path.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DatasetError(f"{path} is no text in UTF-8, as DuckDB wants paths; name another") from None
    return path.suffix == FILE_SUFFIX or path.is_file()


def _about(body: Mapping[str, Any]) -> About:
    projects = body["project_ids"]
    return About(
        version=body["version"],
        exported_at=datetime.fromisoformat(body["exported_at"]),
        watermark=int(body["watermark"]),
        selection=Selection(
            project_ids=None if projects is None else tuple(map(ProjectId, projects)),
            since=None if body["since"] is None else datetime.fromisoformat(body["since"]),
            until=None if body["until"] is None else datetime.fromisoformat(body["until"]),
        ),
        refilings=_refilings(body.get("refilings")),
    )


def _refilings(noted: Mapping[str, Any] | None) -> dict[ProjectId, int] | None:
    return None if noted is None else {ProjectId(int(project)): int(number) for project, number in noted.items()}
