SELECT * FROM invitations
