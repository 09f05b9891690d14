"""Runs a check: observe the host, judge each port, attach advice.  Rendering is left to the caller."""

from __future__ import annotations

from portcheck.diagnosis.bind_table import examine, explained, refused_by_nobody_seen, telling, unexplained
from portcheck.diagnosis.relevant import tried
from portcheck.diagnosis.sentence import sentence, speaks_of_ports
from portcheck.diagnosis.verdict import diagnose
from portcheck.model import Probe
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.probe import try_bind
from portcheck.observe.snapshot import look
from portcheck.profiles import TABLES_ALONE, USUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.diagnosis.bind_table import Prober
    from portcheck.model import BindRequest, Diagnosis, Protocol, Row, Scene, Socket
    from portcheck.profiles import Question
    from portcheck.target import Endpoint

    Sockets = dict[tuple[Protocol, int], list[Socket]]


def checks(endpoints: Sequence[Endpoint], question: Question = USUAL) -> Iterator[Diagnosis]:
    """A diagnosis for each endpoint, in order, as it is asked for; the host is looked at once for all of them.

    Raises PortcheckError where nothing can be seen at all.
    """
    for endpoint, finding, view in _findings(endpoints, question):
        yield view.numbered(finding, endpoint)


class Whole(NamedTuple):
    """One look at everything that listens here, and what it says of the endpoints."""

    scene: Scene
    diagnoses: tuple[Diagnosis, ...]


def among_all(endpoints: Sequence[Endpoint]) -> Whole:
    """By the tables alone: a diagnosis for each endpoint, and whatever listens on any other port.

    Raises PortcheckError where nothing can be seen at all.
    """
    view = View(_look(endpoints, TABLES_ALONE, every_port=True), TABLES_ALONE)
    findings = [(endpoint, view.finding(endpoint, view.rows(endpoint))) for endpoint in endpoints]
    return Whole(view.scene, tuple(view.numbered(finding, endpoint) for endpoint, finding in findings))


class Stretch(NamedTuple):
    """Neighbouring ports that are alike: the answer for the first, and the last of them."""

    first: Diagnosis
    last: int


def stretches(endpoints: Sequence[Endpoint], question: Question = USUAL) -> Iterator[Stretch]:
    """The same for people: neighbouring ports that are alike, free or refused, share one answer."""
    first: Diagnosis | None = None
    last, before = 0, None
    for endpoint, finding, view in _findings(endpoints, question):
        if first and finding is before and endpoint.port == last + 1 and speaks_of_ports(first):
            last += 1
            continue
        if first:
            yield Stretch(first, last)
        first, last, before = view.numbered(finding, endpoint), endpoint.port, finding
    if first:
        yield Stretch(first, last)


def _findings(endpoints: Sequence[Endpoint], question: Question) -> Iterator[tuple[Endpoint, Diagnosis, View]]:
    """The finding for each endpoint, and the view that it comes from; ports that are alike share one finding."""
    view = View(_look(endpoints, question), question)
    for endpoint in endpoints:
        if alike := view.known(endpoint):
            yield endpoint, alike, view
            continue
        rows = view.rows(endpoint)
        disagree = any(row.disagreement for row in rows)
        closer = _look_closer(view.scene, endpoint) if unexplained(rows) and not disagree else None
        if closer:
            view = View(closer, question)
            rows = view.rows(endpoint)
        elif disagree or any(map(refused_by_nobody_seen, rows)):
            # Most likely a socket came or went in between (a server that starts, another probe): look again before
            # calling it a quirk of the kernel, or somebody who hides.
            again = View(_look([endpoint], question), question)
            yield endpoint, again.finding(endpoint, again.rows(endpoint)), again
            continue
        yield endpoint, view.finding(endpoint, rows), view


def _look_closer(scene: Scene, endpoint: Endpoint) -> Scene | None:
    from portcheck.observe.second_look import look_closer

    return look_closer(scene, endpoint)


def _look(endpoints: Sequence[Endpoint], question: Question, *, every_port: bool = False) -> Scene:
    def enough(scene: Scene) -> bool:
        sockets = by_port(scene)
        return all(
            explained(endpoint, sockets.get((endpoint.protocol, endpoint.port), []), scene, question.server)
            for endpoint in endpoints
        )

    return look(
        endpoints,
        may_bind=question.probe,
        enough=enough,
        verbose=question.verbose,
        with_localhost=bool(question.server.localhost),
        every_port=every_port,
    )


class View:
    """A scene with its sockets by port.

    Most ports of a range have no sockets: they differ in nothing but the number, and share one finding.
    """

    def __init__(self, scene: Scene, question: Question) -> None:
        self.scene = scene
        self.question = question
        self.server = question.server
        self.probe = try_bind if question.probe else None
        self.sockets = by_port(scene)
        # in either protocol: a UDP holder is worth a note for TCP
        self.busy = {port for _, port in self.sockets}
        # ports of which more is known than sockets show
        self.special = {port for _, port in scene.redirected} | {listener.port for listener in scene.elsewhere}
        self.marked = (*scene.policy.reserved, *(excluded.ports for excluded in scene.policy.excluded))
        self.quiet: dict[object, Diagnosis] = {}
        self.heard: dict[object, Heard] = {}

    def rows(self, endpoint: Endpoint) -> tuple[Row, ...]:
        """The bind table of one port, with indexes into `on_port`.

        The kernel is asked for every port.  Where no socket is there, and it answers as it did for another such port,
        the rules have nothing new to say; nor have binds that it has to answer as it did others (`telling`).
        """
        if self.probe is None or endpoint.port in self.busy:
            if self.probe and self.on_port(endpoint):
                self._learn_v6only(endpoint)
            return examine(endpoint, self.on_port(endpoint), self.scene, self.question, self.probe)
        kind = self._kind(endpoint)
        if kind in self.heard and self.heard[kind].again(endpoint.port, self.probe):
            return self.heard[kind].rows
        answers: list[tuple[BindRequest, Probe]] = []
        rows = examine(endpoint, (), self.scene, self.question, _recorded(self.probe, answers))
        self.heard[kind] = Heard(rows, tuple(telling(answers, self.scene)))
        return rows

    def _learn_v6only(self, endpoint: Endpoint) -> None:
        """By the binds that disturb nobody: what a plain one tells of TCP does not matter here."""
        from portcheck.diagnosis import v6only

        if not v6only.hidden(self.on_port(endpoint), self.scene.platform):
            return

        def carefully(asked: BindRequest) -> Probe:
            return try_bind(asked) if asked.reuseaddr or asked.protocol == "udp" else Probe("unknown")

        rows = examine(endpoint, self.on_port(endpoint), self.scene, self.question, carefully)
        told = v6only.told_by_binds(self.on_port(endpoint), rows)
        self.sockets[endpoint.protocol, endpoint.port] = list(told)

    def known(self, endpoint: Endpoint) -> Diagnosis | None:
        """The finding for a port like this one, where no socket makes a difference and no bind does."""
        if endpoint.port in self.busy:
            return None
        kind = self._kind(endpoint)
        if self.probe is None:
            return self.quiet.get((kind, None))
        heard = self.heard.get(kind)
        return heard.finding if heard and heard.finding and heard.again(endpoint.port, self.probe) else None

    def finding(self, endpoint: Endpoint, rows: tuple[Row, ...]) -> Diagnosis:
        """The whole answer, for this port or for a quiet one that differs in nothing but the number."""
        if endpoint.port in self.busy:
            return self._diagnosed(endpoint, rows)
        kind = self._kind(endpoint)
        like = kind, rows if self.probe else None
        if like not in self.quiet:
            self.quiet[like] = self._diagnosed(endpoint, rows)
        if kind in self.heard and not unexplained(rows):
            self.heard[kind] = self.heard[kind]._replace(finding=self.quiet[like])
        return self.quiet[like]

    def numbered(self, finding: Diagnosis, endpoint: Endpoint) -> Diagnosis:
        """A finding as the answer for this particular port."""
        numbered = finding._replace(target=endpoint.target, port=endpoint.port)
        if finding.port == endpoint.port:
            return numbered
        rows = tried(endpoint, numbered.binds, numbered.sockets, self.scene, self.server)
        return numbered._replace(sentence=sentence(numbered, rows, self.scene, self.server))

    def on_port(self, endpoint: Endpoint) -> Sequence[Socket]:
        """The sockets of the endpoint's protocol on its port."""
        return self.sockets.get((endpoint.protocol, endpoint.port), [])

    def _diagnosed(self, endpoint: Endpoint, rows: tuple[Row, ...]) -> Diagnosis:
        finding = diagnose(endpoint, rows, self.on_port(endpoint), self.scene, self.server)
        if finding.cause is None:
            return finding  # nothing is in the way of any server: no advice
        from portcheck.remedies.advise import advise

        return advise(finding, self.scene)

    def _kind(self, endpoint: Endpoint) -> object:
        """What an endpoint without sockets depends on, besides its number."""
        port, policy = endpoint.port, self.scene.policy
        alone = port in self.special or (self.marked and any(port in ports for ports in self.marked))
        needs_privilege = port < policy.unprivileged_from and not policy.privileged
        return endpoint.protocol, endpoint.hosts, endpoint.family, needs_privilege, port if alone else None


class Heard(NamedTuple):
    """What the kernel has answered for a port without sockets, and what followed from it."""

    rows: tuple[Row, ...]
    answers: tuple[tuple[BindRequest, Probe], ...]  # those that tell the others
    finding: Diagnosis | None = None  # once no slower look could tell more

    def again(self, port: int, probe: Prober) -> bool:
        """Whether the kernel answers the same for this port."""
        return all(probe(request.at(port)) == answer for request, answer in self.answers)


def _recorded(probe: Prober, answers: list[tuple[BindRequest, Probe]]) -> Prober:
    def asked(request: BindRequest) -> Probe:
        answer = probe(request)
        answers.append((request, answer))
        return answer

    return asked


def by_port(scene: Scene) -> Sockets:
    """The sockets of every table by protocol and port."""
    sockets: Sockets = {}
    for table in scene.tables.values():
        for socket in table.sockets:
            sockets.setdefault((socket.protocol, socket.local_port), []).append(socket)
    return sockets
