"""Commands that need no stage: `main.py` gives them their names. Each file holds commands of one kind."""
