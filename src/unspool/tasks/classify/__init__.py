"""What is this sequence? One label for each, by a recurrent network."""
