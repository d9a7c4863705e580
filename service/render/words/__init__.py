"""Reports in words: derivations, tables of differences, Markdown and worksheets."""
