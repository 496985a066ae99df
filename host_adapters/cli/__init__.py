"""The command line: `safelight render`, `demo`, `check`, `nodes`, `compare`, `bench`."""
