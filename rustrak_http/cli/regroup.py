"""``rustrak regroup``: what other rules would do to events that are filed already, and doing it, and undoing it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rustrak_core.errors import ConfigurationError, InvalidInputError, MalformedRulesError
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Place, json_option, open_tracker, option, project_named, with_place
from rustrak_http.cli.output import print_json

if TYPE_CHECKING:
    from rustrak_core.project import Project
    from rustrak_core.regroup import Source
    from rustrak_core.tracker import Tracker
    from rustrak_http.regroup.journal import Journal
    from rustrak_http.regroup.work import Survey
    from rustrak_storage.duck import About, FiledProject

_FILES_MAX: Final = 10_000


@click.command(
    epilog=examples(
        "rustrak regroup --project my-app --rules rules.toml --dry-run",
        "rustrak regroup --project my-app --mechanism anchor@1 --dry-run --json | jq .moved",
        "rustrak regroup errors.duckdb --project my-app --rules rules.toml --dry-run",
        "rustrak regroup --project my-app --rules rules.toml --apply --undo-file before.jsonl",
        "rustrak regroup --undo before.jsonl",
    )
)
@click.argument("dataset", metavar="[DATASET]", required=False, type=click.Path(path_type=Path))
@option("--project", metavar="PROJECT", help="Whose events: a number or a slug.")
@option("--mechanism", metavar="NAME", help="Group by this mechanism rather than by the project's.")
@option("--rules", "rules_file", metavar="FILE", help="Group by the rules in this TOML file rather than the project's.")
@option("--dry-run", is_flag=True, help="Tell what would become of issues and events; change nothing.")
@option("--apply", is_flag=True, help="File the events anew, and have the project go by these rules from now on.")
@option("--undo", "undo_path", metavar="FILE", help="Take back what FILE tells of, which --apply has written.")
@option("--undo-file", metavar="FILE", help="What --apply writes, to be undone; in the data directory by default.")
@with_place
@json_option
def regroup(
    dataset: Path | None,
    *,
    project: str | None,
    mechanism: str | None,
    rules_file: str | None,
    dry_run: bool,
    apply: bool,
    undo_path: str | None,
    undo_file: str | None,
    place: Place,
    as_json: bool,
) -> None:
    """File events that are stored already as other rules would have filed them, or tell what that would do.

    Without --rules and --mechanism it goes by the project's own. It works while `rustrak serve` runs. When it is
    interrupted, even killed, the same command goes on where it stopped.

    --dry-run can be asked of DATASET too, which `rustrak export` made: nobody else's work is slowed by that.
    """
    if [dry_run, apply, undo_path is not None].count(True) != 1:
        raise click.UsageError("say one of --dry-run, --apply and --undo FILE")
    if dataset is not None and not dry_run:
        raise click.UsageError("a dataset is only read: say --dry-run, or leave out DATASET to change the store")
    if undo_path is not None:
        if project or mechanism or rules_file or undo_file:
            raise click.UsageError("--undo FILE says it all: leave out the other options")
        with open_tracker(place) as tracker:
            _undo(tracker, Path(undo_path), as_json=as_json)
        return
    if project is None:
        raise click.UsageError("say whose events with --project; `rustrak project list` shows all projects")
    if undo_file is not None and not apply:
        raise click.UsageError("--undo-file is for --apply")
    if dataset is not None:
        _ask_dataset(dataset, project, mechanism, rules_file, as_json=as_json)
        return
    from rustrak_core.regroup import StoreSource

    with open_tracker(place) as tracker:
        found = project_named(tracker, project)
        kept = tracker.grouping(found).rules
        rules = _wanted_rules(kept, mechanism, rules_file)
        if dry_run:
            source = StoreSource(tracker.store, found.id)
            _dry_run(source, found, kept, rules, as_json=as_json)
        else:
            _apply(tracker, found, kept, rules, _journal_path(place, found, undo_file), as_json=as_json)


def _wanted_rules(kept: str, mechanism: str | None, file: str | None) -> str:
    """Return the rules to go by, which can be read.

    Raises:
        ConfigurationError: they cannot be read; it says why, and where.
    """
    from rustrak_core.grouping import Rules, with_mechanism

    where = f"the rules in {file}" if file is not None else "the project's rules"
    try:
        text = kept if file is None else _read(file)
        Rules.from_toml(text)
    except MalformedRulesError as error:
        raise ConfigurationError(f"{where} cannot be used: {error}") from error
    try:
        return text if mechanism is None else with_mechanism(text, mechanism)
    except InvalidInputError as error:
        raise ConfigurationError(f"--mechanism cannot be used: {error}") from error


def _read(file: str) -> str:
    from rustrak_core.grouping.rules_file import FILE_MAX_BYTES

    try:
        with Path(file).open("rb") as opened:
            data = opened.read(FILE_MAX_BYTES + 1)  # what is longer is refused by its reader
    except OSError as error:
        raise ConfigurationError(f"cannot read the rules in {file}: {error.strerror}") from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"the rules in {file} cannot be used: line {line}: not UTF-8") from error


def _journal_path(place: Place, project: "Project", given: str | None) -> Path:
    """Return where to write what can be undone: where a run that was interrupted wrote it, else where nothing is."""
    if given is not None:
        return Path(given)
    from rustrak_http.regroup.journal import Journal

    for number in range(1, _FILES_MAX):
        path = place.data_dir / f"regroup-{project.slug}-{number}.jsonl"
        if not path.exists():
            return path
        journal = Journal.open(path)
        journal.close()
        if not journal.ended:
            return path
    raise ConfigurationError(f"{place.data_dir} is full of undo files; remove some, or name one with --undo-file")


def _ask_dataset(dataset: Path, project: str, mechanism: str | None, rules_file: str | None, *, as_json: bool) -> None:
    from rustrak_storage.duck import Dataset, FiledProject

    with Dataset.open(dataset) as opened:
        found = FiledProject.find(opened, project)
        rules = _wanted_rules(found.rules, mechanism, rules_file)
        _dry_run(found, found, found.rules, rules, about=opened.about, as_json=as_json)


def _dry_run(
    source: "Source",
    project: "Project | FiledProject",
    kept: str,
    rules: str,
    *,
    about: "About | None" = None,
    as_json: bool,
) -> None:
    from rustrak_core.grouping import Rules, settings_of
    from rustrak_http.cli.regroup_output import print_report
    from rustrak_http.regroup.report import Report

    survey = _survey(source, project, rules)
    before, after = settings_of(kept).rules, Rules.from_toml(rules)
    report = Report(source, project.id, survey.plan, before=before, after=after)
    if as_json:
        print_json(report.to_json(cases=100, reasons=10))
    else:
        print_report(report.to_json(cases=10, reasons=3), project.slug, about)


def _survey(
    source: "Source", project: "Project | FiledProject", rules: str, journal: "Journal | None" = None
) -> "Survey":
    from rustrak_http.cli.progress import progress_bar
    from rustrak_http.regroup.work import survey

    heirs = None if journal is None or journal.heirs is None else journal.heirs.heirs
    with progress_bar("Reading events", project.event_count) as advance:
        return survey(source, rules, heirs=heirs, progress=advance)


def _apply(tracker: "Tracker", project: "Project", kept: str, rules: str, path: Path, *, as_json: bool) -> None:
    from rustrak_core.regroup import StoreSource
    from rustrak_core.regroup.undo import UndoHeader
    from rustrak_http.cli.progress import progress_bar
    from rustrak_http.cli.regroup_output import print_applied
    from rustrak_http.regroup.journal import Journal
    from rustrak_http.regroup.work import Applying, mark_of

    header = UndoHeader(
        project_id=project.id,
        slug=project.slug,
        mark=mark_of(project),
        rules=rules,
        before=kept,
        sets_rules=rules != kept,
    )
    journal = _resumed(path, header) if path.exists() else Journal.create(path, header)
    try:
        survey = _survey(StoreSource(tracker.store, project.id), project, rules, journal)
        changing = sum(flow.events for flow in survey.plan.flows if survey.plan.changes(flow))
        with progress_bar("Filing events", changing) as advance:
            applying = Applying(
                store=tracker.store,
                project_id=project.id,
                journal=journal,
                rules=rules,
                clock=tracker.clock,
                set_rules=_rules_setter(tracker, project, journal.header.before, rules),
                progress=advance,
            )
            done = applying.run(survey)
    finally:
        journal.close()
    print_applied(done, survey.plan, str(path), as_json=as_json)


def _resumed(path: Path, header: "object") -> "Journal":
    """Return the undo file of a run that was interrupted, which the same command goes on with.

    Raises:
        ConfigurationError: it is of another project, or other rules, or of a run that came to its end.
    """
    from rustrak_core.regroup.undo import UndoHeader
    from rustrak_http.regroup.journal import Journal

    assert isinstance(header, UndoHeader)  # noqa: S101 - for the type checker
    journal = Journal.open(path)
    found = journal.header
    if journal.ended:
        problem = "is of a run that came to its end; name another with --undo-file"
    elif (found.project_id, found.mark) != (header.project_id, header.mark):
        problem = "is of another project or store; name another with --undo-file"
    elif found.rules != header.rules:
        problem = "is of a run with other rules; finish that with them, or undo it with `rustrak regroup --undo`"
    else:
        return journal
    journal.close()
    raise ConfigurationError(f"the undo file {path} {problem}")


def _rules_setter(tracker: "Tracker", project: "Project", old: str, new: str) -> Callable[[], None]:
    """Return what gives a project the rules *new* in place of *old*; where it has others by now, they stay."""

    def set_rules() -> None:
        if old != new:
            tracker.store.set_grouping(project.id, new, now=tracker.clock(), instead_of=old)

    return set_rules


def _undo(tracker: "Tracker", path: Path, *, as_json: bool) -> None:
    from rustrak_core.errors import UnknownProjectError
    from rustrak_http.cli.progress import progress_bar
    from rustrak_http.cli.regroup_output import print_undone
    from rustrak_http.regroup.journal import Journal
    from rustrak_http.regroup.work import Applying, mark_of

    journal = Journal.open(path)
    try:
        if journal.ended == "undone":
            raise ConfigurationError(f"what {path} tells of was undone already")
        header = journal.header
        try:
            project = tracker.project(header.project_id)
        except UnknownProjectError:
            project = None
        if project is None or mark_of(project) != header.mark:
            raise ConfigurationError(
                f"{path} tells of project {header.project_id} ({header.slug}), which this store does not hold; "
                "choose its store with --data-dir or --database-url"
            )
        with progress_bar("Putting back", len(journal)) as advance:
            moved = Applying(
                store=tracker.store,
                project_id=project.id,
                journal=journal,
                rules=header.before,
                clock=tracker.clock,
                set_rules=_rules_setter(tracker, project, header.rules, header.before),
                progress=advance,
            ).undo()
    finally:
        journal.close()
    print_undone(moved, project.slug, as_json=as_json)
