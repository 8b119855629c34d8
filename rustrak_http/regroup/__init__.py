"""Filing a project's events anew: keys worked out by several processes, an undo file, and batches on a live store."""
