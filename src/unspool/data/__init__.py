"""Data: sets known by name, readers for one's own files, their division, batches and streams."""
