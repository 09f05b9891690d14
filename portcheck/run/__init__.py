"""Running a command on a port of its own, and proving that the command is the one that listens there."""
