"""Which method can tune what: slopes dL_V/dλ as methods claim them, against those of retrained networks."""
