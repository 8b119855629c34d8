"""The ``rustrak`` command: one module a command or command group, loaded when it is asked for.

This is the one place that puts core, storage and HTTP together. Nothing heavy is imported here, so that ``--help`` and
shell completion answer at once.
"""

from rustrak_http.cli.command import cli
from rustrak_http.cli.run import main

__all__ = ["cli", "main"]
