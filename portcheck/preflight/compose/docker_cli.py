"""What `docker compose config` makes of the files, where it is there: Compose's own resolving.

Nothing is started or fetched: `config` does not talk to the engine, and remote includes are switched off.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from subprocess import CompletedProcess
    from typing import Any

TIMEOUT = 10.0  # seconds; it takes 0.1 s on a small project
_OFFLINE = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false"}


class ComposeFailedError(Exception):
    """`docker compose` is there and gave no answer; the text says why, in one line."""


def resolved(files: tuple[Path, ...], environment: Mapping[str, str]) -> dict[str, Any] | None:
    """The services as Compose resolves them, those of every profile; None where there is no `docker compose`.

    Runs in the directory of the first file, which is where Compose finds `.env`.  Raises ComposeFailedError.
    """
    import json
    import shutil

    docker = shutil.which("docker", path=environment.get("PATH"))
    if not docker:
        return None
    named = [word for file in files for word in ("--file", str(file.absolute()))]
    directory = files[0].absolute().parent
    command = [docker, "compose", *named, "--profile", "*", "config", "--format", "json"]
    done = _run(command, directory, environment)
    if done.returncode:
        # Docker without its plugin fails with the same statuses as Compose on a bad file: ask which it was.
        if _run([docker, "compose", "version"], directory, environment).returncode:
            return None
        raise ComposeFailedError(_last_line(done.stderr) or f"it ended with status {done.returncode}")
    try:
        services = json.loads(done.stdout)["services"]
        return {name: dict(service) for name, service in services.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ComposeFailedError("its answer is not the JSON that was asked for") from None


def _run(command: list[str], directory: Path, environment: Mapping[str, str]) -> CompletedProcess[bytes]:
    import subprocess

    try:
        return subprocess.run(
            command,
            cwd=directory,
            env={**environment, **_OFFLINE},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ComposeFailedError(f"no answer within {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise ComposeFailedError(f"it cannot be run: {error.strerror}") from None


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
