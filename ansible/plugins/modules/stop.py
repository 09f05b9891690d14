#!/usr/bin/python
# Copyright: the portcheck authors
# MIT License (https://opensource.org/licenses/MIT)
"""What `portcheck stop` is to a playbook; plugins/action/stop.py does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stop
short_description: Free a port of the host safely, and say truly whether it is free now
version_added: 0.1.0
description:
  - Ends whoever holds the port the way that lasts, a service by its manager, a container by its engine, a process by
    a signal, and watches whether it comes back.
  - In check mode nothing is ended, and the plan is returned.
  - Refuses what it cannot do safely, such as to end several programs that have nothing to do with each other (O(all)).
extends_documentation_fragment:
  - whyport.portcheck.options
  - whyport.portcheck.options.where
  - whyport.portcheck.options.family
options:
  targets:
    description: Which ports to free, as in M(whyport.portcheck.check). Without them, all that O(pid) holds.
    type: list
    elements: str
  pid:
    description: End only this holder.
    type: int
  all:
    description: End every holder, even unrelated ones.
    type: bool
    default: false
  force:
    description: SIGKILL for what has not ended in time.
    type: bool
    default: false
  timeout:
    description: How many seconds it may take, 10 unless named, for a service or a container 100.
    type: float
  settle:
    description: How many seconds to watch whether it comes back.
    type: float
    default: 2
seealso:
  - module: ansible.builtin.service
"""

EXAMPLES = r"""
- name: Free the port of the old server
  whyport.portcheck.stop:
    targets: 3000

- name: What would be ended, and how
  whyport.portcheck.stop:
    targets: 3000
  check_mode: true
  register: stopped
"""

RETURN = r"""
results:
  description: One for each port, as in C(portcheck stop --json).
  returned: always
  type: list
  elements: dict
  contains:
    outcome:
      description: V(free), V(already-free), V(planned) in check mode, or why it is not free.
      type: str
      sample: free
    message:
      description: One sentence.
      type: str
    plan:
      description: The steps, with every process that ends by them and the other ports that it serves.
      type: list
      elements: dict
    before:
      description: The whole answer before.
      type: dict
    after:
      description: The whole answer afterwards, where something was done.
      type: dict
complete:
  description: Whether everything could be seen that could change an answer.
  returned: always
  type: bool
schema_version:
  description: Of the document.
  returned: always
  type: int
"""
