"""The root of the ``rustrak`` command, and the group that loads a command's module only when it is asked for."""

import importlib
from typing import Any

import click


def examples(*lines: str) -> str:
    """Return what stands at the end of a command's ``--help``: examples, a line each."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))  # \b keeps click from joining the lines


class LazyGroup(click.Group):
    """A group whose commands are named beforehand and imported when one of them is used.

    Attributes:
        lazy: For each command its module and attribute, as in ``rustrak_http.cli.serve:serve``, and its line in
            ``--help``, so that listing commands imports none of them.
    """

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order in which they were given."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands without importing them."""
        rows = [(name, summary) for name, (_, summary) in self.lazy.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click calls it so
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("rustrak")
    except PackageNotFoundError:  # run from a tree that was never installed
        number = "unknown (not installed)"
    click.echo(f"rustrak {number}")
    ctx.exit()


@click.group(
    epilog=examples(
        "rustrak serve",
        "rustrak project create my-app",
        "rustrak issues my-app --state open",
        "rustrak send-event http://KEY@127.0.0.1:8080/1",
    ),
    cls=LazyGroup,
    lazy={
        "serve": ("rustrak_http.cli.serve:serve", "Run the server: HTTP, digest worker and database, in one command."),
        "project": ("rustrak_http.cli.project:project", "Create, list and delete projects."),
        "token": ("rustrak_http.cli.token:token", "Create, list and delete API tokens."),
        "issues": ("rustrak_http.cli.issues:issues", "List issues."),
        "similar": ("rustrak_http.cli.similar:similar", "Show issues that may be the same bug, and why."),
        "merge": ("rustrak_http.cli.merge:merge", "Make issues that are one bug one issue."),
        "unmerge": ("rustrak_http.cli.merge:unmerge", "Take merged issues apart again."),
        "event": ("rustrak_http.cli.event:event", "Show an event with its stack trace."),
        "explain": ("rustrak_http.cli.explain:explain", "Say in words why an event is in its issue."),
        "diff": ("rustrak_http.cli.diff:diff", "Say why two events are, or are not, one issue."),
        "grouping": (
            "rustrak_http.cli.grouping:grouping",
            "Show and set how a project's events are grouped: its rules, and its mechanism.",
        ),
        "regroup": (
            "rustrak_http.cli.regroup:regroup",
            "File stored events as other rules would, or tell what that would do.",
        ),
        "backfill": ("rustrak_http.cli.backfill:backfill", "Work out the newer grouping keys of issues."),
        "db": ("rustrak_http.cli.db:db", "Look after the database: its schema, a check, a copy elsewhere."),
        "stats": ("rustrak_http.cli.stats:stats", "Show what became of every event, day by day."),
        "export": ("rustrak_http.cli.export:export", "Export events as a dataset: Parquet by day, or a DuckDB file."),
        "ask": ("rustrak_http.cli.ask:ask", "Answer stock questions from a dataset."),
        "sql": ("rustrak_http.cli.sql:sql", "Answer SQL from a dataset."),
        "report": ("rustrak_http.cli.report:report", "Write a page about a dataset, with charts."),
        "quarantine": (
            "rustrak_http.cli.quarantine:quarantine",
            "Look into events that could not be digested, give them back, or remove them.",
        ),
        "send-event": ("rustrak_http.cli.send_event:send_event", "Send a test event to a DSN."),
        "completion": ("rustrak_http.cli.completion:completion", "Print the completion script of a shell."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
def cli() -> None:
    """Self-hosted error tracking that any Sentry SDK can talk to.

    Every option is an environment variable too: --data-dir is RUSTRAK_DATA_DIR. `rustrak COMMAND --help` tells more.
    """
