SELECT * FROM identities
