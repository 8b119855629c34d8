"""The management routes and health, described."""

from typing import Any

from rustrak_http.openapi.parts import body, page, parameters, refusals, success

_TOKEN: list[dict[str, list[str]]] = [{"token": []}]
_READ = (400, 401, 404, 500, 503)
_WRITE = (400, 401, 404, 413, 415, 500, 503)


def _operation(
    tag: str, name: str, summary: str, responses: dict[str, Any], *statuses: int, **more: Any
) -> dict[str, Any]:
    return {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "security": _TOKEN,
        **more,
        "responses": {**responses, **refusals(*statuses)},
    }


def _open(name: str, summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {**_operation("health", name, summary, responses, 500), "security": []}


_PAGING = parameters("limit")
_FILTERS = parameters("state", "sort", "order", "environment", "release", "level", "q", "limit")

MANAGEMENT_PATHS: dict[str, Any] = {
    "/api/projects": {
        "get": _operation(
            "projects", "listProjects", "All projects", page("Projects", "Projects by id."), *_READ, parameters=_PAGING
        ),
        "post": _operation(
            "projects",
            "createProject",
            "Create a project",
            success(201, "Project", "The new project."),
            *_WRITE,
            requestBody=body("ProjectBody"),
        ),
    },
    "/api/projects/{project_id}": {
        "parameters": parameters("project_id"),
        "get": _operation("projects", "getProject", "A project", success(200, "Project", "The project."), *_READ),
        "patch": _operation(
            "projects",
            "renameProject",
            "Rename a project",
            success(200, "Project", "The project; its slug stays."),
            *_WRITE,
            requestBody=body("ProjectBody"),
        ),
        "delete": _operation(
            "projects",
            "deleteProject",
            "Delete a project, its issues and events",
            success(200, "Project", "The project as it was."),
            *_READ,
        ),
    },
    "/api/projects/{project_id}/stats": {
        "parameters": parameters("project_id"),
        "get": _operation(
            "projects",
            "getStats",
            "What became of every event, day by day",
            success(200, "Stats", "Days that have anything, the newest first."),
            *_READ,
            parameters=parameters("since", "until"),
        ),
    },
    "/api/projects/{project_id}/grouping": {
        "parameters": parameters("project_id"),
        "get": _operation(
            "projects",
            "getGrouping",
            "How a project's events are grouped",
            success(200, "Grouping", "Its rules, and what is in force."),
            *_READ,
        ),
        "put": _operation(
            "projects",
            "setGroupingRules",
            "Give a project other rules on grouping, all of them at once",
            success(200, "Grouping", "The rules, and what is in force for events digested from now on."),
            *_WRITE,
            requestBody=body("RulesBody"),
        ),
        "patch": _operation(
            "projects",
            "pinGroupingMechanism",
            "Pin the mechanism by which a project's events are grouped, or follow the default",
            success(200, "Grouping", "The rules with that line changed, and what is in force from now on."),
            *_WRITE,
            requestBody=body("PinBody"),
        ),
    },
    "/api/projects/{project_id}/issues": {
        "parameters": parameters("project_id"),
        "get": _operation(
            "issues", "listIssues", "A project's issues", page("Issues", "Issues."), *_READ, parameters=_FILTERS
        ),
    },
    "/api/issues/{issue_id}": {
        "parameters": parameters("issue_id"),
        "get": _operation("issues", "getIssue", "An issue", success(200, "Issue", "The issue."), *_READ),
        "patch": _operation(
            "issues",
            "setIssueState",
            "Resolve, mute or reopen an issue",
            success(200, "Issue", "The issue."),
            *_WRITE,
            requestBody=body("IssueBody"),
        ),
        "delete": _operation(
            "issues",
            "deleteIssue",
            "Delete an issue with its events and its grouping",
            success(200, "Issue", "The issue as it was."),
            *_READ,
        ),
    },
    "/api/issues/{issue_id}/merge": {
        "parameters": parameters("issue_id"),
        "post": _operation(
            "issues",
            "mergeIssues",
            "Make other issues part of this one, with their events and those to come",
            success(200, "Issue", "The issue that they are part of."),
            *_WRITE,
            requestBody=body("MergeBody"),
        ),
    },
    "/api/issues/{issue_id}/unmerge": {
        "parameters": parameters("issue_id"),
        "post": _operation(
            "issues",
            "unmergeIssues",
            "Take merged issues out of this one again",
            success(200, "IssuesBack", "Those that came back, in the order named."),
            *_WRITE,
            requestBody=body("MergeBody"),
        ),
    },
    "/api/issues/{issue_id}/similar": {
        "parameters": parameters("issue_id"),
        "get": _operation(
            "issues",
            "listSimilarIssues",
            "Issues of the project that may be the same bug",
            success(200, "SimilarIssues", "The most similar ones, the best first; there is one page."),
            *_READ,
            parameters=parameters("few"),
        ),
    },
    "/api/issues/{issue_id}/events": {
        "parameters": parameters("issue_id"),
        "get": _operation(
            "events",
            "listEvents",
            "An issue's events",
            page("EventSummaries", "Events, the newest first."),
            *_READ,
            parameters=_PAGING,
        ),
    },
    "/api/events/{event_id}": {
        "parameters": parameters("event_id"),
        "get": _operation(
            "events",
            "getEvent",
            "An event with all that the SDK sent",
            success(200, "Event", "The event."),
            *_READ,
            parameters=parameters("chosen_project"),
        ),
    },
    "/api/tokens": {
        "get": _operation(
            "tokens",
            "listTokens",
            "All API tokens, masked",
            page("Tokens", "Tokens by id."),
            *_READ,
            parameters=_PAGING,
        ),
        "post": _operation(
            "tokens",
            "createToken",
            "Create an API token",
            success(201, "Token", "The token with all of its digits, shown this once."),
            *_WRITE,
            requestBody=body("TokenBody"),
        ),
    },
    "/api/tokens/{token_id}": {
        "parameters": parameters("token_id"),
        "delete": _operation(
            "tokens", "deleteToken", "Delete an API token", success(200, "Token", "The token as it was."), *_READ
        ),
    },
    "/health": {"get": _open("getHealth", "Is the process alive?", success(200, "Live", "It is."))},
    "/health/ready": {
        "get": _open(
            "getReadiness",
            "Could it do its work now?",
            {
                **success(200, "Ready", "It could."),
                **success(503, "NotReady", "It could not; `error` names what fails."),
            },
        )
    },
    "/openapi.json": {
        "get": _open(
            "getDescription",
            "This document",
            {"200": {"description": "It.", "content": {"application/json": {"schema": {"type": "object"}}}}},
        )
    },
}
