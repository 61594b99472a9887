"""The second channel, SMS+: the operator's UCP protocol, and Kannel as the gateway that speaks it for a site."""
