"""One question to portcheck on a host, and what its answer means for a task: what the action plugins have in common.

They run on the controller.  The host gets the module `ask`, with the one file in it, and a command line.
"""

from __future__ import annotations

import base64
import json

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from .escape import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Document = dict[str, Any]

SAID_AT_MOST = 5  # sentences in one message; the document has them all

# What several modules are asked for.  Their documentation is in plugins/doc_fragments/options.py.
TARGETS = {"type": "list", "elements": "str"}
WHERE = {
    "hosts": {"type": "list", "elements": "str", "default": []},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
}
FAMILY = {"family": {"type": "str", "choices": ["ipv4", "ipv6"]}}
SERVER = {"server": {"type": "str"}, "reuseaddr": {"type": "bool", "default": True}}
PROBE = {"probe": {"type": "bool", "default": True}}
FAIL = {"fail": {"type": "bool", "default": True}}

# Of an option that is true, of one that is false, and of one that has a value: its place on the command line.
IF_TRUE = {"any": "--any", "all": "--all", "force": "--force", "fail_fast": "--fail-fast", "connect": "--connect"}
IF_TRUE |= {"only": "--only", "connections": "--all", "allow_outside": "--allow-outside", "strict": "--strict"}
IF_FALSE = {"reuseaddr": "--no-reuseaddr", "probe": "--no-probe", "docker": "--no-docker"}
IF_GIVEN = {"server": "--as", "user": "--user", "pid": "--pid", "timeout": "--timeout", "stable": "--stable"}
IF_GIVEN |= {"settle": "--settle"}
WORDS = {"udp": "--udp", "ipv4": "-4", "ipv6": "-6"}


class Asking(ActionBase):
    """A task that asks one question.  What differs is in `SPEC`, `options`, `result` and `failure`."""

    COMMAND = ""
    SPEC: Mapping[str, Any] = {}
    RULES: Mapping[str, Any] = {}  # such as mutually_exclusive
    MODULE = "ask"
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = True

    def run(self, tmp: object = None, task_vars: Document | None = None) -> Document:
        """The result of the task."""
        super().run(tmp, task_vars)
        asked = self.validate_argument_spec(argument_spec=dict(self.SPEC), **self.RULES)[1]
        question = {
            "line": [self.COMMAND, *self.options(asked), *self.operands(asked)],
            "files": self.files(asked),
            "brief": asked.get("detail") == "brief",
        }
        try:
            answer = self._execute_module(
                f"{COLLECTION}.{self.MODULE}", {"question": packed(question)}, task_vars=task_vars
            )
        except AnsibleError as error:
            reason = reason_of(str(error))
            if reason is None:
                raise
            return {"failed": True, "msg": reason}
        if not {"document", "said"} & answer.keys():
            return without_answer(answer)
        if "said" in answer:
            return {"failed": True, "msg": one_line(answer["said"]), "rc": answer["rc"]}
        return self.result(asked, answer["rc"], answer["document"])

    def options(self, asked: Document) -> list[str]:
        """The options on portcheck's command line."""
        return ["--json", *options(asked)]

    def operands(self, asked: Document) -> Sequence[str]:
        """What is asked about.  A target may begin with a dash, and what follows `--` is a command to `wait`."""
        return [f"--port={target}" for target in asked.get("targets") or ()]

    def files(self, asked: Document) -> Mapping[str, str]:
        """Files that lie in the directory where portcheck is started, by their names."""
        return {}

    def result(self, asked: Document, code: int, document: Document) -> Document:
        """The result of the task, for an answer."""
        failure = self.failure(asked, code, document)
        result = {"changed": False, **document}
        if failure is not None and asked.get("fail", True):
            result.update(failed=True, msg=failure)
        return result

    def failure(self, asked: Document, code: int, document: Document) -> str | None:
        """Why the answer is not the good one."""
        raise NotImplementedError


def options(asked: Document) -> list[str]:
    """What the options of a task are on portcheck's command line."""
    line = [f"--host={host}" for host in asked.get("hosts") or ()]
    line += [WORDS[asked[name]] for name in ("protocol", "family") if asked.get(name) in WORDS]
    line += [option for name, option in IF_TRUE.items() if asked.get(name)]
    line += [option for name, option in IF_FALSE.items() if asked.get(name) is False]
    line += [f"{option}={asked[name]}" for name, option in IF_GIVEN.items() if asked.get(name) is not None]
    return line


def packed(question: Document) -> str:
    """A question in letters that mean nothing to any shell or language."""
    return base64.b64encode(json.dumps(question).encode()).decode("ascii")


def without_answer(answer: Document) -> Document:
    """The result of a task whose host could not be asked: in one line, what Ansible tells in a traceback."""
    said = one_line("\n".join(str(answer.get(key) or "") for key in ("module_stderr", "module_stdout")).strip())
    reason = reason_of(said)
    if reason is None and answer.get("rc") in CANNOT_RUN:
        reason = f"there is no Python that runs on the host ({said}); name one in ansible_python_interpreter"
    return answer if reason is None else {**answer, "msg": reason}


def reason_of(said: str) -> str | None:
    """What keeps portcheck from being sent, in a sentence, where that is known."""
    return next((reason for word, reason in REASONS.items() if word in said), None)


CANNOT_RUN = (126, 127)  # a shell's own words for a program that is not there, or that cannot be started
REASONS = {
    "No space left on device": "no space is left for temporary files on the host; with pipelining none are needed",
    "Failed to create temporary directory": "there is no place for temporary files on the host; with pipelining none "
    "are needed, and remote_tmp names another one",
}


def sentences(results: Sequence[Document]) -> str:
    """What results say, in one message."""
    said = [named(result) for result in results[:SAID_AT_MOST]]
    if len(results) > SAID_AT_MOST:
        said.append(f"And {len(results) - SAID_AT_MOST} more.")
    return " ".join(said)


def named(result: Document) -> str:
    """A sentence about a port, with the name under which it is declared."""
    name = result.get("service")
    return visible(f"{name}: {result['message']}" if name else result["message"])


def one_line(text: str) -> str:
    """Strangers' text of several lines, made harmless."""
    return "; ".join(visible(line.strip()) for line in text.splitlines())


COLLECTION = "whyport.portcheck"
