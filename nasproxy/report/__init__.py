"""From the records of a run to a judgement: figures, text and one sentence to act on."""
