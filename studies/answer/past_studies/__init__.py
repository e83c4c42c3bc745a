"""Past studies: found below a folder, each a row of settings and answers, and searched."""
