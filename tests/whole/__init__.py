"""The project as a whole: README, imports, contracts between the parts."""
