"""Small servers, each of which ends in a way of its own; every one prints `ready` when it listens on port 8000."""

from __future__ import annotations

LISTEN = """
import os, signal, socket, subprocess, sys, time
def listen(reuse=True):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    server.bind(("127.0.0.1", 8000))
    server.listen()
    return server
def stay():
    while True:
        time.sleep(1000)
def ready():
    print("ready", flush=True)
"""
PLAIN = LISTEN + "server = listen(); ready(); stay()"
IGNORES_SIGTERM = LISTEN + "signal.signal(signal.SIGTERM, signal.SIG_IGN); server = listen(); ready(); stay()"
# A main process that replaces every worker that ends, and takes them along when it ends itself.
PREFORK = (
    LISTEN
    + """
def work():
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stay()
    return pid
def end(*_):
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
    sys.exit()
server = listen()
signal.signal(signal.SIGTERM, end)
workers = [work(), work()]
ready()
while True:
    workers.remove(os.wait()[0])
    workers.append(work())
"""
)
# A main process that leaves its worker behind, which then holds the port alone.
LEAVES_WORKERS = LISTEN + "server = listen(); os.fork() and ready(); stay()"
# Workers whose main process is gone already.
ORPHANED_WORKERS = (
    LISTEN
    + """
server = listen()
if [os.fork(), os.fork()].count(0) == 0:
    ready()
    os._exit(0)
stay()
"""
)
# Listens to nothing itself, and starts its child again whenever that ends.
STARTS_IT_AGAIN = (
    LISTEN
    + """
while True:
    subprocess.run([sys.executable, "-c", sys.argv[1]])
    time.sleep(0.2)
"""
)
# Never asks how its child ended: that stays a zombie.
NEVER_REAPS = (
    LISTEN
    + """
if os.fork() == 0:
    server = listen(); ready(); stay()
stay()
"""
)
# Has a client on this host, which is another process and stays.
CLIENT = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", 8000))
print("ready", flush=True)
sys.stdin.read()
"""
SERVES_ONE = LISTEN + "server = listen('reuse' in sys.argv); ready(); client = server.accept()[0]; stay()"
# Closes a connection first, and so keeps its TIME_WAIT.
LEAVES_TIME_WAIT = (
    LISTEN
    + """
server = listen("reuse" in sys.argv)
with socket.create_connection(("127.0.0.1", 8000)) as client:
    server.accept()[0].close()
    client.recv(1)
ready(); stay()
"""
)
