"""The answer, computed from the record: best trials, laws, plan, scaling, past studies; and its texts."""
