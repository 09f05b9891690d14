"""Tests for guests that are whole machines: nothing here is collected anywhere else (scripts/whole-machine)."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("PORTCHECK_GUEST") == "AppArmor" else ["test_*.py"]
