"""Events whose keys are guarded by `golden.json`: one for each rule of ``anchor@1`` and fingerprints, and odd input."""

from typing import Any

from rustrak_core.testing import Event, error, message

MESSAGES = (
    """
Request failed with status code 404|GET /v2/users/42/orders?x=1 failed with 500|GET https://a.example/v2/users/42 failed
404 Client Error: Not Found for url: https://api.example/v1/a|10.0.0.1 "GET /v2/54fadb41/servers HTTP/1.1" status: 200
dial tcp 10.0.0.1:5432: connect: connection refused|open /var/lib/x.db: no such file|C:\\Users\\bob\\x.dll is gone
read a/b/c.txt|host db-1.eu-west.internal is down|proxy.example.com:8080 closed|mail to bob@example.com bounced
user bob not found|Failed password for root from 10.0.0.7 port 22|session opened for user news by (uid=0)
time data '6/8/2021' does not match format '%Y'|'dict' object has no attribute 'pear'|name 'x' is not defined
unsupported operand type(s) for +: 'int' and 'str'|No module named 'a.b'|Cannot invoke "A.b()" because "<local4>" is null
unexpected keyword argument 'timeout'|relation "orders_2024" does not exist|no stock for "SKU-1"|it's 5 o'clock
pid=12 uid = 7 name="x y" list=[] ws=Set{a, b}, f=g(1, 2)|a == b|id:5 ok:true|connection from 10.0.0.1 () at
Mon, 23 Nov 2026 10:11:12 GMT|at Sat Jul  9 22:53 2005|2026-11-23T10:11:12.519145Z late|took 5.3s (limit 5s), 1.2 KB
5c:50:15:36:bc:03 joined|54fadb41-2c4e-40cd-baed-9335e4c35a9e gone|<Foo object at 0x7f00>|1, 2, 3 and 4
{"event": "payment failed", "id": 12}|[{"loc": ["x"], "msg": "field required"}]|{"b": 1, "a": 2}|{broken
\u0417\u0430\u043a\u0430\u0437 \u2116123 "\u0418\u0432\u0430\u043d"|\u8ba2\u5355123\u5931\u8d25|\uff14\uff15 \u0665\u0966|\x1b[31mred 5\x1b[0m
exit status 128.|[Errno 2] No such file: '/tmp/x'|lifetime <1 sec|95% full|Retry 3/5|%s of {0}|{Err} %(id)d
""".strip()
    .replace("\n", "|")
    .split("|")
)
"""One for each way of masking."""

SAID = (
    """
Cannot read properties of undefined (reading 'name')|Cannot read property 'name' of null|x is not iterable|Script error.
can't access property "name", a.b is undefined|undefined is not an object (evaluating 'a.b.name')|Load failed
a.b.name is not a function|(intermediate value).name is not a function|e is not a constructor|name is not defined
Can't find variable: name|Maximum call stack size exceeded|too much recursion|Failed to fetch|Unexpected token '<', "<" in JSON
JSON.parse: unexpected character at line 1|Unexpected end of JSON input|Uncaught TypeError: x is not a function
data is undefined|Right side of assignment cannot be destructured|Failed to fetch (api.example.com)|Invalid Date
Uncaught (in promise) Error: own words 5|own words 5|Loading chunk 12 failed.|Cannot access 'x' before initialization
""".strip()
    .replace("\n", "|")
    .split("|")
)
"""What engines say."""

PLACES: dict[str, Any] = {
    "module": "shop.orders:load",
    "file": "shop/orders.py:load",
    "release in the path": "/srv/app/releases/20261101/orders.py:load",
    "hash in a file name": "static/main.3f9a1c2b.js:load",
    "caller": ["shop/views.py:buy", "shop/orders.py:load"],
    "library below": ["shop/orders.py:load", "-requests/api.py:get"],
    "comprehension": ["shop/orders.py:load", "shop/orders.py:<listcomp>"],
    "wrapper": ["shop/orders.py:load", "shop/utils.py:wrapper"],
    "raises": ["shop/orders.py:load", "shop/errors.py:raise_late"],
    "only a raiser": ["shop/errors.py:raise_late"],
    "helper": ["shop/orders.py:load", "shop/utils.py:first"],
    "constructor": ["shop/orders.py:load", "shop/errors.py:ShopError"],
    "no application frame": ["-a/b.py:one", "-a/c.py:two", "-a/d.py:three"],
    "thread start": ["-:start_thread", "-:work"],
    "java class": "com.shop.Orders$1:lambda$load$0",
    "java proxy": "com.shop.Orders$$EnhancerBySpringCGLIB$$3f2a:load",
    "c# state": ":<LoadAsync>d__12.MoveNext",
    "rust": ":shop::orders::load::{{closure}}::h0123456789abcdef",
    "c++": ":std::vector<int>::push_back(int const&)",
    "go": "main.Orders:load.func1",
    "ruby": "orders.rb:block (2 levels) in load",
    "address": ":0x00007ff01234",
}
"""Where, by kind of name."""


def _frames(*frames: Any, **fields: Any) -> Event:
    return {"exception": {"values": [{"type": "E", "value": "x", "stacktrace": {"frames": list(frames)}}]}, **fields}


def _group(*members: tuple[str, str], parents: tuple[int, ...] = ()) -> Event:
    values = [
        {
            "type": kind,
            "value": value,
            "mechanism": {"exception_id": 1 + index, "parent_id": (parents or (0,) * 9)[index]},
        }
        for index, (kind, value) in enumerate(members)
    ]
    root = {"type": "ExceptionGroup", "value": "2 errors", "mechanism": {"exception_id": 0, "is_exception_group": True}}
    return {"exception": {"values": [*values, root]}}


SCRIPT = {"filename": "https://a.example/assets/main-E7FI53DQ.js", "in_app": True}
OTHERS: dict[str, Event] = {
    "nothing": {},
    "nothing but a transaction": {"transaction": "/buy/5"},
    "nothing but a culprit": {"culprit": "shop.orders in load"},
    "nothing but a stack": {"stacktrace": {"frames": [{"function": "f", "module": "m"}]}, "transaction": "/buy"},
    "type alone": error("ValueError"),
    "type in the value": {"exception": {"values": [{"value": "ValueError: boom 5"}]}},
    "type again in the value": {"exception": {"values": [{"type": "ValueError", "value": "ValueError: boom 5"}]}},
    "exception as an object": {"exception": {"type": "ValueError", "value": "x"}},
    "raven": {"sentry.interfaces.Exception": [{"type": "ValueError", "value": "x"}]},
    "logger's template": message("order %s failed", 17),
    "formatted alone": {"logentry": {"formatted": "order 17 failed"}},
    "message beside a stack": {
        "platform": "javascript",
        "message": "slow 5",
        "exception": {"values": [{"value": "slow 5", "mechanism": {"synthetic": True}}]},
    },
    "synthetic": {"exception": {"values": [{"type": "SIGSEGV", "value": "Segfault", "mechanism": {"synthetic": True}}]}},
    "hexadecimal type": error("EXC / 0x00000032: x"),
    "cause that says more": error("RuntimeError: sync failed", at="a.py:f", caused_by=error("KeyError: 'x'", at="b.py:g")),
    "wrapper of a cause": error("ExecutionException: E: x", at="a.py:f", caused_by=error("E: x", at="b.py:g")),
    "repeats its cause": error("RuntimeException: E: x", at="a.py:f", caused_by=error("E: x", at="b.py:g")),
    "group of one kind": _group(("ValueError", "bad 'a1'"), ("ValueError", "bad 'b2'")),
    "group of two kinds": _group(("ValueError", "x"), ("KeyError", "y")),
    "group in circles": _group(("ExceptionGroup", "x"), ("ExceptionGroup", "y"), parents=(2, 1)),
    "overflow": error("RecursionError: too deep", at=["a.py:start", *["a.py:even", "a.py:odd"] * 9]),
    "overflow elsewhere in the round": error("RecursionError: too deep", at=["a.py:start", *["a.py:even", "a.py:odd"] * 9, "a.py:even"]),
    "fault in a raiser": error("AttributeError: 'X' object has no attribute 'y'", at=["a.py:f", "a.py:raise_late"]),
    "browser function": _frames({**SCRIPT, "function": "Cart.total"}, platform="javascript"),
    "browser callback": _frames({**SCRIPT, "function": "total"}, {**SCRIPT, "function": "total/<"}, platform="javascript"),
    "minified": _frames({**SCRIPT, "function": "total"}, {**SCRIPT, "function": "Xr"}, platform="javascript"),
    "native code": _frames({**SCRIPT, "function": "total"}, {"filename": "[native code]", "function": "map", "in_app": True}, platform="javascript"),
    "sdk frame": _frames({**SCRIPT, "function": "total"}, {**SCRIPT, "function": "sentryWrapped"}, platform="javascript"),
    "refused by the page": error("NotFoundError: The object can not be found here.", at="main.js:drop", platform="javascript"),
    "own words of an own type": error("ApiError: Failed to fetch", at="main.js:load", platform="javascript"),
    "handler without a name": error("E: x", at=["-node:events:emit", "src/a.js:<anonymous>", "-node:http:end"], platform="node"),
    "node callback": _frames({"filename": "src/a.js", "function": "total", "in_app": True}, {"filename": "src/a.js", "in_app": True}, platform="node"),
    "paths tell libraries": _frames({"filename": "shop/a.py", "function": "f"}, {"abs_path": "/x/site-packages/b.py", "function": "g"}),
    "null frames": _frames(None, {"function": None}, {}, 5, "main.c"),
    "stack of the event": {**error("E: x"), "stacktrace": {"frames": [{"function": "f", "module": "m", "in_app": True}]}},
    "thread that crashed": {**error("E: x"), "threads": {"values": [{"crashed": True, "stacktrace": {"frames": [{"function": "f"}]}}]}},
    "frames are no list": {"exception": {"values": [{"type": "E", "value": "x", "stacktrace": {"frames": "f"}}]}},
    "odd types": {"exception": {"values": [{"type": 5, "value": {"a": [1]}}]}, "platform": 7, "transaction": []},
    "line feeds": error("E: first 1\nsecond"),
    "long": message("word 5 " * 400),
    "lone surrogate": message("\ud800 5"),
    "fingerprint": error("E: x", fingerprint=["a", 1, True, 1.5, None, {}, "{{ nothing }}"]),
    "fingerprint and default": error("E: x", at="a.py:f", fingerprint=["{{ default }}", "b"]),
    "fingerprint of variables": error(
        "E: x 5",
        at="shop.orders:load",
        level="fatal",
        logger="shop",
        transaction="/buy",
        tags={"region": "eu"},
        fingerprint=[f"{{{{ {name} }}}}" for name in ("type", "value", "transaction", "module", "function", "level", "logger", "tags.region", "tags.none")],
    ),
}  # fmt: skip

CASES: dict[str, Event] = {
    **{f"message: {text}": message(text) for text in MESSAGES},
    **{f"said: {text}": error(f"TypeError: {text}", platform="javascript") for text in SAID},
    **{f"at: {name}": error("ShopError: late by 5 s", at=place, platform="other") for name, place in PLACES.items()},
    **OTHERS,
}
