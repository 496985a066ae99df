"""`safelight demo`: a plate with known truth is made, damaged, restored, measured, shown."""
