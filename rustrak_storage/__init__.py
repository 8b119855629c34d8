"""The ports of `rustrak_core`, kept by databases, and the spool."""
