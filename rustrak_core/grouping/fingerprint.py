"""Fingerprints: an SDK says itself what its events have in common, and may name what we would have taken."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from rustrak_core.event.fingerprint import fingerprint_of
from rustrak_core.grouping.mechanisms import Mechanism
from rustrak_core.grouping.parts import Part, Subject

FINGERPRINT_MECHANISM: Final = "fingerprint@1"

_VARIABLE = re.compile(r"\{\{\s*(default|type|value|transaction)\s*\}\}")
_DEFAULT = "default"


def fingerprint_parts(subject: Subject, mechanism: Mechanism) -> tuple[str, Sequence[Part]] | None:
    """Return mechanism and parts of the event's fingerprint; None where *mechanism* alone decides.

    ``{{ default }}`` stands for the parts of *mechanism*, which the returned name then mentions too; ``{{ type }}``,
    ``{{ value }}`` and ``{{ transaction }}`` for those of the event. Spaces in them are optional.
    """
    fingerprint = fingerprint_of(subject.payload)
    if not fingerprint:
        return None
    variables = [match and match[1] for match in map(_VARIABLE.fullmatch, (text.strip() for text in fingerprint))]
    if variables == [_DEFAULT]:
        return None
    name = f"{FINGERPRINT_MECHANISM}:{mechanism.name}" if _DEFAULT in variables else FINGERPRINT_MECHANISM
    pairs = zip(fingerprint, variables, strict=True)
    return name, tuple(part for text, variable in pairs for part in _parts(text, variable, subject, mechanism))


def _parts(text: str, variable: str | None, subject: Subject, mechanism: Mechanism) -> Iterator[Part]:
    if variable is None:
        yield Part("fingerprint", text, "the event's `fingerprint`")
    elif variable == _DEFAULT:
        yield from mechanism.parts(subject)
    else:
        title = subject.title
        value = {"type": title.type, "value": title.message, "transaction": subject.transaction}[variable]
        yield Part(f"{{{{ {variable} }}}}", value, "the event's `fingerprint`, filled in")
