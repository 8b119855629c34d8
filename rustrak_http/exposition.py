"""Prometheus' text format, version 0.0.4: families of samples, written one after the other."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Labels = Mapping[str, str]


class Exposition:
    """What a scrape is answered with, as it grows."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def gauge(self, name: str, text: str, samples: Iterable[tuple[Labels, float]]) -> None:
        """Add a family of values that go up and down; one without samples is left out."""
        self._family(name, text, "gauge", samples)

    def counter(self, name: str, text: str, samples: Iterable[tuple[Labels, float]]) -> None:
        """Add a family of values that only grow; *name* ends in ``_total``."""
        self._family(name, text, "counter", samples)

    def histogram(self, name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> None:
        """Add a histogram.

        Args:
            name: Of the family.
            text: What it is about.
            bounds: The upper bounds of its buckets, ascending, but for the last, which is infinite.
            counts: How many fell into each bucket, the last among them.
            total: The sum of what was observed.
        """
        self._head(name, text, "histogram")
        so_far = 0
        for bound, count in zip([*bounds, math.inf], counts, strict=True):
            so_far += count
            self._sample(f"{name}_bucket", {"le": _number(bound)}, so_far)
        self._sample(f"{name}_sum", {}, total)
        self._sample(f"{name}_count", {}, so_far)

    def text(self) -> str:
        """Return all of it."""
        return "".join(f"{line}\n" for line in self._lines)

    def _family(self, name: str, text: str, kind: str, samples: Iterable[tuple[Labels, float]]) -> None:
        rows = list(samples)
        if rows:
            self._head(name, text, kind)
            for labels, value in rows:
                self._sample(name, labels, value)

    def _head(self, name: str, text: str, kind: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a metric")
        escaped = text.replace("\\", r"\\").replace("\n", r"\n")
        self._lines += [f"# HELP {name} {escaped}", f"# TYPE {name} {kind}"]

    def _sample(self, name: str, labels: Labels, value: float) -> None:
        pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        self._lines.append(f"{name}{{{pairs}}} {_number(value)}" if pairs else f"{name} {_number(value)}")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(float(value))
