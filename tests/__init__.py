"""Tests; `tests.samples` holds requests recorded from real SDKs."""
