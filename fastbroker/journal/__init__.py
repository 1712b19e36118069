"""The command `journal`: what a data directory holds, without its broker."""
