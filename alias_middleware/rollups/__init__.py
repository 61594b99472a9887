"""What a stretch of days adds up to, exactly: derived from raw events, merged over days, services and channels.

`model` has the shapes and how they merge, `counts` a number for each of many visitors, `days` the one way from a
day's events to its roll-up, `coding` the bytes. What is divided or ranked is the business of `statistics`.
"""
