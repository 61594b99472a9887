"""What the middleware adds to a request, as ratios against its peers: `make bench`."""
