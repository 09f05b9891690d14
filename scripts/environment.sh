# Sourced by the other scripts: makes a virtual environment for this checkout, once, from nothing but a Python.
# Everything it has to say goes to stderr, so that stdout stays the command's own.

environment_fail() {
    printf 'portcheck: %s\n' "$1" >&2
    exit 1
}

# environment_python MINOR: prints the first Python that is at least 3.MINOR; for one of a virtual environment, which may be
# the one that is about to be made again, the Python that it was made from
environment_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python}; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info < (3, $1))" >/dev/null 2>&1; then
            "$candidate" -c 'import sys; print(sys._base_executable)' 2>/dev/null || command -v "$candidate"
            return
        fi
    done
    return 1
}

# environment_create DIR MINOR: an empty virtual environment with pip in it
environment_create() {
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --clear --seed --python "${PYTHON:->=3.$2}" "$1" >&2 && return
    fi
    python=$(environment_python "$2") ||
        environment_fail "Python 3.$2 or later is needed, and none was found; install it, or uv (https://docs.astral.sh/uv/)"
    rm -rf "$1"
    "$python" -m venv "$1" >/dev/null 2>&1 && [ -x "$1/bin/pip" ] && return
    rm -rf "$1"
    environment_fail "$python cannot make virtual environments; install its venv module (Debian: apt install python3-venv) or uv"
}

# environment_pip DIR ARGUMENT...: pip install, which is heard only where it fails
environment_pip() {
    directory=$1
    shift
    said=$("$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$@" 2>&1) && return
    printf '%s\n' "$said" >&2
    environment_fail "pip could not install portcheck and what it needs (see above)"
}

# environment_uv DIR: pip's own word for the index and the certificates, in uv's variables
environment_uv() {
    index=${PIP_INDEX_URL:-$("$1/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    certificates=${PIP_CERT:-$("$1/bin/python" -m pip config get global.cert 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    [ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"
}

# environment DIR LOCK MINOR: an environment with what requirements/LOCK.txt names, in exactly these versions, and this
# checkout installed; made again when either has changed
environment() {
    lock=$checkout/requirements/$2.txt
    stamp="$(cat "$checkout/pyproject.toml" "$lock" | cksum) $checkout"
    [ "$(cat "$1/stamp" 2>/dev/null)" = "$stamp" ] && return
    mkdir -p "$(dirname "$1")"
    (
        # two scripts that start at once must not build the same environment together
        if command -v flock >/dev/null 2>&1; then flock 9; fi
        [ "$(cat "$1/stamp" 2>/dev/null)" = "$stamp" ] && exit
        echo "portcheck: setting up $1 (once)" >&2
        environment_create "$1" "$3"
        # pip is one of the packages: the commands that an old one installs import re, a tenth of a whole run
        environment_pip "$1" --no-deps --require-hashes --requirement "$lock"
        environment_pip "$1" --no-deps --no-build-isolation --editable "$checkout"
        printf '%s\n' "$stamp" >"$1/stamp"
    ) 9>"$1.lock" || exit $?
}
