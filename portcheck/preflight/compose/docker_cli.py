"""What `docker compose config` makes of the files, where it is there: Compose's own resolving.

Nothing is started or fetched: `config` does not talk to the engine, and remote includes are switched off.  The project
has no say in which docker that is, where it runs and what its environment is; what it complains of is not repeated,
because it quotes values.
"""

from __future__ import annotations

import os
import shutil

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from portcheck.observe.subprocesses import Answer
    from portcheck.preflight.files import Grounds

TIMEOUT = 10.0  # seconds; it takes 0.1 s on a small project
_OFFLINE = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false"}


class ComposeFailedError(Exception):
    """`docker compose` is there and gave no answer; the text says why, in one line of our own words."""


def resolved(files: tuple[Path, ...], environment: Mapping[str, str], grounds: Grounds) -> dict[str, Any] | None:
    """The services as Compose resolves them, those of every profile; None where there is no `docker compose`.

    The project's directory is that of the first file, which is where Compose finds `.env`.  Raises ComposeFailedError.
    """
    import json

    folders = [folder for folder in environment.get("PATH", "").split(os.pathsep) if _is_trusted(folder, grounds)]
    docker = _docker(folders, grounds)
    if not docker:
        return None
    named = [word for file in files for word in ("--file", os.path.abspath(file))]
    directory = os.path.dirname(os.path.abspath(files[0]))
    outside = {**environment, **_OFFLINE, "PATH": os.pathsep.join(folders)}
    if own := environment.get("COMPOSE_ENV_FILES"):  # of the user, in the project's directory as we read them
        outside["COMPOSE_ENV_FILES"] = ",".join(os.path.join(directory, name or ".env") for name in own.split(","))
    command = (docker, "compose", "--project-directory", directory, *named, "--profile", "*")
    done = _run((*command, "config", "--format", "json"), outside)
    if not done.ok:
        # Docker without its plugin fails with the same statuses as Compose on a bad file: ask which it was.
        if not _run((docker, "compose", "version"), outside).ok:
            return None
        raise ComposeFailedError("it refuses the files; run it to see why")
    try:
        services = json.loads(done.out)["services"]
        return {name: dict(service) for name, service in services.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ComposeFailedError("its answer is not the JSON that was asked for") from None


def _is_trusted(folder: str, grounds: Grounds) -> bool:
    """An absolute place outside of the project: what lies in the project is its author's."""
    return os.path.isabs(folder) and not grounds.hold(folder)


def _docker(folders: list[str], grounds: Grounds) -> str | None:
    # Each by its whole name: Windows would look into the current directory first.
    found = filter(None, (shutil.which(os.path.join(folder, "docker")) for folder in folders))
    return next((docker for docker in found if not grounds.hold(docker)), None)


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> Answer:
    from portcheck.model import Hands
    from portcheck.observe.subprocesses import NoAnswerError, Patience, ask

    try:
        answer = ask(command, Patience(TIMEOUT), Hands(variables=tuple(environment.items())))
    except NoAnswerError as error:
        raise ComposeFailedError(f"it {error}") from None
    if answer.is_cut:
        raise ComposeFailedError("it writes more than is read")
    return answer
