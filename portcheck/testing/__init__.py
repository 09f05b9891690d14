"""What a program's own tests use: fixtures of pytest (`pip install "whyport[pytest]"`)."""
