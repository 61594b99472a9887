"""Other libraries beside this one: what each adds to a request, and what is left when the site is killed.

`site` and `ways` build the sites, `killed` kills them, `table` writes the page of the documentation.
"""
