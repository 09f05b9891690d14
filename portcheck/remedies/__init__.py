"""What to do now, as data: kinds of holders, the catalogue of remedies, and how a remedy is filled in."""
