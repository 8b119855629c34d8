"""Write a value into a response: JSON by our own writer, whatever the value holds."""

from collections.abc import Mapping
from typing import Any

import falcon

from rustrak_core import jsontext


def answer(resp: falcon.Response, value: Mapping[str, Any], status: int = 200) -> None:
    """Make *value* the JSON body of *resp*; valid UTF-8 also where it holds lone surrogates, NaN or large integers."""
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = jsontext.dumps(value)
