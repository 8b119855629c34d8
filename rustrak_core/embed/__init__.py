"""Inside a host's process: what it captures with ``sentry-sdk`` goes to its own `Tracker`, without a network.

```python
import sentry_sdk
from rustrak_core.embed import TrackerTransport

sentry_sdk.init(transport=TrackerTransport(tracker, project))
```

This is the one part of the core with a queue and a thread, and the one that needs ``sentry-sdk`` (2.0 or newer).
"""

from rustrak_core.embed.recorder import Recorder
from rustrak_core.embed.transport import TrackerTransport

__all__ = ["Recorder", "TrackerTransport"]
