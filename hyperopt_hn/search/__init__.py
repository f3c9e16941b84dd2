"""Black-box search, the baseline: grid, random, TPE and GP trials, alone or shared by many processes."""
