"""The dashboard: studies in a browser, live."""
