"""Figures: each a pure function that gets the numbers, and one that draws them."""
