"""Sphinx: furo, MyST; built by ``nox -s docs`` with -nW, so that a broken reference is a failure."""

from importlib.metadata import version as installed

project = "Rustrak"
author = "The Rustrak authors"
copyright = "The Rustrak authors, Apache-2.0"
release = version = installed("rustrak")

extensions = ["myst_parser"]
exclude_patterns = ["_build", "changes"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Rustrak {version}"
