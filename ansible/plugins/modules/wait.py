#!/usr/bin/python
# Copyright: the portcheck authors
# MIT License (https://opensource.org/licenses/MIT)
"""What `portcheck wait` is to a playbook; plugins/action/wait.py does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wait
short_description: Until a server listens on a port of the host, or until one could be started there
version_added: 0.1.0
description:
  - Waits on the host for its own ports, without connecting to them. For a port to be free it asks what a server would
    ask, so that a start right after it does not fail.
  - In check mode it looks once, and fails for nothing but a question that cannot be understood.
extends_documentation_fragment:
  - whyport.portcheck.options
  - whyport.portcheck.options.where
  - whyport.portcheck.options.server
  - whyport.portcheck.options.probe
options:
  targets:
    description: What to wait for, as in M(whyport.portcheck.check).
    type: list
    elements: str
    required: true
  until:
    description: Until a server is V(listening), or until one could be started there (V(free)).
    type: str
    choices: [listening, free]
    default: listening
  any:
    description: Whether one of the targets is enough.
    type: bool
    default: false
  timeout:
    description: How many seconds at most.
    type: float
    default: 30
  stable:
    description: How many seconds it has to last without a gap.
    type: float
    default: 0
  fail_fast:
    description: With O(until=free), give up as soon as waiting cannot help, as where a service holds the port.
    type: bool
    default: false
  connect:
    description: Connect to find out whether it listens. Targets on other machines are always connected to.
    type: bool
    default: false
seealso:
  - module: ansible.builtin.wait_for
"""

EXAMPLES = r"""
- name: Until the database listens
  whyport.portcheck.wait:
    targets: 5432
    timeout: 60

- name: Until the old server has let go
  whyport.portcheck.wait:
    targets: [80, 443]
    until: free
    fail_fast: true
"""

RETURN = r"""
outcome:
  description: V(met), V(timeout), or V(hopeless) with O(fail_fast).
  returned: always
  type: str
  sample: met
seconds:
  description: How long it took.
  returned: always
  type: float
condition:
  description: What was waited for, V(listening) or V(free).
  returned: always
  type: str
targets:
  description: How each stood at the end, as in C(portcheck wait --json).
  returned: always
  type: list
  elements: dict
complete:
  description: Whether everything could be seen that could change an answer.
  returned: always
  type: bool
schema_version:
  description: Of the document.
  returned: always
  type: int
"""
