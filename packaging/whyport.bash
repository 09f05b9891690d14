# Completion of whyport for bash, which looks for it by the name of the command: it is that of portcheck, beside this file.
. "${BASH_SOURCE[0]%/*}/portcheck"
