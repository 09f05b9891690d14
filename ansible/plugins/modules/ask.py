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

if sys.version_info < OLDEST:
    sys.stdout.write(
        '{"failed": true, "msg": "portcheck needs Python %d.%d or later on the host, and %s is Python %d.%d: name '
        'another one in ansible_python_interpreter"}\n' % (OLDEST + (sys.executable,) + tuple(sys.version_info[:2]))
    )
    sys.exit(1)

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
import subprocess
import tempfile

ONE_FILE = """
"""
OWNER_BRIEFLY = ("pid", "name", "user", "role", "service", "container", "confirmed")
LEFT_OUT_BRIEFLY = ("binds", "sockets", "answers", "advice", "connections", "notes")


def main():
    """Asks, and tells the answer as a module does."""
    arguments = json.loads(ASKED)
    question = json.loads(base64.b64decode(arguments["question"]))
    descriptor = in_memory(base64.b64decode(ONE_FILE))
    directory = None
    try:
        if descriptor is None or question["files"]:
            directory = tempfile.mkdtemp(prefix="portcheck-", dir=temporary(arguments))
        for name, text in question["files"].items():
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(text)
        program = "/proc/self/fd/%d" % descriptor if descriptor is not None else written(directory)
        answer = ask([sys.executable, "-I", "-S", program, *question["line"]], descriptor, directory)
    except OSError as error:
        answer = {"failed": True, "msg": "portcheck cannot run here: %s" % error}
    finally:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
    if question["brief"] and answer.get("document"):
        answer["document"]["results"] = [brief(result) for result in answer["document"]["results"]]
    sys.stdout.write(json.dumps(answer) + "\n")


def temporary(arguments):
    """Ansible's own place for temporary files, or the one that this module's file lies in."""
    given = arguments.get("_ansible_tmpdir")
    if given:
        return given
    place = os.path.expandvars(os.path.expanduser(arguments["_ansible_remote_tmp"]))
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
    except OSError:  # a home that cannot be written
        return None
    return place


def in_memory(data):
    """A descriptor of a file that is gone when nobody has it open: whatever ends this, nothing is left."""
    if not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):
        return None
    descriptor = os.memfd_create("portcheck.pyz")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    return descriptor


def written(directory):
    """The path of the file where there is no such memory."""
    path = os.path.join(directory, "portcheck.pyz")
    with open(path, "wb") as file:
        file.write(base64.b64decode(ONE_FILE))
    return path


def ask(argv, descriptor, directory):
    """What portcheck answers; it is ended when nobody is there any more to take the answer."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=directory,
        env=dict(os.environ, PORTCHECK_CALLED_AS="portcheck", PYTHONDONTWRITEBYTECODE="1"),
        pass_fds=() if descriptor is None else (descriptor,),
    )
    out, err = communicate(process)
    try:
        return {"rc": process.returncode, "document": json.loads(out)}
    except ValueError:
        return {"rc": process.returncode, "said": err.decode("utf-8", "replace") or out.decode("utf-8", "replace")}


def communicate(process):
    """Both outputs to their end."""
    pipes = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    poll = select.poll()
    poll.register(sys.stdout, 0)  # nothing but that it is gone, which is always told
    for pipe in pipes:
        poll.register(pipe, select.POLLIN)
    reading = set(pipes)
    while reading:
        for descriptor, _ in poll.poll():
            data = os.read(descriptor, 1 << 16) if descriptor in pipes else b""
            if data:
                pipes[descriptor].append(data)
                continue
            poll.unregister(descriptor)
            reading.discard(descriptor)
            if descriptor not in pipes:
                process.send_signal(signal.SIGTERM)
    process.wait()
    return [b"".join(chunks) for chunks in pipes.values()]


def brief(result):
    """A result without what takes nine tenths of it."""
    kept = {key: value for key, value in result.items() if key not in LEFT_OUT_BRIEFLY}
    kept["owners"] = [{key: owner.get(key) for key in OWNER_BRIEFLY} for owner in result["owners"]]
    return kept


if __name__ == "__main__":
    main()
