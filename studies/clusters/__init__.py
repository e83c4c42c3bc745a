"""Jobs on a cluster: what a site asks for, submitting, watching, joining."""
