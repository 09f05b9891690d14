"""What the tests share: hosts and sockets made for real, recorded scenes, rigs of other systems."""
