"""From a request's bytes to what is accepted: events as they were sent, and counts of all that is not kept."""

from rustrak_core.receive.admission import Admission
from rustrak_core.receive.context import Context, Limits, Received
from rustrak_core.receive.envelope import EnvelopeReceiver
from rustrak_core.receive.refusal import refused
from rustrak_core.receive.security import receive_security
from rustrak_core.receive.store import receive_store
from rustrak_core.receive.whole import WholeEnvelope, receive_whole

__all__ = [
    "Admission",
    "Context",
    "EnvelopeReceiver",
    "Limits",
    "Received",
    "WholeEnvelope",
    "receive_security",
    "receive_store",
    "receive_whole",
    "refused",
]
