"""Faults done to real processes under load: what is killed, locked, deleted, filled; and what must hold after."""
