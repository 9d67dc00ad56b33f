"""Training-free scores: one file each."""
