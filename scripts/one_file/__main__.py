"""What Python runs of portcheck.pyz, in words that every Python can read: one that is too old is told so."""

import sys

if sys.version_info < (3, 9):
    sys.stderr.write(
        "portcheck: this is Python %d.%d (%s), and portcheck needs 3.9 or later\n"
        "  -> start it with a newer Python, such as: python3.11 %s\n"
        % (sys.version_info[0], sys.version_info[1], sys.executable, " ".join(sys.argv))
    )
    sys.exit(125 if sys.argv[1:2] == ["run"] else 3)  # the contract's: no answer could be had

try:
    import code_cache

    code_cache.start(__loader__)
except KeyboardInterrupt:
    sys.exit(130)  # whoever asked has changed his mind while this was loading
