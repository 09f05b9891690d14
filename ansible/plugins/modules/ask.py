#!/usr/bin/python
# Copyright: the portcheck authors
# MIT License (https://opensource.org/licenses/MIT)
"""Runs one portcheck command line on a host, for the other modules; what it runs comes inside of it.

It is sent as it is, not in Ansible's usual wrapper, which takes longer to start than portcheck takes to answer.
Everything here has to be read by every Python, to say so if it is too old.
"""

DOCUMENTATION = r"""
module: ask
short_description: Runs one portcheck command line on a host, for the other modules
version_added: 0.1.0
description:
  - For the other modules of this collection, which say what to ask and what the answer means. Use those.
options:
  question:
    description: A command line, and what is to become of the answer.
    type: str
    required: true
author:
  - The portcheck authors (@portcheck)
"""

EXAMPLES = r"""
- name: Use the other modules
  whyport.portcheck.check:
    targets: [80, 443]
"""

RETURN = r"""
rc:
  description: The exit code.
  returned: always
  type: int
document:
  description: What portcheck printed.
  returned: where it answered
  type: dict
said:
  description: What it said instead.
  returned: where it did not answer
  type: str
"""

import sys

OLDEST = (3, 9)
ASKED = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""  # three quotes in a row are in no JSON document

# The directory that this was started in may be anybody's: nothing is imported from there.
for place in ("", "."):
    while place in sys.path:
        sys.path.remove(place)

import base64
import json
import os
import select
import shutil
import signal
import tempfile

ONE_FILE = """
"""
OWNER_BRIEFLY = ("pid", "name", "user", "role", "service", "container", "confirmed")
LEFT_OUT_BRIEFLY = ("binds", "sockets", "answers", "advice", "connections", "notes")


def main():
    """Asks, and tells the answer as a module does."""
    sys.stdout.write(json.dumps(answer() if sys.version_info >= OLDEST else TOO_OLD) + "\n")


TOO_OLD = {
    "failed": True,
    "msg": "portcheck needs Python %d.%d or later on the host, and %s is Python %d.%d: name another one in "
    "ansible_python_interpreter" % (OLDEST + (sys.executable,) + tuple(sys.version_info[:2])),
}


def answer():
    """What portcheck says to the question, or why it could not be asked."""
    arguments = json.loads(ASKED)
    question = json.loads(base64.b64decode(arguments["question"]))
    directory = None
    try:
        program = in_memory(base64.b64decode(ONE_FILE))
        if program is None or question["files"]:
            # Ansible's own place for temporary files; where it has made none, the system's, as its own modules do
            directory = tempfile.mkdtemp(prefix="portcheck-", dir=arguments.get("_ansible_tmpdir"))
            os.chdir(directory)
        for name, text in question["files"].items():
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        told = ask([sys.executable, "-I", "-S", program or written(directory)] + question["line"])
    except OSError as error:
        return {"failed": True, "msg": "portcheck cannot run here: %s" % error}
    finally:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
    if question["brief"] and "document" in told:
        told["document"]["results"] = [brief(result) for result in told["document"]["results"]]
    return told


def in_memory(data):
    """The path of a file that is gone when nobody has it open: whatever ends this, nothing is left."""
    if not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):
        return None
    descriptor = os.memfd_create("portcheck.pyz")
    os.set_inheritable(descriptor, True)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    return "/proc/self/fd/%d" % descriptor


def written(directory):
    """The path of the file where there is no such memory."""
    path = os.path.join(directory, "portcheck.pyz")
    with open(path, "wb") as file:
        file.write(base64.b64decode(ONE_FILE))
    return path


def ask(argv):
    """What a command line of portcheck answers; `subprocess` would take a tenth of the time to import."""
    environment = dict(os.environ, PORTCHECK_CALLED_AS="portcheck", PYTHONDONTWRITEBYTECODE="1")
    out, err = os.pipe(), os.pipe()
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, pipe[1], place) for place, pipe in ((1, out), (2, err))]
    process = os.posix_spawn(argv[0], argv, environment, file_actions=actions)
    for pipe in (out, err):
        os.close(pipe[1])
    said, complained = read([out[0], err[0]], process)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        return {"rc": code, "document": json.loads(said)}
    except ValueError:
        return {"rc": code, "said": (complained or said).decode("utf-8", "replace")}


def read(pipes, process):
    """What comes out of pipes, to their ends; ends the process when nobody is there any more to take the answer."""
    chunks = {pipe: [] for pipe in pipes}
    poll = select.poll()
    poll.register(sys.stdout, 0)  # nothing but that it is gone, which is always told
    for pipe in pipes:
        poll.register(pipe, select.POLLIN)
    open_pipes = set(pipes)
    while open_pipes:
        for descriptor in [event[0] for event in poll.poll()]:
            data = os.read(descriptor, 1 << 16) if descriptor in chunks else b""
            if data:
                chunks[descriptor].append(data)
                continue
            poll.unregister(descriptor)
            open_pipes.discard(descriptor)
            if descriptor not in chunks:
                os.kill(process, signal.SIGTERM)
    return [b"".join(chunks[pipe]) for pipe in pipes]


def brief(result):
    """A result without what takes nine tenths of it."""
    kept = {key: value for key, value in result.items() if key not in LEFT_OUT_BRIEFLY}
    kept["owners"] = [{key: owner.get(key) for key in OWNER_BRIEFLY} for owner in result["owners"]]
    return kept


if __name__ == "__main__" and ASKED[:1] == "{":  # not before it is sent: Ansible's checks run it as it lies here
    main()
