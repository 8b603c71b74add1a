"""Pictures of a trace, one file a kind, each drawn for someone who sees it for the first time."""
