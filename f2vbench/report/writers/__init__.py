"""Writers of reports: HTML page, LaTeX and Markdown; `write_report` writes all files."""
