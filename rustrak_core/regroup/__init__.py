"""What other rules would make of events that are filed already: pure, and of bounded memory.

Feed a `History` with events and the keys that they get now; `plan` then says which issues come together, which fall
apart, and how many events move. `rustrak_core.regroup.undo` writes down what was done, so that it can be taken back.
"""

from rustrak_core.regroup.history import Flow, History, rekey
from rustrak_core.regroup.plan import Plan, Split, make_plan
from rustrak_core.regroup.source import IssueName, Source, StoreSource

__all__ = ["Flow", "History", "IssueName", "Plan", "Source", "Split", "StoreSource", "make_plan", "rekey"]
