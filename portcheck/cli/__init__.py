"""argv → request: one table of commands, and what is made of it: a quick reader, help, completion, typer's app."""
