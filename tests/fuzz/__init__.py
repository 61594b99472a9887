"""Random requests through both edges, and what must hold of every one: `python -m tests.fuzz`."""
