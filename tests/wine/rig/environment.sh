# Sourced with WINEPREFIX set: the environment of every Wine program in the rig.
export WINEPREFIX WINEARCH=win64 WINEDEBUG=-all
# Off: .NET, a browser, crash dialogs, desktop menu entries.  netsh.exe: ours, not Wine's own that prints nothing.
export WINEDLLOVERRIDES='mscoree,mshtml=d;winedbg.exe,winemenubuilder.exe=d;netsh.exe=n'
export WINEPATH='C:\Python311;C:\Python311\Scripts;C:\holders'
# A console-less Western European Windows: code page 1252, and Python left to find that out
export LC_ALL=C.UTF-8
unset DISPLAY WAYLAND_DISPLAY "${!PYTHON@}" VIRTUAL_ENV
