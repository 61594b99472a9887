"""Helpers for the tests of sites, storages and gateways; imported by tests and demonstrations only."""
