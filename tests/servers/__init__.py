"""The servers users run, each as a process of its own. Mirrors nothing: what is proven here is the whole."""

SETTINGS = "ALIAS_TEST_SITE"
"""The environment variable that holds the site's settings as JSON."""
