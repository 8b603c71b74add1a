"""What comes next: language models."""
