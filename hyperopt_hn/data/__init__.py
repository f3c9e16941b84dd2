"""Data sets by name: found on disk, else fetched with a checksum, read into arrays. `catalogue.load` is the way in."""
