"""The catalogues: every text of the dashboard and of the report, one module a language, with the same keys."""
