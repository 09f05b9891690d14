"""What a project's files declare about ports: pure reading, files in and declarations out."""

from __future__ import annotations

from portcheck.preflight.declarations import Declaration, PreflightError, Reading, Unresolved
from portcheck.preflight.read import read

__all__ = ["Declaration", "PreflightError", "Reading", "Unresolved", "read"]
