"""Several jobs, one study: one owns its ledger, the others lend it their devices."""
