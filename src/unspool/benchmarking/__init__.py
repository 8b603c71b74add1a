"""Speed and memory, ours beside others', measured so that the comparison is fair."""
