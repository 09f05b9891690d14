# Sourced by the other scripts: makes a virtual environment for this checkout, once, from nothing but a Python >= 3.11.
# Everything it has to say goes to stderr, so that stdout stays the command's own.

environment_fail() {
    printf 'portcheck: %s\n' "$1" >&2
    exit 70
}

# environment_python: prints the first Python that is new enough
environment_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# environment_create DIR: an empty virtual environment with pip in it
environment_create() {
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --clear --seed --python '>=3.11' "$1" >&2 && return
    fi
    python=$(environment_python) ||
        environment_fail "Python 3.11 or later is needed, and none was found; install it, or uv (https://docs.astral.sh/uv/)"
    rm -rf "$1"
    "$python" -m venv "$1" >/dev/null 2>&1 && [ -x "$1/bin/pip" ] && return
    rm -rf "$1"
    environment_fail "$python cannot make virtual environments; install its venv module (Debian: apt install python3-venv) or uv"
}

# environment DIR EXTRAS: an environment with this checkout installed; made again when pyproject.toml has changed
environment() {
    stamp="$(cksum <"$checkout/pyproject.toml") $2 $checkout"
    [ "$(cat "$1/stamp" 2>/dev/null)" = "$stamp" ] && return
    mkdir -p "$(dirname "$1")"
    (
        # two scripts that start at once must not build the same environment together
        if command -v flock >/dev/null 2>&1; then flock 9; fi
        [ "$(cat "$1/stamp" 2>/dev/null)" = "$stamp" ] && exit
        echo "portcheck: setting up $1 (once)" >&2
        environment_create "$1"
        # The commands that an old pip installs import re, a tenth of a whole run; where this fails, the next line tells.
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip >/dev/null 2>&1 || true
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$checkout$2" >&2 ||
            environment_fail "pip could not install portcheck and what it needs (see above)"
        printf '%s\n' "$stamp" >"$1/stamp"
    ) 9>"$1.lock" || exit $?
}
