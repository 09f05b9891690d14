"""Any diagnosis that the types allow, with whatever text a stranger may have chosen."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

from hypothesis import strategies as st

from portcheck import model
from portcheck import vocabulary as words


def vocabulary(name: str, module: ModuleType = words) -> list[str]:
    """The words of one of the Literal types, which exist only for the type checker."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    assigned = (node for node in ast.walk(tree) if isinstance(node, ast.Assign))
    definition = next(node for node in assigned if ast.unparse(node.targets[0]) == name)
    words = [node.value for node in ast.walk(definition.value) if isinstance(node, ast.Constant)]
    return [word for word in words if isinstance(word, str)]


text = st.text(st.characters(), max_size=12)
maybe_text = st.none() | text
maybe_flag = st.none() | st.booleans()
count = st.integers(0, 2**31)
port = st.integers(1, 65535)
moment = st.floats(0, 4e9) | st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e300, -1.0])
(
    protocol,
    family,
    outcome,
    state,
    cause,
    verdict,
    method,
    role,
    service_manager,
    engine,
    supervisor,
    condition,
    note_code,
    blind_spot_code,
) = (
    st.sampled_from(vocabulary(name))
    for name in (
        *("Protocol", "Family", "Outcome", "State", "Cause", "Verdict", "Method"),
        *("Role", "ServiceManager", "Engine", "Supervisor", "Condition", "NoteCode", "BlindSpotCode"),
    )
)


def few(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


blind_spot = st.builds(model.BlindSpot, blind_spot_code, text, maybe_text)
note = st.builds(model.Note, note_code, text)
advice = st.builds(model.Advice, text, st.none() | st.lists(text, min_size=1, max_size=3).map(tuple))
socket = st.builds(
    model.Socket,
    protocol=protocol,
    family=family,
    local_address=text,
    local_port=port,
    remote_address=maybe_text,
    remote_port=st.none() | port,
    state=st.none() | state,
    interface=maybe_text,
    v6only=maybe_flag,
    user=maybe_text,
    uid=st.none() | count,
    pids=st.none() | few(count),
    queue=st.none() | count,
    backlog=st.none() | count,
    expires_in=st.none() | moment,
    inode=st.none() | count,
    cgroup=maybe_text,
    mptcp=maybe_flag,
)
container = st.builds(model.Container, *([engine] + [maybe_text] * (len(model.Container._fields) - 1)))
process = st.builds(
    model.Process,
    pid=count,
    name=maybe_text,
    uid=st.none() | count,
    user=maybe_text,
    command=st.none() | few(text),
    cwd=maybe_text,
    started_at=st.none() | moment,
    parent_pid=st.none() | count,
    executable=maybe_text,
    cgroup=maybe_text,
    role=st.none() | role,
    service=maybe_text,
    service_manager=st.none() | service_manager,
    activation=maybe_text,
    container=st.none() | container,
    supervisor=st.none() | supervisor,
    started_by=maybe_text,
    supervisor_pid=st.none() | count,
    supervised=maybe_text,
    supervisor_url=maybe_text,
    session=maybe_text,
    terminal=maybe_text,
    task=maybe_text,
    project=maybe_text,
    project_dir=maybe_text,
    script=maybe_text,
    forwards=maybe_text,
    condition=few(condition),
    port_proxy=st.none() | st.builds(model.PortProxyRule, text, text),
)
sentence = st.builds(model.Sentence, text, text, text, text, st.booleans())
bind = st.builds(model.Bind, text, family, maybe_flag, maybe_text)


@st.composite
def diagnoses(draw: st.DrawFn) -> model.Diagnosis:
    sockets = draw(few(socket))
    indexes = st.lists(st.integers(0, len(sockets) - 1), unique=True).map(tuple) if sockets else st.just(())
    owner = st.builds(model.Owner, st.none() | count, process, indexes)
    row = st.builds(
        model.Row,
        bind,
        outcome,
        outcome,
        outcome,
        maybe_text,
        method,
        indexes,
        indexes,
        indexes,
        maybe_text,
    )
    return draw(
        st.builds(
            model.Diagnosis,
            target=text,
            protocol=protocol,
            port=port,
            host=maybe_text,
            verdict=verdict,
            cause=st.none() | cause,
            sentence=sentence,
            complete=st.booleans(),
            blind_spots=few(blind_spot),
            binds=few(row),
            sockets=st.just(sockets),
            connections=st.none() | st.dictionaries(text, count, max_size=3),
            owners=few(owner),
            notes=few(note),
            answers=few(st.builds(model.Answer, text, indexes, st.none() | few(count))),
            advice=few(advice),
        )
    )
