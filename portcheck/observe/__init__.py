"""The one room that looks at the operating system.  Looking changes nothing."""
