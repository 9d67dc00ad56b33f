"""The search: spaces, the Optuna study, what a candidate is worth."""
