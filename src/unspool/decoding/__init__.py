"""How tokens are chosen from a network's probabilities, one after another; knows no network."""
