#!/usr/bin/python
# Copyright: the portcheck authors
# MIT License (https://opensource.org/licenses/MIT)
"""What `portcheck verify` is to a playbook; plugins/action/verify.py does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify
short_description: Does everything that is declared run as it is declared, and nothing else
version_added: 0.1.0
description:
  - After a deployment. Holds the same declaration against what runs. Does somebody listen on every declared port, on
    the declared addresses, and is it who it is to be.
  - The declaration stands in the playbook (O(ports)), or in files on the host (O(project), O(files)).
extends_documentation_fragment:
  - whyport.portcheck.options
  - whyport.portcheck.options.declared
  - whyport.portcheck.options.fail
options:
  allow:
    description: With O(ports), targets on which somebody may listen besides, for O(only).
    type: list
    elements: str
  only:
    description: Whether nobody else may be reached from outside the host.
    type: bool
    default: false
seealso:
  - module: whyport.portcheck.preflight
  - module: whyport.portcheck.wait
"""

EXAMPLES = r"""
- name: The deployment runs as declared
  whyport.portcheck.verify:
    ports:
      web: {port: 80, service: nginx.service}
      db: {port: 5432, host: 127.0.0.1, user: postgres}

- name: And nobody else can be reached
  whyport.portcheck.verify:
    ports:
      web: 80
    allow: [22]
    only: true
"""

RETURN = r"""
complete:
  description: Whether everything could be resolved and seen.
  returned: always
  type: bool
declared:
  description: One for each declared port, as in C(portcheck verify --json).
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The declared name.
      type: str
    ok:
      description: Whether all is as declared; none where that could not be told.
      type: bool
    status:
      description: V(as-declared), V(not-running), V(not-listening), V(differs) or V(unknown).
      type: str
    faults:
      description: What is not as declared.
      type: list
      elements: dict
    found:
      description: What M(whyport.portcheck.check) says of the port.
      type: dict
undeclared:
  description: Sockets on which somebody else can be reached from outside.
  returned: always
  type: list
  elements: dict
files:
  description: What was read.
  returned: always
  type: list
  elements: str
blind_spots:
  description: What could not be resolved or seen.
  returned: always
  type: list
  elements: dict
schema_version:
  description: Of the document.
  returned: always
  type: int
"""
