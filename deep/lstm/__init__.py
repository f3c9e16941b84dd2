"""LSTM language models: network, text, streams, presets, and table 1."""
