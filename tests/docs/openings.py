"""How the pages of the reference begin, before what is made from the code."""

SETTINGS = """\
# Settings

Keyword arguments of `Tracker`, of both `AliasMiddleware`s and of Flask's `Alias`. In Flask they may stand in
`app.config` as `ALIAS_SERVICE` or in the environment as `FLASK_ALIAS_SERVICE`. Sizes are in bytes, times in
seconds. An unknown or unusable setting is refused when the app starts.

"""

COMMANDS = """\
# Commands

The command line comes with the extra `cli`. `flask alias` has the same commands, whose settings are the app's.
`--help` after any of them says what stands here.
"""

NAMES = """\
# Public names

Names that you import, and after them the classes that those give you.
"""

FIGURES = """\
# Figures

The one definition of each, as it is printed beside the value. The interval is half-open: local days of the
service's zone, from `since` to the one before `until`. Money is exact, per currency; averages are rounded
half-even to four places. [How they are made](../explanation/figures.md) and
[a worked example](../explanation/worked-example.md) explain them.

## summary and series
"""

CONTACT = """\
# Rules of contact

A verdict is `send`, `hold` until a moment, or `refuse`, with what every rule said. One refusal refuses; else one
hold holds; what is unknown refuses. S1 and S2 are the operator's two documents: on the client identifier, and on
marketing messages. A meaning that ends in a word like "on" or "until" goes on with the value.

## Rules

"""

ERRORS = """\
# Errors

All are in `alias_middleware.errors` and descend from `AliasError`, which catches whatever this library raises on
purpose. No message holds an alias or a phone number. While a request is served an error of ours is logged and
counted instead, unless `raise_errors` is on; wrong arguments of your own code raise always.

"""
