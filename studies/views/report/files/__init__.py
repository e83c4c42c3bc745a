"""A report in other forms than the page: figures as files, a summary for a README."""
