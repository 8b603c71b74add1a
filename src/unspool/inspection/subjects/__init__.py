"""What can be traced, one file a task: how it is run, and what it says of itself."""
