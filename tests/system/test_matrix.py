"""`rules` against the kernel, pair by pair: one socket in every state, then every way to bind beside it."""

from __future__ import annotations

import random
from collections import Counter
from typing import NamedTuple

import pytest
from kernel_lab import Transport, Way, in_namespace, needs_lab
from socket_states import Old, make, olds, open_helpers, ways

from portcheck.model import Socket
from portcheck.rules import predict


class Tally(NamedTuple):
    pairs: Counter
    wrong: list

def _examine(questions):
    open_helpers()
    pairs, masked, wrong = Counter(), Counter(), []
    port = 1023
    import time
    for old, news in questions:
        t0=time.time()
        specimen = None
        for new in news:
            if specimen is None:
                port += 1
                specimen = make(old, port)
            held = specimen.socket
            said = predict(new.request(held.local_port), [held], "linux").outcome
            error = new.refused(held.local_port)
            truth = "in-use" if error else "free"
            if (said != truth) or (error and not error.startswith("EADDRINUSE from bind")):
                wrong.append((old, new, held, said, error))
            pairs[old.way.transport, old.state, truth] += 1
            if error is None and new.reuseport and new.transport != "udp":
                specimen.close(); specimen = None
        if specimen: specimen.close()
        pairs[old.way.transport, old.state, "ms"]+=(time.time()-t0)*1000
    return pairs, wrong, port

if __name__ == "__main__":
    import time, sys
    frac = float(sys.argv[1])
    rng = random.Random(1)
    for t in ("tcp","mptcp","udp"):
        o = olds(t)
        tnew = ways("udp", uids=(0,1000)) if t=="udp" else ways("tcp", uids=(0,1000))+ways("mptcp", uids=(0,1000))
        print(t, len(o), len(tnew), len(o)*len(tnew))
        qs = [(x, rng.sample(tnew, max(1,int(len(tnew)*frac)))) for x in o]
        t0=time.time()
        tot=Counter(); wrong=[]
        for i in range(0,len(qs),200):
            p,w,last = in_namespace(_examine, qs[i:i+200])
            tot+=p; wrong+=w
        print(time.time()-t0, sum(tot.values()), len(wrong), last)
        for k,v in sorted(tot.items()): print("  ",k,v)
        print(Counter((w[0].way.transport,w[0].state,w[3],w[4]) for w in wrong))
        for w in wrong[:5]: print(w)
