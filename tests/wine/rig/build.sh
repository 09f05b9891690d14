#!/bin/bash
# Makes a Wine prefix with Windows CPython 3.11, from Debian's and PyPI's packages only.
#
#   build.sh PREFIX PYTHON     PYTHON: this machine's CPython 3.11, for pip and for the stdlib's pure-Python part
#
# Result: C:\Python311 with pip, psutil, rich and typer (the real win_amd64 wheels), C:\holders with Service.exe.
# Needs Debian's wine, gcc-mingw-w64-x86-64 and unzip.
set -euo pipefail

WINEPREFIX=$1 HOST_PYTHON=$2
RECIPE=$(cd "$(dirname "$0")" && pwd)
DRIVE_C=$WINEPREFIX/drive_c
WINDOWS_PYTHON=$DRIVE_C/Python311
SITE=$WINDOWS_PYTHON/Lib/site-packages
SCRATCH=$WINEPREFIX/scratch
CC=(x86_64-w64-mingw32-gcc -O2 -s -Wall -Wextra)

# PyPI has no CPython for Windows as such, but panda3d's wheel carries python.org's own python311.dll and standard
# extension modules in deploy_libs/.  The hash pins them: 3.11.9.
PANDA3D='panda3d==1.10.16 --hash=sha256:37acfb92655c4226879f95c988e2ef1449a53c54486d6c1ebc00e2772429af82'

say() { printf '[%3ds] %s\n' "$SECONDS" "$*"; }

make_prefix() {
    say 'Wine prefix'
    HOME=$SCRATCH/nobody wineboot --init
    # Debian's Wine 8 says Windows 7 unless told
    wine 'C:\windows\system32\reg.exe' add 'HKCU\Software\Wine' /v Version /d win10 /f
}

add_python() {
    say "python.org's python311.dll and extension modules"
    echo "$PANDA3D" >"$SCRATCH/panda3d.txt"
    "$HOST_PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --platform win_amd64 --python-version 3.11 \
        --require-hashes --dest "$SCRATCH" --requirement "$SCRATCH/panda3d.txt"
    mkdir -p "$SITE"
    unzip -q -j "$SCRATCH"/panda3d-*.whl 'deploy_libs/*' -x '*/tcl*' '*/tk*' '*/_tkinter*' -d "$WINDOWS_PYTHON"

    say "the standard library's Python files, from $HOST_PYTHON"
    local stdlib
    stdlib=$("$HOST_PYTHON" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    # Debian's has its own sitecustomize.py, and EXTERNALLY-MANAGED, which stops pip
    tar -C "$stdlib" --exclude={site-packages,dist-packages,lib-dynload,test,idlelib,tkinter,ensurepip,__pycache__} \
        --exclude={'config-*','_sysconfigdata*',sitecustomize.py,EXTERNALLY-MANAGED} -cf - . |
        tar -C "$WINDOWS_PYTHON/Lib" --no-same-owner -xf -
    cp "$RECIPE/sitecustomize.py" "$SITE"
}

add_programs() {
    say 'python.exe, Service.exe, and the DLLs and programs that Wine lacks'
    local dll=$WINDOWS_PYTHON/python311.dll holders=$DRIVE_C/holders
    "$HOST_PYTHON" "$RECIPE/pe_exports.py" "$dll" >"$SCRATCH/python311.def"
    x86_64-w64-mingw32-dlltool -d "$SCRATCH/python311.def" -l "$SCRATCH/libpython311.a"
    "${CC[@]}" -municode -o "$WINDOWS_PYTHON/python.exe" "$RECIPE/python.c" "$SCRATCH/libpython311.a"
    "$HOST_PYTHON" "$RECIPE/pe_exports.py" "$dll" --forward-from python3.dll >"$SCRATCH/python3.def"
    "${CC[@]}" -shared -nostdlib -e 0 -o "$WINDOWS_PYTHON/python3.dll" -x c /dev/null -x none "$SCRATCH/python3.def"
    "${CC[@]}" -shared -o "$WINDOWS_PYTHON/bcryptprimitives.dll" "$RECIPE/bcryptprimitives.c" -ladvapi32
    "${CC[@]}" -o "$SCRATCH/netsh.exe" "$RECIPE/netsh.c"
    cp --remove-destination "$SCRATCH/netsh.exe" "$DRIVE_C/windows/system32/netsh.exe"
    mkdir "$holders"
    "${CC[@]}" -o "$holders/Service.exe" "$RECIPE/service.c" -lws2_32 -ladvapi32
    cp "$holders/Service.exe" "$holders/svchost.exe"
}

add_packages() {
    say 'pip, psutil, rich and typer, installed by Windows Python itself (its own environment markers)'
    "$HOST_PYTHON" -m pip install --quiet --no-deps --target "$SITE" pip
    wine 'C:\Python311\python.exe' -m pip install --quiet --only-binary=:all: --no-warn-script-location psutil rich typer
}

main() {
    mkdir -p "$SCRATCH"
    cd "$SCRATCH" # dlltool leaves a file for each of a thousand names where it runs, for a while
    source "$RECIPE/environment.sh"
    make_prefix
    add_python
    add_programs
    add_packages
    wineserver --wait
    rm -rf "$SCRATCH"
    say 'done'
}

# Wine's Python refuses regular files and /dev/null as standard streams (WinError 6): pipes
: | main 2>&1 | cat
