SELECT * FROM costs
