"""The report as a noun: what it holds, how two of them compare, and what other sizes of the input would change."""
