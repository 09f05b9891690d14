"""From a PID to who it really is: pure deciding from facts that `observe.identity` reads.  No I/O."""
