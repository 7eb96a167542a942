"""Where a program runs: one protocol, one file per kind of device."""
