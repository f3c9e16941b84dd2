"""Public models of many libraries put through the toolkit as they come: `make zoo`."""
