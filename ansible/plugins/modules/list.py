#!/usr/bin/python
# Copyright: the portcheck authors
# MIT License (https://opensource.org/licenses/MIT)
"""What `portcheck list` is to a playbook; plugins/action/list.py does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: list
short_description: Every listening or bound socket of a host with its owners, as facts
version_added: 0.1.0
description:
  - Sets the fact C(portcheck), with what netstat, ss and lsof are used for. Every socket that holds a port, with its
    processes, users, services and containers.
extends_documentation_fragment:
  - whyport.portcheck.options
options:
  targets:
    description: Only these, all unless named. Every form of a target, or a part of a program's name.
    type: list
    elements: str
    default: []
  protocol:
    description: TCP or UDP only.
    type: str
    choices: [tcp, udp]
  family:
    description: IPv4 or IPv6 only.
    type: str
    choices: [ipv4, ipv6]
  user:
    description: Only sockets of this user, a name or a number.
    type: str
  connections:
    description: Connections too, not just what listens or is bound.
    type: bool
    default: false
attributes:
  facts:
    description: Whether it returns facts.
    support: full
seealso:
  - module: whyport.portcheck.check
  - module: community.general.listen_ports_facts
"""

EXAMPLES = r"""
- name: Who listens
  whyport.portcheck.list:

- name: Every port that is open to the network
  ansible.builtin.debug:
    msg: "{{ ansible_facts.portcheck.sockets | rejectattr('local_address', 'in', ['127.0.0.1', '::1'])
      | map(attribute='local_port') | unique | sort }}"
"""

RETURN = r"""
ansible_facts:
  description: What a host's ports are held by.
  returned: always
  type: dict
  contains:
    portcheck:
      description: As C(portcheck list --json) prints it.
      type: dict
      contains:
        complete:
          description: Whether everything could be seen. Only root sees other users' processes.
          type: bool
        blind_spots:
          description: What could not be seen, and what would help.
          type: list
          elements: dict
        sockets:
          description: Each with address, port, state, user and the PIDs that hold it.
          type: list
          elements: dict
        owners:
          description: Who holds them; C(sockets) are indexes into the sockets.
          type: list
          elements: dict
        schema_version:
          description: Of the document.
          type: int
"""
