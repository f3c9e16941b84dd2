"""Layers with a response: each torch layer's twin whose weights answer to λ."""
