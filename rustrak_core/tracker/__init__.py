"""The front door for embedding: `Tracker`, and what it hands out."""

from rustrak_core.tracker.front import Tracker
from rustrak_core.tracker.intake import DirectIntake, Ingested, record
from rustrak_core.tracker.known_rules import KnownRules
from rustrak_core.tracker.refs import IssueRef, ProjectRef

__all__ = ["DirectIntake", "Ingested", "IssueRef", "KnownRules", "ProjectRef", "Tracker", "record"]
