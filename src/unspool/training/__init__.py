"""Learning: the loop, its state, its optimisation and its report; knows no concrete task."""
