"""`python -m alias_middleware` is the command `alias-middleware`."""

from alias_middleware.cli import main

if __name__ == "__main__":
    main()
