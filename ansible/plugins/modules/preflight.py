#!/usr/bin/python
# Copyright: the portcheck authors
# MIT License (https://opensource.org/licenses/MIT)
"""What `portcheck preflight` is to a playbook; plugins/action/preflight.py does it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Could everything that is declared be started on this host
version_added: 0.1.0
description:
  - Before a deployment. Asks of every declared port whether its server could be started on the host now, or runs there
    already, and finds two services that want the same port.
  - The declaration stands in the playbook (O(ports)), or in files on the host (O(project), O(files)). Compose files,
    .env, Procfile, devcontainer.json, portcheck.toml and pyproject.toml.
extends_documentation_fragment:
  - whyport.portcheck.options
  - whyport.portcheck.options.declared
  - whyport.portcheck.options.probe
  - whyport.portcheck.options.fail
seealso:
  - module: whyport.portcheck.verify
  - module: whyport.portcheck.check
"""

EXAMPLES = r"""
- name: Could these be started
  whyport.portcheck.preflight:
    ports:
      web: 80
      dns: 53/udp
      api: {port: 8001, host: 127.0.0.1, fallback: ["8002-8010"]}

- name: Could the project that was copied there be started
  whyport.portcheck.preflight:
    project: /srv/shop
"""

RETURN = r"""
complete:
  description: Whether everything could be resolved and seen.
  returned: always
  type: bool
files:
  description: What was read.
  returned: always
  type: list
  elements: str
results:
  description: One for each declared port, as in C(portcheck preflight --json).
  returned: always
  type: list
  elements: dict
  contains:
    status:
      description: A verdict, or V(running), V(fallback) or V(declared-twice).
      type: str
    service:
      description: The declared name.
      type: str
    message:
      description: One sentence about the port.
      type: str
blind_spots:
  description: What could not be resolved, with its place.
  returned: always
  type: list
  elements: dict
disabled:
  description: What was declared and not asked about, such as Compose services whose profiles are off.
  returned: always
  type: list
  elements: dict
schema_version:
  description: Of the document.
  returned: always
  type: int
"""
