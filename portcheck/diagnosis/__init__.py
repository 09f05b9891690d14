"""Observation → answer: the bind table, the verdict, the sentence, notes, blind spots; `pipeline` runs a check."""
