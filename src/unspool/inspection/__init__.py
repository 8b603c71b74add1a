"""Looking at runs and models: figures and pictures."""
