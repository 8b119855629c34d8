"""The reference names everything there is: commands and options, tables, routes, modules of the core."""

from collections.abc import Iterator

import click

from rustrak_http.cli import cli
from rustrak_storage.duck import questions, schema
from tests.docs.pages import ROOT


def page(name: str) -> str:
    """Return a page's text."""
    return (ROOT / "docs" / "reference" / f"{name}.md").read_text()


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its name as typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_settings_names_every_option() -> None:
    """Each command, option and environment variable stands in docs/reference/settings.md, with its default."""
    text = page("settings")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    missing = []
    for name, command in commands(cli, "rustrak"):
        if f"`{name}" not in text:
            missing.append(name)
        for option in command.params:
            if not isinstance(option, click.Option):
                continue
            starts = f"`{option.opts[0]}`", f"`{option.opts[0]} "
            row = next((line for line in rows if any(start in line for start in starts)), "")
            if f"`{option.envvar}`" not in row:
                missing.append(f"{name} {option.opts[0]} ({option.envvar})")
            shown = option.show_default if isinstance(option.show_default, str) else str(option.default)
            if name == "rustrak serve" and option.show_default and shown not in row.replace(",", ""):
                missing.append(f"{name} {option.opts[0]}: default {shown}")
    assert not missing


def test_storage_names_every_table() -> None:
    """Each table stands in docs/reference/storage.md, and none that is not there."""
    from rustrak_storage.sql.schema import metadata

    text = page("storage")
    assert [table for table in metadata.tables if f"`{table}`" not in text] == []


def test_dataset_names_every_column_and_question() -> None:
    """Each table, column, type and question of datasets stands in docs/reference/dataset.md as the code has it."""
    text = page("dataset")
    lines = set(text.splitlines())
    assert f"## The schema, version {schema.VERSION}" in lines
    missing = [table.name for table in schema.TABLES if f"### `{table.name}`" not in lines]
    missing += [
        column.name
        for table in schema.TABLES
        for column in table.columns
        if f"| `{column.name}` | `{column.type}` | {column.text} |" not in lines
    ]
    for question in questions().values():
        missing += [line for line in (f"### `{question.name}`", *question.text.splitlines()) if line not in lines]
        missing += [own.name for own in question.own if f"| `{own.name}` | {own.text}" not in text]
    assert not missing
