"""What a rule does with packets, whichever tool has written it; and the walk along the rules from the hooks.  Pure.

Nothing is guessed: rules that nothing leads to are never reached, and what is not understood makes a redirection
unsure.
"""

from __future__ import annotations

import time

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux.filter.packets import minus, unsure

if TYPE_CHECKING:
    import typing
    from collections.abc import Hashable, Iterable, Iterator
    from typing import Literal

    from portcheck.observe.linux.filter.packets import Packets

    class RuleSet(typing.Protocol):
        """The chains of one packet filter."""

        def rules(self, chain: Hashable) -> Iterable[Rule]:
            """The rules of a chain, in order.  Raises OSError."""

    class Rule(typing.Protocol):
        """One rule."""

        def outcomes(self, packets: Packets) -> Iterator[tuple[Packets, Verdict]]:
            """Those of the packets that it decides about, and how.  Raises OSError."""


class Verdict(NamedTuple):
    """What becomes of packets: `end` (accepted or dropped), `return`, `jump`, `goto` a chain, or sent elsewhere."""

    kind: Literal["end", "return", "jump", "goto", "elsewhere"]
    chain: Hashable = None
    address: str | None = None  # where they are sent: None is this host, by whichever address
    port: str | None = None  # None: the same
    comment: str | None = None  # of the rule


END, RETURN = Verdict("end"), Verdict("return")


class TooManyRulesError(OSError):
    """There are more rules than are looked at, or more ways through them."""


# Of this process' own time, however busy the machine is: a host with 5,000 services of Kubernetes has 50,000 rules, of
# which a port concerns 10,000.
MOST_SECONDS = 3.0
MOST_FLOWS = 64  # sets that do not overlap; more of them are taken for one, unsure
DEEPEST = 64  # jumps; nf_tables allows 16, iptables whatever fits


class Time:
    """What is left of MOST_SECONDS, which several walks share."""

    def __init__(self) -> None:
        """From now on."""
        self._end = time.process_time() + MOST_SECONDS

    def check(self) -> None:
        """Raises TooManyRulesError where it is over."""
        if time.process_time() > self._end:
            raise TooManyRulesError(f"there are more than can be looked at in {MOST_SECONDS:g} s")


class Walk:
    """The redirections that packets meet on their way through a chain, with everything it leads to."""

    def __init__(self, rule_set: RuleSet, left: Time) -> None:
        """Nothing is read before it goes."""
        self._rule_set = rule_set
        self._time = left
        self.redirections: list[tuple[Packets, Verdict]] = []

    def through(self, chain: Hashable, packets: Packets, comment: str | None = None, depth: int = 0) -> list[Packets]:
        """The packets that come out at the end of a chain, or return from it."""
        if depth > DEEPEST:
            raise TooManyRulesError("chains that lead to each other without an end")
        flow, returned = [packets], []
        for rule in self._rule_set.rules(chain):
            if not flow:
                break
            self._time.check()
            left: list[Packets] = []
            for each in flow:
                rest, back = self._decided(rule, each, comment, depth)
                left += rest
                returned += back
            flow = left if len(left) <= MOST_FLOWS else [unsure(packets)]
        return flow + returned

    def _decided(
        self, rule: Rule, packets: Packets, comment: str | None, depth: int
    ) -> tuple[list[Packets], list[Packets]]:
        """(those that go on to the next rule, those that return to the chain before) after one rule."""
        rest, returned = [packets], []
        for matched, verdict in rule.outcomes(packets._replace(sure=True)):
            taken = matched._replace(sure=matched.sure and packets.sure)
            # the last comment before they are sent away says most: Kubernetes' has the name of the service
            said = verdict.comment or comment
            back: list[Packets] = []
            if verdict.kind == "elsewhere":
                self.redirections.append((taken, verdict._replace(comment=said)))
            elif verdict.kind == "return":
                returned.append(taken)
            elif verdict.kind in ("jump", "goto"):
                back = self.through(verdict.chain, taken, said, depth + 1)
                if verdict.kind == "goto":
                    returned, back = returned + back, []
                elif back == [taken]:  # nothing in there concerned them
                    continue
            if matched.sure:
                rest = [left for each in rest for left in minus(each, taken)] + back
        return rest, returned
