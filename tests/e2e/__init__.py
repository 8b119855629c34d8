"""Real clients report over loopback to a real ``rustrak serve``."""
