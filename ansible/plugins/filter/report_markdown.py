"""The report of a fleet's ports, as Markdown."""

from __future__ import annotations

from ..plugin_utils.page import markdown
from ..plugin_utils.report import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

DOCUMENTATION = r"""
name: report_markdown
short_description: The ports of many hosts as Markdown
version_added: 0.1.0
author:
  - The portcheck authors (@portcheck)
description:
  - A matrix of hosts and ports, worst first, with what could not be asked, and why.
  - The role P(whyport.portcheck.report#role) writes it into a file.
positional: _input
options:
  _input:
    description: By the hosts' names what they answered, registered from check, preflight or verify.
    type: dict
    required: true
  title:
    description: What stands above it.
    type: str
    default: Ports
  subtitle:
    description: What stands below that, such as when it was asked.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: A report of two hosts
  ansible.builtin.copy:
    content: "{{ answers | whyport.portcheck.report_markdown }}"
    dest: "{{ playbook_dir }}/ports"
    mode: "0644"
  vars:
    answers:
      web-1: "{{ hostvars['web-1'].ports }}"
      web-2: "{{ hostvars['web-2'].ports }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
_value:
  description: The report.
  type: str
"""


def report_markdown(answers: Mapping[str, Any], title: str = "Ports", subtitle: str = "") -> str:
    """What is documented above."""
    return markdown(report(answers), title=title, subtitle=subtitle)


class FilterModule:
    """The filter, by its name."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """What Ansible asks for."""
        return {"report_markdown": report_markdown}
