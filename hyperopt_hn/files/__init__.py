"""Files that are whole or absent, states without pickled objects, checksums, locks."""
