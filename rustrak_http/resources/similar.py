"""``/api/issues/{issue_id}/similar``: issues that may be the same bug."""

from typing import Final

import falcon

from rustrak_core.issue import issue_ref
from rustrak_core.ports import SimilarStore
from rustrak_http.answers import answer
from rustrak_http.query import limit
from rustrak_http.shapes import similar_to_json

_LIMIT: Final = 10


class SimilarResource:
    """``/api/issues/{issue_id}/similar``: what is like an issue, scored and explained."""

    def __init__(self, store: SimilarStore) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response, issue_id: str) -> None:
        """Answer with the most similar issues of the project, the best first; there is one page."""
        found = self._store.similar_issues(issue_ref(issue_id), limit=limit(req, _LIMIT))
        answer(resp, {"data": [similar_to_json(each) for each in found]})
