"""What README and docs show is true: their examples run."""
