"""Full-data training: the only stage that sees the test split."""
