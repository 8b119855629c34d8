"""Faults on purpose, and what becomes of events then; see docs/explanation/what-happens-to-your-error.md."""
