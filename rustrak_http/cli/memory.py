"""Memory of the long-lived processes of ``rustrak serve``."""

import gc


def settle_memory() -> None:
    """Leave what was loaded at the start out of all further searches for garbage, and search less often.

    Requests and events leave next to no cycles behind, and each full search would walk through every module.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
