"""One door to every check: ``nox`` runs lint, types and tests; ``nox --list`` names the rest.

Dependencies of a session are the groups of the same name in pyproject.toml, pinned there.
"""

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = False

# As pip leaves an installation: compiled. A process that compiles what it imports starts in twice the time, and keeps
# ten MiB more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PYPROJECT = nox.project.load_toml("pyproject.toml")
PACKAGES = ("rustrak_core", "rustrak_storage", "rustrak_http")
PROJECT = ".[postgres,mariadb,fast,report]"
FAULTS = ("-n", "2", "-v", "-rA", "--show-capture=stdout", "tests/faults", "tests/spool", "tests/serve/test_poison.py")
QUICK = ("-n", "auto", "-m", "not slow and not e2e")


def groups(*names: str) -> list[str]:
    """Return the pinned requirements of dependency groups of pyproject.toml."""
    return list(nox.project.dependency_groups(PYPROJECT, *names))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, form, and the direction of imports. Mends what it can with ``-- --fix``."""
    session.install(*groups("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]))
    session.run("lint-imports", "--no-logo")
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    session.install("-e", PROJECT, *groups("types"))
    session.run("mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The quick suite, in under two minutes; after ``--``, pytest's own arguments take the place of the selection."""
    session.install("-e", PROJECT, *groups("test"))
    session.run("pytest", *(session.posargs or QUICK))


@nox.session(python=["3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """The quick suite on other Pythons, those that are there."""
    session.install("-e", PROJECT, *groups("test"))
    session.run("pytest", *(session.posargs or QUICK))


@nox.session
def lowest(session: nox.Session) -> None:
    """The quick suite with the lowest releases of direct dependencies that pyproject.toml admits."""
    session.install("uv==0.13.9")
    session.run_install(
        *("uv", "pip", "install", "--resolution", "lowest-direct", "-e", PROJECT, *groups("test")),
        env={"VIRTUAL_ENV": session.virtualenv.location},
    )
    session.run("pytest", *(session.posargs or QUICK))


@nox.session
def e2e(session: nox.Session) -> None:
    """Real clients over loopback: sentry-sdk, @sentry/node and @sentry/cli report to a real ``rustrak serve``.

    Needs Node.js and npm, and package registries (or warm caches) to install the clients from.
    """
    session.install("-e", PROJECT, *groups("e2e"))
    clients = Path(session.create_tmp()).absolute() / "clients"  # the tests run elsewhere
    clients.mkdir(exist_ok=True)
    session.run("pytest", "-m", "e2e", *(session.posargs or ["tests/e2e"]), env={"RUSTRAK_E2E_CLIENTS": str(clients)})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is a failure. See docs/_build/html/index.html."""
    session.install("-e", PROJECT, *groups("docs"))
    session.run("sphinx-build", "-nW", "--keep-going", "-q", "docs", "docs/_build/html", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, in some ten minutes: tables, and JSON (``-- --docs docs/reference/figures.md``, ``-- --part burst``)."""
    session.install("-e", PROJECT, *groups("test"))
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Kill, cut, fill, flood and break, in ten minutes; nothing acknowledged may be lost or counted twice."""
    session.install("-e", PROJECT, *groups("test"))
    session.run("pytest", *(session.posargs or FAULTS))


@nox.session
def soak(session: nox.Session) -> None:
    """A steady load for 30 minutes (``-- --minutes 5``): fails if memory or the spool grows, or an event is missing."""
    session.install("-e", PROJECT, *groups("test"))
    session.run("python", "-m", "tests.faults.soak", *session.posargs)


@nox.session
def dev(session: nox.Session) -> None:
    """Make ``.venv`` a place to work in: the project, editable, with every tool."""
    session.run("python", "-m", "venv", ".venv", external=True)
    python = str(Path(".venv", "bin", "python").absolute())
    requirements = sorted(set(groups("lint", "types", "test", "docs")))
    session.run(python, "-m", "pip", "install", "--quiet", "-e", PROJECT, *requirements, external=True)
