"""What takes connections past the sockets of their port: packet-filter rules, IPVS, sk_lookup programs."""
