"""Training and scoring of one network."""
