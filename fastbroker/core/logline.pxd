"""Lines of the log."""

cpdef clean(value)
