"""History from before the middleware: access logs, orders and profiles, read into a storage in batches.

`lines` opens files, `logs` and `tables` read one line each, `run` takes a file over from where it stopped.
"""
