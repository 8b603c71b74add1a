"""Which sequence answers this one: translation, and whatever else can be learned from pairs."""
