"""How does this drawing go on? Pictures, pixel by pixel, by a recurrent network."""
