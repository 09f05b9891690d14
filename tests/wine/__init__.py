"""Windows CPython under Wine, not Windows: run by scripts/test-windows-on-wine."""
