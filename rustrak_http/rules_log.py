"""A line in the log for rules on grouping that this version cannot read."""

import logging

from rustrak_core.errors import MalformedRulesError
from rustrak_core.project import ProjectId

_logger = logging.getLogger("rustrak.grouping")


def log_unreadable_rules(project_id: ProjectId, problem: MalformedRulesError) -> None:
    """Say that a project's events are grouped without its rules; what is in them is nobody else's."""
    _logger.error("rules_unreadable project=%s line=%s", project_id, problem.line)
