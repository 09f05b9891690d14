"""The only package that looks at the operating system.  Looking changes nothing."""
