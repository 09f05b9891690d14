"""Real machinery for system tests: a systemd that is PID 1, a Docker engine; gone without a trace."""
