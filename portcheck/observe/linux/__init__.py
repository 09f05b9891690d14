"""Linux: sock_diag and rtnetlink for sockets and addresses, /proc for processes and their descriptors."""
