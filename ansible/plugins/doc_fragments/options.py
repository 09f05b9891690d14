"""What several modules take, documented once."""

from __future__ import annotations


class ModuleDocFragment:
    """Each name below is a fragment: whyport.portcheck.options.where and so on."""

    DOCUMENTATION = r"""
requirements:
  - Python 3.9 or later on the host, and nothing else; nothing is installed there.
attributes:
  check_mode:
    description: Whether it can be run in check mode.
    support: full
  diff_mode:
    description: Whether it tells differences in diff mode.
    support: none
  async:
    description: Whether it can be run with C(async).
    support: none
  platform:
    description: The systems that it was run on.
    support: full
    platforms: linux
options: {}
author:
  - The portcheck authors (@portcheck)
"""

    WHERE = r"""
options:
  hosts:
    description:
      - Ask about these addresses, interfaces or host names of the host only, such as V(127.0.0.1) or V(eth0).
      - Every address that a server could be given there, unless named.
    type: list
    elements: str
    default: []
  protocol:
    description: The protocol of targets that do not name it themselves (V(53/udp)).
    type: str
    choices: [tcp, udp]
    default: tcp
"""

    FAMILY = r"""
options:
  family:
    description: IPv4 or IPv6 only.
    type: str
    choices: [ipv4, ipv6]
"""

    SERVER = r"""
options:
  server:
    description: Ask as this server binds, such as V(nginx), V(node) or V(postgres).
    type: str
  reuseaddr:
    description: Whether the server is going to set SO_REUSEADDR, as nearly all do.
    type: bool
    default: true
"""

    PROBE = r"""
options:
  probe:
    description:
      - Whether a bind is tried, which is neither a connection nor a server.
      - Without it only the kernel's tables are read.
    type: bool
    default: true
"""

    FAIL = r"""
options:
  fail:
    description:
      - Whether the task fails where the answer is not the good one. Without it the answer is only registered.
      - A question that cannot be understood, or a host that cannot answer, fails all the same.
    type: bool
    default: true
"""

    DECLARED = r"""
options:
  ports:
    description:
      - The declaration itself, by names; each is a port, a target such as V(53/udp), a list of these, or a table with
        C(port), C(host), C(protocol), C(profile) and C(fallback), and with who is to listen there (C(process), C(user),
        C(service), C(container), C(optional)).
      - It is what C([ports]) in C(portcheck.toml) holds.
    type: dict
  project:
    description: A directory on the host; every file in it that declares ports is read.
    type: str
  files:
    description: Only these files on the host.
    type: list
    elements: str
  docker:
    description: Let C(docker compose config) resolve Compose files, where it is installed.
    type: bool
    default: true
  allow_outside:
    description: Follow links and includes that leave the project.
    type: bool
    default: false
  strict:
    description: Take what was left open, such as a variable without a value, for a port that could not be told.
    type: bool
    default: false
"""
