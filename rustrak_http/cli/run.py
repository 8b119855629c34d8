"""How the ``rustrak`` command begins and ends: errors as one clear line on stderr, and the exit code.

0: done. 1: it could not be done. 2: the command line is wrong. 130: interrupted (Ctrl-C).
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from rustrak_core.errors import RustrakError, StoreUnavailableError
from rustrak_http.cli.command import cli
from rustrak_http.cli.output import safe
from rustrak_storage.interrupting import heed_ctrl_c

INTERRUPTED = 130
SIGPIPE = 141


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command with *args* (default: those of the process) and exit."""
    heed_ctrl_c()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal of another encoding cannot show is spelled out
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `rustrak issues | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = SIGPIPE
    sys.exit(code)


def _run(args: Sequence[str] | None) -> int:
    try:
        result = cli.main(args, prog_name="rustrak", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except click.Abort as abort:
        return _stopped(abort)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except (RustrakError, OSError) as failed:
        click.echo(f"rustrak: {safe(failed, newlines=True)}{_said_by_database(failed)}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _stopped(abort: click.Abort) -> int:
    """A Ctrl-C comes from click as an Abort too, as does a "no" to a question."""
    if isinstance(abort.__cause__, KeyboardInterrupt) or isinstance(abort.__context__, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(abort.__context__, EOFError):
        click.echo("\nrustrak: nothing was done, for nobody answered; --yes does it without asking", err=True)
    else:
        click.echo("rustrak: nothing was done", err=True)
    return 1


def _said_by_database(error: BaseException) -> str:
    """Return what the driver said, for whoever runs the command chose the database; the API never shows it."""
    said = getattr(error.__cause__, "orig", None)
    if not isinstance(error, StoreUnavailableError) or said is None:
        return ""
    text = next((part for part in reversed(said.args) if isinstance(part, str)), "")
    return f" (it says: {safe(' '.join(text.split()))})" if text.strip() else ""
