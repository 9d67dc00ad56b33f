"""The study that this project grew from, row by row: every experiment of it, run and compared."""
