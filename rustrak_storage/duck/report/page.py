"""The page, as HTML: figures, charts and tables, each with what it answers."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from html import escape
from typing import Any

from rustrak_storage.duck.dataset import Dataset
from rustrak_storage.duck.question import questions
from rustrak_storage.duck.report import charts

_ROWS = 12
_BARS = 400
"""So many there are at most; an event may be of the year 1, if its application says so."""

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #23282d; background: #f6f7f8; margin: 0 auto; max-width: 1120px;
  padding: 24px; }}
h1 {{ font-size: 26px; margin: 0; }} h2 {{ font-size: 17px; margin: 0 0 4px; }}
.note {{ color: #5d656d; margin: 0 0 12px; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }}
.figures div {{ background: #fff; border-radius: 8px; padding: 10px 18px; }}
.figures b {{ display: block; font-size: 22px; }}
.parts {{ display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }}
section {{ background: #fff; border-radius: 8px; padding: 16px 18px; min-width: 0; overflow-x: auto; }}
.wide {{ grid-column: 1 / -1; }} svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 13px; }}
th {{ text-align: left; color: #5d656d; font-weight: 600; }} th, td {{ padding: 4px 8px 4px 0; vertical-align: top; }}
td:first-child {{ white-space: nowrap; }}
tr + tr td {{ border-top: 1px solid #e9ebed; }} .n {{ text-align: right; }} td {{ overflow-wrap: anywhere; }}
@media (max-width: 800px) {{ .parts {{ grid-template-columns: 1fr; }} }}
</style>
</head>
<body>
"""


def report(
    dataset: Dataset, *, days: int | None = 30, until: datetime | None = None, project: str | None = None
) -> str:
    """Return a page about *dataset*, one file of HTML that asks for nothing else.

    Args:
        dataset: What it is about.
        days, until, project: As those of `Dataset.ask`.

    Raises:
        MissingLibraryError: matplotlib is not installed.
        InvalidInputError, UnknownProjectError: as `Dataset.ask` does.
    """
    return _Page(dataset, days=days, until=until, project=project).html()


class _Page:
    def __init__(self, dataset: Dataset, **shared: Any) -> None:
        self._dataset = dataset
        self._shared = shared
        self._several = shared["project"] is None and len(dataset.sql("FROM projects").rows()) > 1

    def html(self) -> str:
        """Return all of it."""
        project = self._shared["project"]
        title = f"Errors of {project}" if project else "Errors"
        heat = self._ask("heatmap")
        first, last, total = self._span()
        parts = [
            _HEAD.format(title=escape(title)),
            f"<h1>{escape(title)}</h1>",
            f'<p class="note">{escape(self._when(first, last))}</p>',
            self._figures(total),
            '<div class="parts">',
        ]
        if not total:
            parts.append('<section class="wide"><p>There are no events in that time.</p></section>')
        else:
            parts += [
                self._daily(first, last),
                self._top(),
                self._ranked("types", "Types of exception", lambda row: row["type"], "events"),
                self._ranked("error-rates", "Transactions", _transaction, "events"),
                self._ranked("new-issues", "New issues", lambda row: row["release"] or "(no release)", "new_issues"),
                self._ranked("failing-frames", "Frames that fail", _frame, "issues"),
                _section("Hours of the week", _said("heatmap"), charts.heatmap(_grid(heat)), wide=True),
                self._table("regressions", "Regressions", ("project", "release", "regressions", "largest")),
                self._table("sdks", "SDKs", ("sdk", "version", "events", "projects")),
            ]
        return "\n".join([*parts, "</div>", "</body>", "</html>", ""])

    def _ask(self, name: str, limit: int = _ROWS) -> list[dict[str, Any]]:
        return self._dataset.ask(name, limit=limit, **self._shared).dicts()

    def _counted(self) -> str:
        """Return the condition of stock questions, for statements of this page."""
        return (
            "day BETWEEN $since::DATE AND $until::DATE AND timestamp >= $since AND timestamp < $until "
            "AND ($project IS NULL OR project = $project)"
        )

    def _given(self) -> dict[str, Any]:
        asked = questions()["heatmap"]
        return asked.parameters(exported_at=self._dataset.about.exported_at, limit=1, own={}, **self._shared)

    def _span(self) -> tuple[date, date, int]:
        """Return the first day and the last, and how many events there are."""
        statement = f"SELECT min(day), max(day), count(*) FROM events WHERE {self._counted()}"
        first, last, total = self._dataset.sql(statement, self._given()).rows()[0]
        until = self._given()["until"].date()
        since = max(self._given()["since"].date(), first or until)
        return since, last or until, total

    def _when(self, first: date, last: date) -> str:
        exported = self._dataset.about.exported_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        return f"{first} to {last}, exported on {exported} UTC."

    def _figures(self, total: int) -> str:
        statement = (
            "SELECT count(DISTINCT issue_id), count(DISTINCT (project_id, user_key)) FILTER (user_key IS NOT NULL) "
            f"FROM events WHERE {self._counted()}"
        )
        issues, users = self._dataset.sql(statement, self._given()).rows()[0]
        new = sum(row["new_issues"] for row in self._ask("new-issues", 100_000))
        back = sum(row["regressions"] for row in self._ask("regressions", 100_000))
        figures = {"events": total, "issues": issues, "users": users, "new issues": new, "regressions": back}
        cells = "".join(f"<div><b>{count:,}</b>{name}</div>" for name, count in figures.items())
        return f'<div class="figures">{cells}</div>'

    def _daily(self, first: date, last: date) -> str:
        statement = f"SELECT level, day, count(*) FROM events WHERE {self._counted()} GROUP BY ALL"
        span = (last - first).days + 1
        width = -(-span // _BARS)
        counts = {level: [0] * -(-span // width) for level in charts.LEVELS}
        for level, day, events in self._dataset.sql(statement, self._given()).rows():
            if level in counts:
                counts[level][(day - first).days // width] += events
        days = [first + timedelta(days=width * n) for n in range(-(-span // width))]
        note = "By level, in UTC." if width == 1 else f"By level, in UTC; {width:,} days are a bar."
        return _section("Events a day", note, charts.daily(days, counts, width), wide=True)

    def _top(self) -> str:
        rows = self._ask("top-issues")
        chart = charts.ranking([f"{r['issue']}  {r['type']}" for r in rows], [r["events"] for r in rows], unit="events")
        table = _rows(("issue", "events", "users", "what"), [{**row, "what": _title(row)} for row in rows])
        return _section(
            "Top issues", _said("top-issues"), f'<div class="parts"><div>{chart}</div>{table}</div>', wide=True
        )

    def _ranked(self, name: str, title: str, label: Any, value: str) -> str:
        rows = self._ask(name)
        chart = charts.ranking(
            [self._named(label(r), r) for r in rows], [r[value] for r in rows], unit=value.replace("_", " ")
        )
        return _section(title, _said(name), chart if rows else "<p>None.</p>")

    def _named(self, label: str, row: dict[str, Any]) -> str:
        """Return the label of a row, with its project where there are several."""
        return f"{label}  ({row['project']})" if self._several and "project" in row else label

    def _table(self, name: str, title: str, columns: Sequence[str]) -> str:
        rows = self._ask(name)
        return _section(title, _said(name), _rows(columns, rows) if rows else "<p>None.</p>")


def _said(name: str) -> str:
    """Return what a question answers."""
    return questions()[name].text.partition("\n")[0]


def _grid(rows: Iterable[dict[str, Any]]) -> list[list[int]]:
    grid = [[0] * 24 for _ in range(7)]
    for row in rows:
        grid[row["weekday"] - 1][row["hour"]] = row["events"]
    return grid


def _title(row: dict[str, Any]) -> str:
    message = row["message"].strip().partition("\n")[0]
    return f"{row['type']}: {message[:160]}" if message else row["type"]


def _transaction(row: dict[str, Any]) -> str:
    return f"{row['transaction'] or '(none)'}  {row['environment'] or ''}"


def _frame(row: dict[str, Any]) -> str:
    return f"{row['function']}  {row['file']}"


def _section(title: str, note: str, body: str, *, wide: bool = False) -> str:
    classes = ' class="wide"' if wide else ""
    return f'<section{classes}><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>{body}</section>'


def _rows(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    def cell(tag: str, name: str, value: object) -> str:
        is_number = all(isinstance(row[name], int | float) for row in rows)
        shown = (
            f"{value:,}"
            if isinstance(value, int | float)
            else escape(charts.printable("" if value is None else str(value)))
        )
        classes = ' class="n"' if is_number else ""
        return f"<{tag}{classes}>{shown}</{tag}>"

    head = "".join(cell("th", name, name.replace("_", " ")) for name in columns)
    body = "".join(f"<tr>{''.join(cell('td', name, row[name]) for name in columns)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
