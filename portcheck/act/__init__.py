"""The one room that changes something: it starts, stops and reserves, always by name and never by guess."""
