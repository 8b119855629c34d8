"""``anchor@1``: what x where, rule by rule."""

import pytest

from rustrak_core import grouping
from rustrak_core.grouping import Rules
from rustrak_core.grouping.anchor import template, where
from rustrak_core.testing import Event, assert_grouped, assert_separate, error, from_exception, message

ANCHOR = Rules(mechanism="anchor@1")


def parts(event: Event) -> dict[str, str]:
    """Return what the key of *event* is made of; of two places, the last."""
    return {part.name: part.value for part in grouping.key(event, ANCHOR).explanation.parts}


def said(text: str) -> str:
    return parts(message(text))["message"]


@pytest.mark.parametrize(
    ("texts", "template"),
    [
        (["order 17 failed", "order 18,000 failed", "order 3f9a failed", "order -5.2 failed"], "order <*> failed"),
        (["took 5 s", "took 17.2 ms", "took 3 minutes", "took 3"], "took <*>"),
        (["read 'a'", 'read "b c"', "read `d`"], "read <*>"),
        (["user=bob late", "user = eve late", 'user="x y" late', "user= late"], "user=<*> late"),
        (["open /a/b", "open C:\\x", "open ./a/b.txt:12", "open a/b/c"], "open <*>"),
        (["to a@b.example", "to https://a.example/x?y#z", "to a.example.com", "to db.example.com:5432"], None),
        (["at Mon, 23 Nov 2026 10:11:12 GMT", "at Jul 9 22:53", "at 2026-11-23T10:11:12Z"], "at <*>"),
        (["5c:50:15:36:bc:03 left", "fe80::1:2:3:4 left", "54fadb41-2c4e-40cd-baed-9335e4c35a9e left"], "<*> left"),
        (["bad [1, 2, 3]", "bad [1]"], "bad [<*>]"),
        (["password for root from 10.0.0.7", "password for bob from 10.0.0.8"], "password for <*> from <*>"),
        (["Заказ №123 не найден", "Заказ №9 не найден"], "Заказ №<*> не найден"),
        (["订单123失败", "订单4失败"], "订单<*>失败"),
        (["注文 ４５", "注文 ٤٥", "注文 45"], "注文 <*>"),
        (["\x1b[31mred\x1b[0m alert", "red  alert"], "red alert"),
    ],
)
def test_values_are_masked(texts: list[str], template: str | None) -> None:
    """What changes from event to event does not split an issue."""
    if template:
        assert [said(text) for text in texts] == [template] * len(texts)
        assert_grouped(*map(message, texts), rules=ANCHOR)
    else:
        assert all("<*>" in said(text) or "<url>" in said(text) for text in texts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 404", "HTTP 500"),
        ("Request failed with status code 404", "Request failed with status code 403"),
        ("404 Client Error: x", "403 Client Error: x"),
        ("[Errno 2] x", "[Errno 13] x"),
        ("exit status 1", "exit status 2"),
        ("GET /users/1 failed", "GET /orders/1 failed"),
        ("GET https://a.example/users/1", "POST https://a.example/users/1"),
        ("'A' object has no attribute 'x'", "'A' object has no attribute 'y'"),
        ("got an unexpected keyword argument 'x'", "got an unexpected keyword argument 'y'"),
        ("No module named 'x'", "No module named 'y'"),
        ("name 'x' is not defined", "name 'y' is not defined"),
        ('violates constraint "a"', 'violates constraint "b"'),
        ('{"event": "paid", "id": 1}', '{"event": "refused", "id": 1}'),
        ('{"a": 1}', '{"a": 1, "b": 2}'),
        ("overlap: true", "overlap: false"),
    ],
)
def test_what_the_program_says_is_kept(one: str, other: str) -> None:
    """Codes of failure, segments of a request and names of the code tell errors apart."""
    assert_separate(message(one), message(other), rules=ANCHOR)


def test_a_request_answered_well_is_not_told_by_its_status() -> None:
    """Only a failure's status is a name of the error."""
    assert_grouped(message("status: 200 len: 5"), message("status: 204 len: 6"), rules=ANCHOR)


def test_the_logger_s_template_wins() -> None:
    """What a logger fills in is known, whatever it looks like."""
    assert_grouped(message("hello %s", "bob"), message("hello %s", "to you"), rules=ANCHOR)


def test_only_the_first_line_counts() -> None:
    """Details that follow do not split an issue."""
    assert_grouped(error("E: first\nx"), error("E: first\ny"), rules=ANCHOR)


def test_type_and_place_tell_apart() -> None:
    """Another type, or another place, is another issue; another line, file's folder or caller is not."""
    base = error("E: x", at=["shop/views.py:buy", "shop/orders.py:10:load"])
    assert_grouped(
        base,
        error("E: x", at=["shop/views.py:sell", "shop/orders.py:99:load"]),
        error("E: x", at="/srv/release-7/shop/orders.py:load"),
        error("E: x", at=["shop/orders.py:load", "-requests/api.py:get"]),
        rules=ANCHOR,
    )
    assert_separate(
        base, error("F: x", at="shop/orders.py:load"), error("E: x", at="shop/orders.py:save"), rules=ANCHOR
    )


@pytest.mark.parametrize(
    "newest",
    [
        ["shop/orders.py:<listcomp>"],
        ["shop/orders.py:<lambda>", "shop/orders.py:<genexpr>"],
        ["shop/decorators.py:wrapper"],
        ["shop/errors.py:raise_late"],
        ["shop/errors.py:ShopError"],
        ["/x/sentry_sdk/hub.py:capture"],
        ["-lib/a.py:f", "-lib/b.py:g"],
    ],
)
def test_frames_that_say_nothing_are_passed_over(newest: list[str]) -> None:
    """Comprehensions, wrappers, raise helpers, constructors of errors, SDKs and libraries lead to who called them."""
    assert_grouped(
        error("ShopError: x", at="shop/orders.py:load"),
        error("ShopError: x", at=["shop/orders.py:load", *newest]),
        rules=ANCHOR,
    )


def test_a_helper_s_own_fault_stays_its_own() -> None:
    """A name that does not exist is a fault of the function that uses it, though its name says that it raises."""
    name = "NameError: name 'x' is not defined"
    for helper in ("a.py:raise_x", "a.py:wrapper"):
        assert_grouped(error(name, at=["a.py:f", helper]), error(name, at=["b.py:g", helper]), rules=ANCHOR)


def test_where_all_application_frames_are_anonymous_their_module_tells() -> None:
    """A handler without a name is still the application's, and libraries are not asked."""
    event = error("E: x", at=["-node:events:emit", "src/shop.js:<anonymous>", "-node:http:end"], platform="node")
    assert parts(event)["where"] == "src/shop"


def test_a_helper_counts_with_its_caller() -> None:
    """A function of a utilities module serves many; what fails is told by whom it served."""
    one = error("IndexError: x", at=["shop/orders.py:latest", "shop/utils.py:first"])
    other = error("IndexError: x", at=["shop/tips.py:recommend", "shop/utils.py:first"])
    assert_separate(one, other, rules=ANCHOR)


def test_without_application_frames_the_nearest_two_count() -> None:
    """Native and stripped stacks still have a place; plumbing of crashes and threads is none."""
    base = error("SIGABRT: x", at=["-:start_thread", "-:run", "-:work", "-:parse", "-:abort", "-:pthread_kill"])
    assert [part.value for part in grouping.key(base, ANCHOR).explanation.parts][2:] == ["parse", "work"]


def test_an_overflow_is_where_it_goes_round() -> None:
    """Which function of a recursion came last is chance."""
    rounds = ["a.py:even", "a.py:odd"] * 9
    assert_grouped(
        error("RecursionError: x", at=["a.py:start", *rounds]),
        error("RecursionError: x", at=["b.py:start", *rounds, "a.py:even"]),
        rules=ANCHOR,
    )


@pytest.mark.parametrize(
    "texts",
    [
        (
            "TypeError: Cannot read properties of undefined (reading 'total')",
            'TypeError: can\'t access property "total", this.cart is undefined',
            "TypeError: undefined is not an object (evaluating 'this.cart.total')",
            "TypeError: Cannot read property 'total' of undefined",
        ),
        (
            "TypeError: cart.pay is not a function",
            "TypeError: cart.pay is not a function. (In 'cart.pay()', 'cart.pay' is undefined)",
            "TypeError: (intermediate value).pay is not a function",
        ),
        ("ReferenceError: cart is not defined", "ReferenceError: Can't find variable: cart"),
        ("RangeError: Maximum call stack size exceeded", "InternalError: too much recursion"),
        (
            "SyntaxError: Unexpected token '<', \"<html>\" is not valid JSON",
            "SyntaxError: JSON.parse: unexpected character at line 1 column 1 of the JSON data",
            "SyntaxError: JSON Parse error: Unrecognized token '<'",
        ),
        (
            "TypeError: Failed to fetch",
            "TypeError: Load failed",
            "TypeError: NetworkError when attempting to fetch resource.",
        ),
    ],
)
def test_browsers_say_it_in_their_own_words(texts: tuple[str, ...]) -> None:
    """One error of a page is one issue, whichever browser reports it."""
    assert_grouped(*(error(text, at="main.js:total", platform="javascript") for text in texts), rules=ANCHOR)


def test_what_a_page_s_objects_refuse_is_told_by_its_type() -> None:
    """Browsers agree on the names of these errors alone."""
    texts = (
        "Failed to execute 'removeChild' on 'Node': The node to be removed is not a child of this node.",
        "Node.removeChild: The node to be removed is not a child of this node",
        "The object can not be found here.",
    )
    assert_grouped(
        *(error(f"NotFoundError: {text}", at="main.js:drop", platform="javascript") for text in texts), rules=ANCHOR
    )


def test_an_application_s_own_errors_are_no_engine_s() -> None:
    """Its words are its own, also where they read like a browser's."""
    own = parts(error("ApiError: Failed to fetch", at="main.js:load", platform="javascript"))
    assert (own["type"], own["where"]) == ("ApiError", "main in load")
    assert parts(error("NotFoundError: no user 5", platform="javascript"))["message"] == "no user <*>"


def test_browsers_name_functions_in_their_own_way() -> None:
    """Receivers, marks of nesting and hashes of a build do not split an issue."""
    places = ["main.3f9a1c2b.js:Cart.total", "https://a.example/main-E7FI53DQ.js:total", "main.js:async total"]
    assert_grouped(*(error("E: x", at=place, platform="javascript") for place in places), rules=ANCHOR)


def test_minified_names_are_no_evidence() -> None:
    """A bundler names functions anew in each build."""
    one, other = (
        error("E: x", at=f"main-{hash}.js:{name}", platform="javascript")
        for hash, name in [("E7FI53DQ", "Rr"), ("4TQ4FBH6", "Pr")]
    )
    assert_grouped(one, other, rules=ANCHOR)


def test_failed_requests_have_no_place() -> None:
    """The network fails everywhere alike."""
    assert "where" not in parts(error("TypeError: Failed to fetch", at="main.js:load", platform="javascript"))


def sync(mistake: Exception) -> Exception:
    try:
        try:
            raise mistake
        except ValueError as e:
            raise RuntimeError("sync failed") from e
    except RuntimeError as e:
        return e


def test_the_last_exception_of_a_chain_decides() -> None:
    """What a program says last is what it means; what led to it does not split the issue."""
    assert_grouped(from_exception(sync(ValueError("x"))), from_exception(sync(UnicodeError("y"))), rules=ANCHOR)
    assert parts(from_exception(sync(ValueError("x"))))["where"].endswith("in sync")


def test_wrappers_give_way_to_their_cause() -> None:
    """An exception that only wraps or repeats another says nothing of its own."""
    cause = error("SqlError: no such table", at="com.shop.Orders:load")
    for text in (
        "ExecutionException: failed",
        "RuntimeException: SqlError: no such table",
        "RuntimeException: SqlError",
    ):
        assert_grouped(cause, error(text, at="com.shop.Pool:run", caused_by=cause), rules=ANCHOR)
    assert_separate(cause, error("SyncError: no sync", at="com.shop.Pool:run", caused_by=cause), rules=ANCHOR)


def test_a_group_of_one_kind_is_that_kind() -> None:
    """How many errors a group holds does not matter where all are the same."""
    one = from_exception(ExceptionGroup("2 rows", [ValueError("bad row 1"), ValueError("bad row 2")]))
    other = from_exception(ExceptionGroup("1 row", [ExceptionGroup("inner", [ValueError("bad row 7")])]))
    assert_grouped(one, other, rules=ANCHOR)
    assert parts(from_exception(ExceptionGroup("mixed", [ValueError("x"), KeyError("y")])))["type"] == "ExceptionGroup"


def test_names_made_by_an_sdk_are_no_types() -> None:
    """A synthetic exception is told by what it says."""
    event = error("SIGSEGV: Segfault", at="-:parse")
    event["exception"]["values"][0]["mechanism"] = {"synthetic": True}
    assert "type" not in parts(event)
    assert "made up" in str(grouping.key(event, ANCHOR).explanation)


def test_csp_reports_are_told_by_directive_and_host() -> None:
    """A report's text is no sentence with values in quotes."""
    one, other = (
        {"logentry": {"formatted": f"Blocked 'img-src' from '{host}'"}} for host in ("a.example", "b.example")
    )
    assert grouping.key(one, ANCHOR, kind="csp") != grouping.key(other, ANCHOR, kind="csp")


def test_a_stack_may_come_alone() -> None:
    """An event without a word is told by its place."""
    one, other = ({"stacktrace": {"frames": [{"function": name, "module": "m"}]}} for name in ("f", "g"))
    assert parts(one) == {"kind": "Message", "where": "m in f"}
    assert_separate(one, other, {}, rules=ANCHOR)


def test_without_anything_else_the_transaction_tells() -> None:
    """Events that say nothing are not all one issue."""
    assert_grouped({"transaction": "/buy/5"}, {"transaction": "/buy/6"}, rules=ANCHOR)
    assert_separate({"transaction": "/buy"}, {"transaction": "/sell"}, {}, error("E"), rules=ANCHOR)


def test_an_explanation_says_what_was_passed_over() -> None:
    """It names frames and exceptions that did not decide, with reasons, in data and in words."""
    explained = grouping.key(error("E: 5", at=["a.py:f", "a.py:wrapper", "-b.py:get"]), ANCHOR).explanation
    assert {"what": "frame a in wrapper", "why": "wraps another function"} in explained.to_json()["ignored"]
    assert "not frame b in get: is not the application's own" in str(explained)
    assert explained.decided_by == "mechanism"


def test_explanations_say_where_texts_come_from() -> None:
    """A part's source fits what it holds: masks are told of only where there are any, a template is called one."""

    def sources(event: Event) -> list[str]:
        return [part.source for part in grouping.key(event).explanation.parts]

    assert sources(error("KeyError: gone", at="shop/a.py:f"))[1] == "the exception's `value`"
    assert sources(error("KeyError: 17 gone", at="shop/a.py:f"))[1].endswith(
        "with <*> for what changes from event to event"
    )
    assert sources(message("order %s failed", 17))[1] == "the template of the message"
    assert sources(message("order 17 failed"))[1] == "the message, with <*> for what changes from event to event"


def test_what_decides_is_not_said_to_be_ignored() -> None:
    """A frame that decides for want of a better one does not stand among those passed over."""
    frames = [{"function": "main", "filename": "a.py"}]
    only = {"exception": {"values": [{"type": "E", "value": "x", "stacktrace": {"frames": frames}}]}}
    explained = grouping.key(only).explanation
    assert [(part.value, part.source) for part in explained.parts][2:] == [
        ("a in main", "the frame nearest to the error, though its name tells little; no better one is known")
    ]
    assert explained.ignored == []
    frames[0] |= {"in_app": True, "function": "<lambda>", "module": "shop.a"}  # type: ignore[dict-item]
    explained = grouping.key(only).explanation
    assert explained.parts[2].source == "the application's own frame nearest to the error, though its name tells little"
    assert explained.ignored == []


def test_what_is_remembered_is_small() -> None:
    """Messages and frames come again, and are remembered; hostile ones are not, or cut short."""
    long = "é" * 100_000
    template._remembered.cache_clear()
    where._look_at.cache_clear()
    frame = {"function": f"f{long}", "filename": f"/a/{long}.py", "module": f"m{long}", "platform": long}
    exception = {"type": f"T{long}", "value": f"user 1{long}", "stacktrace": {"frames": [frame]}}
    event = {"exception": {"values": [exception]}, "platform": long}
    assert grouping.key(event, ANCHOR) == grouping.key(event, ANCHOR)
    assert template._remembered.cache_info().currsize == 0
    assert where._look_at.cache_info().hits == 1
    (found,) = where.Stack([frame], "T", long).all()
    assert max(map(len, (found.sent, found.place.module, found.place.function))) <= 160
