"""What a task is: which data, which model, its loss, its metrics, its answer to a user."""
