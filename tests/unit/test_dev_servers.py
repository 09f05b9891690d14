"""What gives a development server its port, from the command as it was written and the process that listens."""

from __future__ import annotations

import pytest

from portcheck.model import Process
from portcheck.run.dev_servers import remedy

VITE = ("node", "/home/ann/shop/node_modules/.bin/vite")


@pytest.mark.parametrize(
    ("command", "listening", "expected"),
    [
        ("npm run dev", VITE, "npm run dev -- --port {port}"),
        ("npm run dev -- --open", VITE, "npm run dev -- --open --port {port}"),
        ("pnpm dev", VITE, "pnpm dev --port {port}"),
        ("yarn dev", ("node", "/x/node_modules/vite/bin/vite.js"), "yarn dev --port {port}"),
        ("npx vite", VITE, "npx vite --port {port}"),
        ("npm run dev -- --port 5173", VITE, "npm run dev -- --port {port}"),
        ("npx vite --port=5173", VITE, "npx vite --port={port}"),
        ("npm start", ("next-server (v16.4.6)",), "npm start -- -p {port}"),
        ("npm start", ("ng serve",), "npm start -- --port {port}"),
        ("npx nuxi dev", ("node", "/x/.nuxt/worker.mjs"), "npx nuxi dev --port {port}"),
        ("npx webpack serve", ("webpack",), "npx webpack serve --port {port}"),
        ("python manage.py runserver", ("python", "manage.py", "runserver"), "python manage.py runserver {port}"),
        ("flask run", ("/srv/bin/python3", "/srv/bin/flask", "run"), "flask run --port {port}"),
        ("bin/rails server", ("puma 6.4.2 (tcp://localhost:3000) [shop]",), "bin/rails server -p {port}"),
        ("php artisan serve", ("php", "artisan", "serve"), "php artisan serve --port {port}"),
        ("mkdocs serve", ("python", "/srv/bin/mkdocs", "serve"), "mkdocs serve --dev-addr {host}:{port}"),
        ("npx serve", ("node", "/x/node_modules/.bin/serve"), "npx serve -l {port}"),
        ("php -S localhost:5173", ("php", "-S", "localhost:5173"), "php -S localhost:{port}"),
        (
            "./mvnw spring-boot:run",
            ("java", "org.springframework.boot.Main"),
            "./mvnw spring-boot:run -Dspring-boot.run.arguments=--server.port={port}",
        ),
        ("./gradlew bootRun", ("java", "shop.Main"), "./gradlew bootRun --args=--server.port={port}"),
        ("npm start", ("node", "/x/node_modules/react-scripts/scripts/start.js"), None),
        ("npm run dev -- --port {port}", VITE, None),
        ("./server", ("./server",), None),
        ("./server 15173", ("./server",), None),
    ],
)
def test_the_words_that_give_the_port(command: str, listening: tuple[str, ...], expected: str | None) -> None:
    words = remedy(command.split(), Process(99, command=listening), 5173)
    assert (words and " ".join(words)) == expected
