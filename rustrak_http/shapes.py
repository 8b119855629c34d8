"""Values as the API shows them (API.md); the command line's ``--json`` prints the same shapes.

Events have theirs in `rustrak_core.view`, next to the reading of their payloads.
"""

from typing import Any

from rustrak_core.dsn import Dsn
from rustrak_core.issue import Issue
from rustrak_core.project import Project
from rustrak_core.similar import SimilarIssue
from rustrak_core.times import to_rfc3339
from rustrak_core.token import Token


def project_to_json(project: Project, dsn: str) -> dict[str, Any]:
    """Return a project as the API shows it.

    Args:
        project: The project.
        dsn: What an SDK is given, with the key in it without hyphens.
    """
    return {
        "id": project.id,
        "name": project.name,
        "slug": project.slug,
        "sentry_key": project.sentry_key,
        "created_at": to_rfc3339(project.created_at),
        "dsn": dsn,
        "event_count": project.event_count,
        "issue_count": project.issue_count,
    }


def dsn_text(project: Project, public_url: str) -> str:
    """Return the DSN of *project* on a server that applications reach at *public_url*, with or without a path.

    Raises:
        MalformedDsnError: *public_url* is no http(s) URL.
    """
    return str(Dsn.at(public_url, sentry_key=project.sentry_key, project_id=project.id))


def issue_to_json(issue: Issue) -> dict[str, Any]:
    """Return an issue as the API shows it, in lists and alone."""
    return {
        "id": issue.id,
        "short_id": issue.short_id,
        "type": issue.type,
        "message": issue.message,
        "state": issue.state.value,
        "event_count": issue.event_count,
        "first_seen": to_rfc3339(issue.first_seen),
        "last_seen": to_rfc3339(issue.last_seen),
        "project_id": issue.project_id,
        "level": issue.level,
        "platform": issue.platform,
        "culprit": issue.culprit,
        "user_count": issue.user_count,
        "first_release": issue.first_release,
        "last_release": issue.last_release,
        "resolved_at": None if issue.resolved_at is None else to_rfc3339(issue.resolved_at),
        "regressed_at": None if issue.regressed_at is None else to_rfc3339(issue.regressed_at),
        "regressed_in": issue.regressed_in,
        "merged": [
            {"id": one.id, "short_id": one.short_id, "merged_at": to_rfc3339(one.merged_at)} for one in issue.merged
        ],
    }


def similar_to_json(similar: SimilarIssue) -> dict[str, Any]:
    """Return an issue that may be the same bug as another, with its score and the terms that both hold."""
    return {
        "issue": issue_to_json(similar.issue),
        "score": similar.score,
        "why": [
            {
                "kind": reason.term.kind,
                "value": reason.term.text,
                "share": reason.share,
                "issues": reason.issues,
                "text": reason.text,
            }
            for reason in similar.why
        ],
    }


def token_to_json(token: Token) -> dict[str, Any]:
    """Return a token as lists show it: masked."""
    return {
        "id": token.id,
        "token": token.masked,
        "description": token.description,
        "created_at": to_rfc3339(token.created_at),
        "last_used_at": None if token.last_used_at is None else to_rfc3339(token.last_used_at),
    }


def token_created_to_json(token: Token, secret: str) -> dict[str, Any]:
    """Return a token just made, with all of its digits in *secret*: the only time that they are shown."""
    return token_to_json(token) | {"token": secret}
