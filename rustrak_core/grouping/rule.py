"""One rule of a project on grouping, and whether it holds for an event."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from rustrak_core.event.attributes import attribute
from rustrak_core.event.frames import frames_of
from rustrak_core.event.release import environment, release
from rustrak_core.event.tags import environment_tag, tag_pairs
from rustrak_core.grouping.parts import Subject

_TEXT_MAX: Final = 8_192
_FRAMES_MAX: Final = 250
_FRAME_TEXT_MAX: Final = 500

Matches = Callable[[str], bool]
"""Whether a text is as a condition asks."""


@attrs.frozen(kw_only=True)
class Rule:
    """One rule: where all its conditions hold, it acts.

    Attributes:
        number: Its place in the file, from 1.
        line: The line in which it begins, from 1.
        of_event: What must hold for the event: names of conditions, and what their texts must match.
        of_tags: What must hold for its tags, by name.
        of_frame: What must hold for one frame, all of it for the same.
        fingerprint: What the event's key is then made of; empty where it sets none.
        in_app: Whether the frames that match are the application's own; None where it says nothing of them.
        mask: A pattern of values in messages; None where it masks none.
    """

    number: int
    line: int
    of_event: Sequence[tuple[str, Matches]] = ()
    of_tags: Sequence[tuple[str, Matches]] = ()
    of_frame: Sequence[tuple[str, Matches]] = ()
    fingerprint: tuple[str, ...] = ()
    in_app: bool | None = None
    mask: Any = None

    def __str__(self) -> str:
        return f"rule {self.number} (line {self.line})"


class Event:
    """An event as conditions look at it; what no condition asks for is not worked out."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._tags: dict[str, str] | None = None
        self._frames: list[Mapping[str, Any]] | None = None

    def matches(self, rule: Rule) -> bool:
        """Whether all that *rule* asks of the event itself holds."""
        return all(matches(self._text(name)) for name, matches in rule.of_event) and all(
            matches(self.tags.get(name, "")) for name, matches in rule.of_tags
        )

    def has_frame(self, conditions: Sequence[tuple[str, Matches]]) -> bool:
        """Whether one frame matches all *conditions*; True where there are none."""
        return not conditions or any(frame_matches(frame, conditions) for frame in self.frames)

    def _text(self, name: str) -> str:
        title, payload = self._subject.title, self._subject.payload
        if name == "type":
            return title.type
        if name == "release":
            return release(payload.get("release")) or ""
        if name == "environment":
            sent = payload.get("environment")
            return environment(environment_tag(payload) if sent is None else sent) or ""
        return title.message[:_TEXT_MAX]

    @property
    def tags(self) -> Mapping[str, str]:
        """The event's tags."""
        if self._tags is None:
            self._tags = dict(tag_pairs(self._subject.payload))
        return self._tags

    @property
    def frames(self) -> Sequence[Mapping[str, Any]]:
        """The frames of the exception that names the event, else of the event; at most the newest 250."""
        if self._frames is None:
            payload, exception = self._subject.payload, self._subject.title.exception
            stacktrace = exception.get("stacktrace") if exception else None
            sent = frames_of(attribute(payload, "stacktrace") if stacktrace is None else stacktrace)
            self._frames = [frame for frame in sent[-_FRAMES_MAX:] if isinstance(frame, dict)]
        return self._frames


def frame_matches(frame: Mapping[str, Any], conditions: Sequence[tuple[str, Matches]]) -> bool:
    """Whether *frame* matches all *conditions*."""
    for name, matches in conditions:
        if name != "path":
            if not _field_matches(frame.get(name), matches):
                return False
        elif not (_field_matches(frame.get("filename"), matches) or _field_matches(frame.get("abs_path"), matches)):
            return False
    return True


def _field_matches(value: Any, matches: Matches) -> bool:
    return isinstance(value, str) and matches(value[:_FRAME_TEXT_MAX])
