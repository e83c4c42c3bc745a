"""Figures of cost, of residuals and of the fitted valley, and all figures of a report by name."""
