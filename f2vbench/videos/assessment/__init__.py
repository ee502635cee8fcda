"""Human assessment of generated videos: blinded pages for raters, their key, and the scores."""
