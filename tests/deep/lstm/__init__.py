"""Tests of deep.lstm."""
