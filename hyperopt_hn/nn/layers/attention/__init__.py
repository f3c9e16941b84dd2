"""Multi-head attention, in every form of the response."""
