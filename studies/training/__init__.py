"""Steps timed and recipes trained outside of a search: profile, scaling, the planned training."""
