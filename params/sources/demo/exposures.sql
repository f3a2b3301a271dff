SELECT * FROM exposures
