"""Real servers under mixed load for a long time, restarted now and then: `python -m tests.soak`."""
