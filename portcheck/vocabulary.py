"""The literal words of portcheck's answers: what the type checker knows, and what the JSON documents hold.

Nothing is translated on the way out.  At run time this module is empty, and nobody imports it.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    Protocol = Literal["tcp", "udp"]
    Family = Literal["ipv4", "ipv6"]
    # RFC 9293's names, and BOUND for a TCP socket that has a port but neither listens nor connects.
    State = Literal[
        "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
        "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT", "CLOSED", "BOUND",
    ]  # fmt: skip
    # What happens to one bind.
    Outcome = Literal["free", "in-use", "denied", "not-available", "unsupported", "unknown"]
    # The answer for a port, worst first.
    Verdict = Literal["in-use", "denied", "unavailable", "unknown", "free"]
    # The one reason that explains a verdict best.
    Cause = Literal[
        "listener", "bound", "connection", "closing", "time-wait", "udp-socket", "kernel",
        "privileged", "policy", "reserved", "address", "family",
    ]  # fmt: skip
    Method = Literal["probe", "rules"]
    # Where the clients are.
    Origin = Literal["outside", "here"]
    # Whose bind rules hold here.
    Platform = Literal["linux", "windows", "macos", "other"]

    # What a process is to the port.
    Role = Literal[
        "main",  # of a server with workers
        "worker",  # has its socket from its main process
        "proxy",  # a container engine's: it listens on behalf of a container
        "forwarder",  # a tunnel: what it forwards to is elsewhere
        "ide",  # an editor, for a forwarded port or an extension
        "super-server",  # inetd: it listens for several programs, and starts them for each connection
        "service manager",  # holds the socket of a service until that is started
        "kernel",  # Windows' "System": http.sys listens for others
    ]
    ServiceManager = Literal[
        "systemd",
        "systemd --user",
        "systemd in a container",
        "launchd",
        "macOS",  # a part of the system, turned off in its settings
        "windows",
        "windows, several in one process",
    ]
    # Of containers; "unknown" where a cgroup tells of a container and not whose it is.
    Engine = Literal["docker", "podman", "containerd", "cri-o", "kubernetes", "lxc", "systemd-nspawn", "unknown"]
    # What brings a program back when it ends, without being the system's service manager.
    Supervisor = Literal[
        "a shell loop", "air", "autossh", "cargo watch", "circus", "daemontools", "dinit", "entr", "forever",
        "monit",
        "node --watch", "node-dev", "nodemon", "OpenRC", "pm2", "reflex", "runit", "s6", "supervisord", "ts-node-dev",
        "watchexec", "watchmedo",
    ]  # fmt: skip
    Condition = Literal[
        "orphaned",  # what started it is gone
        "stopped",  # by a signal: Ctrl-Z
        "zombie-parent",
        "deleted-executable",  # its program file was replaced or deleted
        "ended",  # Windows: a child has inherited its socket
    ]

    # True and useful, but no part of the verdict.
    NoteCode = Literal[
        "queue-full",  # a listener's queue of connections is full
        "udp-holder",  # UDP has the same number, which is no conflict for TCP
        "reserved-from-ephemeral",  # Linux keeps outgoing connections away from this port; a server may bind it
        "ephemeral-range",  # an outgoing connection may take the port
        "unsafe-in-browsers",  # browsers refuse to connect to it
        "leased",  # another portcheck has handed it out a moment ago
        "not-leased",  # another portcheck may hand it out too
        "redirected",  # the packet filter or IPVS sends what arrives for the port past every socket
        "socket-lookup",  # a BPF program chooses the socket of each connection, whatever is bound
        "vrf",  # somebody listens on it inside a VRF
        "unowned-address",  # somebody listens on an address that this host does not have
        "other-namespace",  # somebody listens on it in another network namespace
        "rules-disagree",  # the kernel's answer is not what the rules predicted
        "falls-back",  # a server that is known (--as) starts without some of its addresses
        "holder-ended",  # Windows: the process has ended, a child keeps its socket open
        "psutil-alone",  # a system whose bind rules portcheck does not know
        "declared",  # what the file's own line says besides the port
        "not-its-container",  # a process of the project has the port, not the service's container
    ]
    # What could change the answer, and could not be seen.
    BlindSpotCode = Literal[
        "owner-hidden",  # the process that holds a socket cannot be seen
        "no-process",  # no process has the socket open
        "holder-not-seen",  # the kernel refuses a bind, and no socket explains it
        "no-bind-tried",  # a policy that forbids the bind does not show
        "probe-failed",  # a bind failed with an error that says nothing of the port
        "flags-unreadable",  # options of other sockets decide, which nobody can read
        "undecided",  # the socket table alone does not settle it
        "sockets-not-visible",  # there is no socket table to read
        "netlink-refused",  # the kernel's own socket list is refused here
        "bound-not-visible",  # TCP sockets that are bound without listening do not show
        "v6only-hidden",  # whether an IPv6 wildcard takes IPv4 too does not show
        "one-process-per-socket",  # only the first process of a socket shows
        "processes-hidden",  # other users' sockets do not show
        "addresses-not-seen",  # the addresses of this host's interfaces
        "excluded-ranges-unknown",  # Windows: the ports that it keeps from every bind
        "http-queues-unknown",  # Windows: for whom http.sys listens
        "engine-no-answer",  # a container engine did not say which container it is
        "service-manager-no-answer",  # a service manager did not say which of its units it is
        "too-many-descriptors",  # a process has more of them than are looked at, and may hold the socket
        "io-uring-unnamed",  # a process has sockets in an io_uring, and the kernel does not tell which
        "command-cut",  # a process has a longer command line than what is read of one
        "family-refused",  # a sandbox refuses IPv4 or IPv6 sockets, which the kernel has
        "supervisor-no-answer",  # a supervisor did not say what it keeps running
        "redirections-not-seen",  # rules that may send connections past every socket cannot be read
        "brief-not-seen",  # watch: sockets that live between two looks
        "host-not-resolved",  # preflight: a declared host's name leads nowhere here
        "not-asked",  # preflight --static: this machine was not asked at all
    ]
