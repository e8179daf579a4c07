"""The parts of torture.py: what it starts, who writes, what is killed when, and what has to hold in the end."""
