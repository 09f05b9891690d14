"""Windows Python under Wine 8, imported by site at start-up: let psutil name processes.

psutil's Process.exe() and .name() ask NtQuerySystemInformation(SystemProcessIdInformation), which Wine has
only since 9.8 (giampaolo/psutil#2492): error 87 until then.  Emulated with QueryFullProcessImageNameW.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import importlib.util  # noqa: E402
from importlib.abc import MetaPathFinder  # noqa: E402
from importlib.machinery import ModuleSpec  # noqa: E402
from types import ModuleType  # noqa: E402
from typing import Any  # noqa: E402

EXTENSION = "psutil._psutil_windows"
INVALID_PARAMETER = 87
QUERY_LIMITED_INFORMATION = 0x1000
NATIVE_NAME = 1  # \Device\HarddiskVolume1\..., the form that psutil converts itself


def image_name(pid: int) -> str:
    """The native path of a process's program.  Raises ProcessLookupError, or OSError with the refusal."""
    import ctypes
    from ctypes import wintypes

    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel32.OpenProcess.restype = wintypes.HANDLE
    handle = wintypes.HANDLE(kernel32.OpenProcess(QUERY_LIMITED_INFORMATION, False, pid))
    if not handle:
        error = ctypes.get_last_error()
        if error == INVALID_PARAMETER:
            raise ProcessLookupError(3, "no such process")
        raise ctypes.WinError(error)
    try:
        size = wintypes.DWORD(32768)
        buffer = ctypes.create_unicode_buffer(size.value)
        if not kernel32.QueryFullProcessImageNameW(handle, NATIVE_NAME, buffer, ctypes.byref(size)):
            raise ctypes.WinError(ctypes.get_last_error())
        return buffer.value
    finally:
        kernel32.CloseHandle(handle)


def patch(extension: Any) -> None:
    original = extension.proc_exe

    def proc_exe(pid: int) -> str:
        try:
            return str(original(pid))
        except OSError as error:
            if error.winerror != INVALID_PARAMETER:
                raise
            return image_name(pid)

    extension.proc_exe = proc_exe


class PatchWhenImported(MetaPathFinder):
    """Patches psutil's extension once something imports it: importing psutil here would slow every start."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != EXTENSION:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        load = spec.loader.exec_module

        def load_and_patch(module: ModuleType) -> None:
            load(module)
            patch(module)

        spec.loader.exec_module = load_and_patch  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, PatchWhenImported())
