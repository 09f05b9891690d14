#!/usr/bin/python
# Copyright: the portcheck authors
# MIT License (https://opensource.org/licenses/MIT)
"""What `portcheck check` is to a playbook; plugins/action/check.py does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: check
short_description: Can a server listen on these ports; if not, who has them, and why
version_added: 0.1.0
description:
  - Asks of each port whether a server that is going to start could have it on the host, on every address that it could
    be given there.
  - Where it could not, tells who holds the port (process, user, service, container), why, and what to do now.
  - Nothing is changed, installed or left on the host. What could not be seen is told, and never taken for free.
extends_documentation_fragment:
  - whyport.portcheck.options
  - whyport.portcheck.options.where
  - whyport.portcheck.options.family
  - whyport.portcheck.options.server
  - whyport.portcheck.options.probe
  - whyport.portcheck.options.fail
options:
  targets:
    description:
      - What to ask about, all in one go. V(80), V(8000-8010), V(http), V(53/udp), V(127.0.0.1:80), V([::1]:80),
        V(*:80), V(localhost:80), V(eth0:80).
    type: list
    elements: str
    required: true
  detail:
    description:
      - V(full) is the whole document. V(brief) leaves out the table of binds, the sockets and the command lines, nine
        tenths of it, which counts for many ports on many hosts.
    type: str
    choices: [full, brief]
    default: full
seealso:
  - module: whyport.portcheck.preflight
  - module: whyport.portcheck.list
  - module: community.general.listen_ports_facts
"""

EXAMPLES = r"""
- name: Nobody may have the ports of the web server
  whyport.portcheck.check:
    targets: [80, 443]
    server: nginx

- name: Who has them, whoever it is
  whyport.portcheck.check:
    targets: ["5432", "53/udp", "127.0.0.1:8000-8010"]
    fail: false
  register: ports

- name: Tell it
  ansible.builtin.debug:
    msg: "{{ ports.results | rejectattr('verdict', 'eq', 'free') | map(attribute='message') }}"
"""

RETURN = r"""
verdict:
  description: The worst of all results. V(in-use), V(denied), V(unavailable), V(unknown) or V(free).
  returned: always
  type: str
  sample: in-use
complete:
  description: Whether everything could be seen that could change an answer.
  returned: always
  type: bool
results:
  description: One for each port, as in C(portcheck check --json).
  returned: always
  type: list
  elements: dict
  contains:
    target:
      description: What was asked about, as written.
      type: str
      sample: "80"
    port:
      description: The port.
      type: int
      sample: 80
    protocol:
      description: V(tcp) or V(udp).
      type: str
      sample: tcp
    host:
      description: The address that was asked about; none stands for every one.
      type: str
    verdict:
      description: V(free), V(in-use), V(denied), V(unavailable) or V(unknown).
      type: str
      sample: in-use
    cause:
      description: What explains it best, such as V(listener), V(time-wait) or V(privileged).
      type: str
      sample: listener
    message:
      description: One sentence.
      type: str
      sample: "Port 80 is in use: nginx (PID 382) listens on every IPv4 address."
    complete:
      description: Whether everything could be seen that could change this answer.
      type: bool
    blind_spots:
      description: What could not be seen, and what would help.
      type: list
      elements: dict
    owners:
      description: Who has it, with process, user, service and container where they are known.
      type: list
      elements: dict
    binds:
      description: The outcome on each address (O(detail=full)).
      type: list
      elements: dict
    sockets:
      description: The sockets that explain it (O(detail=full)).
      type: list
      elements: dict
    advice:
      description: What to do now, with commands (O(detail=full)).
      type: list
      elements: dict
schema_version:
  description: Of the document.
  returned: always
  type: int
  sample: 1
"""
