"""argv → request: one table of commands, our own quick reader of it, and typer's app, built from it for help alone."""
