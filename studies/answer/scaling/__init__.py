"""How training scales with workers on the machine at hand, beside what the source paper reports."""
