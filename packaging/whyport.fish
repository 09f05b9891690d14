# Completion of whyport for fish, which looks for it by the name of the command: it is that of portcheck, beside this file.
source (status dirname)/portcheck.fish
