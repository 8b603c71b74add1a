"""Whole networks: tensors in, logits and state out; no loss, no files."""
