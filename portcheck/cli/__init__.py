"""argv → request: one table of commands, and what is made of it: our own quick reader, help, completion, and typer's app."""
