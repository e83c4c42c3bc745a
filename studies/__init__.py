"""The question, the record, the answer: study file, run, ledger, report, command line."""
