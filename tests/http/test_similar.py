"""Similar issues through the API."""

from typing import Any

import pytest

from tests.http.conftest import Api, both_backends, error

pytestmark = both_backends


@pytest.fixture
def shop(api: Api) -> Api:
    """A project with issues of which the first two are much alike, and the third a bit."""
    project = api.project("shop")
    for type_, said in (
        ("PaymentError", "cannot pay with this card"),
        ("PaymentError", "cannot pay with that card"),
        ("PaymentError", "no such currency"),
        ("ValueError", "unknown fruit"),
    ):
        api.send(project, error(type_, said))
    return api


@pytest.mark.parametrize("name", ["1", "SHOP-1", "shop-1"])
def test_similar_issues(shop: Api, name: str) -> None:
    """They come scored and explained, the best first, each whole."""
    answer = shop.get(f"/api/issues/{name}/similar")
    assert answer.status_code == 200, answer.text
    first, second, *_ = answer.json["data"]
    assert first["issue"] == shop.get("/api/issues/2").json
    assert second["issue"]["short_id"] == "SHOP-3"
    assert 1 > first["score"] > second["score"] > 0
    said = {each["value"]: each for each in first["why"]}
    assert said["card"] | {"share": 0} == {
        "kind": "word",
        "value": "card",
        "share": 0,
        "issues": 2,
        "text": 'the word "card", in no other issue',
    }
    assert sum(each["share"] for each in first["why"]) <= 1.01


def test_limit(shop: Api) -> None:
    """As many come as were asked for."""
    assert len(shop.get("/api/issues/1/similar", query_string="limit=1").json["data"]) == 1
    answer = shop.get("/api/issues/1/similar", query_string="limit=0")
    assert (answer.status_code, answer.json["error"]) == (400, "limit: must be a number from 1 to 100")


@pytest.mark.parametrize("name", ["99", "SHOP-99", "x"])
def test_unknown(shop: Api, name: Any) -> None:
    """What does not exist is 404."""
    assert shop.get(f"/api/issues/{name}/similar").status_code == 404
