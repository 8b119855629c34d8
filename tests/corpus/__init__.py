"""Every request recorded from a real SDK gets its answer, and its event can be read back."""
